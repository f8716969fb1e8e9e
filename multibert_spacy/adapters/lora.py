"""LoRA in a batch: W x + B A x, in the forms that a batch may have. Each is a `RowAdapter`.

    LoraMerged   one adapter: where there are enough pieces W + B A is made when the layer is
                 reached, and kept nowhere
    LoraMixed    several adapters: the rows' A and B are gathered layer by layer, since all layers'
                 do not fit the cache, and have two batched products
    LoraTrained  one adapter in training: a node of autograd's for each site, or (`lora_block.py`)
                 for each transformer block where all of its sites have an adapter

`Bank.rows` chooses between them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.dtypes import cast
from ..core.packing import FlatRows, Layout
from ..core.row_adapter import PostNormBlock, RowAdapter
from .lora_block import LoraBlock, fits, keep_of

__all__ = ["MERGED", "LoraMerged", "LoraMixed", "LoraTrained", "Pair"]

Pair = tuple[Tensor, Tensor]
"""A and B of a site."""

MERGED = 512
"""Pieces of a batch from which on its adapter is added to the weights: a merged product then costs
hardly more than one without LoRA.
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
        bias: Tensor | None,
        a: Tensor,
        b: Tensor,
        scale: float,
    ) -> Tensor:
        """Compute a linear layer with LoRA.

        x (b, t, in) in the core's type, keep (b * t, in): dropout's factors for z = keep * x,
        w (out, in), bias (out,) or None, a (r, in) and b (out, r) in fp32.
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
            d_w = (d_y.T @ rows).to(w.dtype)
        if ctx.needs_input_grad[3]:
            d_bias = d_y.sum(0).to(w.dtype)
        return d_x, None, d_w, d_bias, d_a, d_b, None


class LoraMixed(RowAdapter):
    """LoRA of a batch of several adapters."""

    def __init__(
        self, stack: Callable[[str], Pair | None], scales: Tensor | None, dropout: float = 0.0
    ) -> None:
        """Hold the LoRA of a batch's rows.

        stack (Callable): From a site to A (b, r, in) and B (b, out, r), one for each row; None
            where no adapter sits.
        scales (b, 1, 1): LoRA's alpha / rank of each row; None if they are in B.
        dropout (float): LoRA's own, on the input of A.
        """
        self.stack = stack
        self.scales = scales
        self.dropout = dropout

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        y = super().linear(site, x, module)
        pair = self.stack(site)
        if pair is None:
            return y
        a, b = (part.to(y.dtype).transpose(1, 2) for part in pair)
        low = F.dropout(x, self.dropout, training=self.dropout > 0).to(y.dtype) @ a
        return y.baddbmm_(low if self.scales is None else low * self.scales.to(y.dtype), b)


class LoraTrained(RowAdapter):
    """LoRA of one adapter in training: A (r, in) and B (out, r) of each site, in fp32."""

    def __init__(self, pairs: Mapping[str, Pair], scale: float, dropout: float) -> None:
        """Hold the LoRA of one adapter.

        dropout (float): LoRA's own, on the input of A.
        """
        self.pairs = pairs
        self.scale = scale
        self.dropout = dropout

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        if site not in self.pairs:
            return super().linear(site, x, module)
        keep = keep_of(x.flatten(0, -2), self.dropout)
        apply: Callable[..., Tensor] = _LoraLinear.apply
        return apply(x, keep, module.weight, module.bias, *self.pairs[site], self.scale)

    def block(
        self, block: PostNormBlock, x: Tensor, layout: Layout, n_heads: int, dropout: float
    ) -> Tensor | None:
        frozen = not block.outer.weight.requires_grad
        whole = not self.dropout and all(site in self.pairs for site in block.sites)
        if not (whole and frozen and isinstance(layout, FlatRows) and fits(block)):
            return None
        a, b = zip(*(self.pairs[site] for site in block.sites), strict=True)
        return LoraBlock(block, layout, n_heads, self.scale, dropout)(x, a, b)


class LoraMerged(RowAdapter):
    """LoRA of a batch of one adapter: A (r, in) and B (out, r) of each site."""

    def __init__(self, pairs: Mapping[str, Pair], scale: float) -> None:
        self.pairs = pairs
        self.scale = scale

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        if site not in self.pairs:
            return super().linear(site, x, module)
        w, bias = module.weight, module.bias
        a, b = (cast(part, w.dtype) for part in self.pairs[site])
        if x.shape[:-1].numel() >= MERGED:
            return F.linear(x, torch.addmm(w, b, a, alpha=self.scale), bias)
        y = F.linear(x, w, bias)
        low = x.flatten(0, -2).to(y.dtype) @ a.to(y.dtype).T
        merged = y.flatten(0, -2).addmm_(low, b.to(y.dtype).T, alpha=self.scale)
        return merged.view(y.shape)
