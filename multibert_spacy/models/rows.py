"""What the adapters of a batch add to the core, layer by layer: each class is a `RowAdapter`.

LoRA, W x + BA x. Where a batch has enough pieces of one adapter, W + BA is made when the layer is
reached, and kept nowhere; where it has not, each run of rows of one adapter has two narrow
products of its own (`LoraSegments`). Padded rows in any order, as a graph has them, gather their A
and B and have two batched products; an adapter in training is a node of autograd's (`LoraRows`).
Prefix: keys and values, gathered layer by layer.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["MERGED", "LoraRows", "LoraSegments", "PrefixRows"]

MERGED = 512
"""Pieces of one adapter from which on it is added to the weights. 2,048 pieces in bf16 on 2 cores,
the six layers of a block without LoRA 18.1 ms: two narrow products 20.3 ms, two batched ones with
12 adapters 21.5 ms, merged 18.7 ms.
"""


class _LoraLinear(torch.autograd.Function):
    """W x + bias + scale * B A z of one adapter as one node of the graph. Left to autograd it is
    ten, and with 72 sites and small batches their bookkeeping took more time than the arithmetic.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        keep: Tensor | None,
        w: Tensor,
        bias: Tensor,
        a: Tensor,
        b: Tensor,
        scale: float,
    ) -> Tensor:
        """x (b, t, in) in the core's type, keep (b * t, in): dropout's factors for z = keep * x,
        w (out, in), bias (out,), a (r, in) and b (out, r) in fp32.
        """
        rows = x.flatten(0, -2)
        y = F.linear(rows, w, bias)
        rows = rows.to(y.dtype)  # under autocast a product has a narrower type than its factors
        a, b = a.to(y.dtype), (b * scale).to(y.dtype)
        low = (rows if keep is None else rows * keep) @ a.T
        ctx.save_for_backward(rows, keep, low, w, a, b)
        ctx.scale = scale
        return y.addmm_(low, b.T).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, keep, low, w, a, b = ctx.saved_tensors
        d_y = gradients[0].flatten(0, -2)
        d_low = d_y @ b
        d_b = (d_y.T @ low).float() * ctx.scale
        d_a = (d_low.T @ (rows if keep is None else rows * keep)).float()
        d_x = d_w = d_bias = None
        if ctx.needs_input_grad[0]:
            d_x = d_y @ w.to(d_y.dtype)
            d_x = d_x.addmm_(d_low, a) if keep is None else d_x + (d_low @ a) * keep
            d_x = d_x.view(*gradients[0].shape[:-1], -1)
        if ctx.needs_input_grad[2]:  # the paper's mode for a core that is trained with the adapter
            d_w, d_bias = (d_y.T @ rows).to(w.dtype), d_y.sum(0).to(w.dtype)
        return d_x, None, d_w, d_bias, d_a, d_b, None


class LoraRows:
    """LoRA of a batch: stacked A (n, r, in) and scaled B (n, out, r) for each site, and the
    adapter of each row, pick (b or 1,). While one adapter is trained: its own A (r, in) and B
    (out, r), and the scale apart.
    """

    n_virtual = 0

    def __init__(
        self,
        a: dict[str, Tensor],
        b: dict[str, Tensor],
        dropout: float = 0.0,
        scale: float | None = None,
        pick: Tensor | None = None,
    ) -> None:
        self.a = a
        self.b = b
        self.pick = pick
        self.dropout = dropout
        self.scale = scale

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        if site not in self.a:
            return F.linear(x, module.weight, module.bias)
        a, b = self.a[site], self.b[site]
        if self.scale is not None:
            keep = None
            if self.dropout:
                keep = F.dropout(torch.ones_like(x), self.dropout).flatten(0, -2)
            apply: Callable[..., Tensor] = _LoraLinear.apply
            return apply(x, keep, module.weight, module.bias, a, b, self.scale)
        if self.pick is not None:
            a, b = a.index_select(0, self.pick), b.index_select(0, self.pick)
        y = F.linear(x, module.weight, module.bias)
        low = F.dropout(x, self.dropout, training=self.dropout > 0).to(y.dtype)
        a, b = a.to(y.dtype).transpose(1, 2), b.to(y.dtype).transpose(1, 2)
        if len(a) == 1:
            return y.flatten(0, -2).addmm_(low.flatten(0, -2) @ a[0], b[0]).view(y.shape)
        return y.baddbmm_(low @ a, b)

    def prefix(self, layer: int, dtype: torch.dtype) -> None:
        return None


class LoraSegments:
    """LoRA of a batch in which rows of one adapter stand together.

    segments (list): Runs of them: the adapter, and where in the n pieces they begin and end.
    """

    n_virtual = 0

    def __init__(
        self, a: dict[str, Tensor], b: dict[str, Tensor], segments: list[tuple[int, int, int]]
    ) -> None:
        """a, b: See `LoraRows`."""
        self.a = a
        self.b = b
        self.segments = segments

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        w, bias = module.weight, module.bias
        if site not in self.a:
            return F.linear(x, w, bias)
        a, b = self.a[site], self.b[site]
        if len(self.segments) == 1 and x.shape[:-1].numel() >= MERGED:
            i = self.segments[0][0]
            return F.linear(x, torch.addmm(w, b[i].to(w.dtype), a[i].to(w.dtype)), bias)
        y = F.linear(x, w, bias)
        rows, out = x.flatten(0, -2).to(y.dtype), y.flatten(0, -2)
        for i, start, stop in self.segments:
            low = rows[start:stop] @ a[i].to(y.dtype).T
            out[start:stop].addmm_(low, b[i].to(y.dtype).T)
        return y

    def prefix(self, layer: int, dtype: torch.dtype) -> None:
        return None


class PrefixRows:
    """Prefixes of a batch: stacked keys and values (l, 2, n, a, p, d), and the prefix of each row,
    pick (b or 1,); None where all rows have the only one there is.
    """

    def __init__(self, kv: Tensor, pick: Tensor | None = None) -> None:
        self.kv = kv
        self.pick = pick
        self.n_virtual = kv.shape[-2]

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        return F.linear(x, module.weight, module.bias)

    def prefix(self, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        kv = self.kv[layer]
        if self.pick is not None:
            kv = kv.index_select(1, self.pick)
        keys, values = kv.to(dtype)
        return keys, values
