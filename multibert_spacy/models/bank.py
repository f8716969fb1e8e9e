"""A bank of adapters: one forward pass for rows of different domains.

LoRA: the rows' A and B are stacked, gathered by row and applied with two batched matmuls per
linear layer. Prefix: stacked keys and values, gathered by row. While one domain is trained its
bank has one adapter, gradients flow through the stacking, and the gather falls away.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import AdapterError
from .adapters import Adapter, LoraAdapter, PrefixAdapter
from .core import RowAdapter

__all__ = ["Bank"]


class _OneLora(torch.autograd.Function):
    """scale * B A x of one adapter as one node of the graph. Left to autograd it takes eight, and
    with 72 sites and small batches their bookkeeping took more time than the arithmetic.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
        """x (b, t, in) in the core's type, a (r, in) and b (out, r) in fp32."""
        rows = x.reshape(-1, x.shape[-1])
        a, b = a.to(x.dtype), (b * scale).to(x.dtype)
        low = rows @ a.T
        # under autocast a product has a narrower type than its factors
        ctx.save_for_backward(rows.to(low.dtype), low, a.to(low.dtype), b.to(low.dtype))
        ctx.scale = scale
        return (low @ b.T).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, low, a, b = ctx.saved_tensors
        d_out = gradients[0].reshape(-1, b.shape[0])
        d_low = d_out @ b
        d_a = (d_low.T @ rows).float()
        d_b = (d_out.T @ low).float() * ctx.scale
        d_x = (d_low @ a).view(*gradients[0].shape[:-1], -1) if ctx.needs_input_grad[0] else None
        return d_x, d_a, d_b, None


class LoraRows:
    """LoRA of a batch: A (b or 1, r, in) and scaled B (b or 1, out, r) for each site. While one
    adapter is trained: its own A (r, in) and B (out, r), and the scale apart.
    """

    n_virtual = 0

    def __init__(
        self,
        a: dict[str, Tensor],
        b: dict[str, Tensor],
        dropout: float = 0.0,
        scale: float | None = None,
    ) -> None:
        self.a = a
        self.b = b
        self.dropout = dropout
        self.scale = scale

    def delta(self, site: str, x: Tensor) -> Tensor | None:
        if site not in self.a:
            return None
        x = F.dropout(x, self.dropout, training=self.dropout > 0)
        if self.scale is not None:
            one_lora: Callable[..., Tensor] = _OneLora.apply
            return one_lora(x, self.a[site], self.b[site], self.scale)
        a, b = self.a[site].to(x.dtype), self.b[site].to(x.dtype)
        if len(a) == 1:
            return F.linear(F.linear(x, a[0]), b[0])
        return torch.bmm(torch.bmm(x, a.transpose(1, 2)), b.transpose(1, 2))

    def prefix(self, layer: int, dtype: torch.dtype) -> None:
        return None


class PrefixRows:
    """Prefixes of a batch: (l, 2, b or 1, a, p, d)."""

    def __init__(self, kv: Tensor) -> None:
        self.kv = kv
        self.n_virtual = kv.shape[-2]

    def delta(self, site: str, x: Tensor) -> None:
        return None

    def prefix(self, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        keys, values = self.kv[layer].to(dtype)
        return keys, values


class Bank:
    """Adapters of one kind, stacked in the order given."""

    def __init__(
        self, adapters: Sequence[Adapter], dtype: torch.dtype | None = None, *, train: bool = False
    ) -> None:
        """adapters (Sequence[Adapter]): At least one; all LoRA, all prefixes of one length, or all
            NoAdapter. LoRA ranks and sites may differ: missing ones are zero.
        dtype (torch.dtype): The type to hold them in; None keeps theirs.
        train (bool): Whether gradients flow and LoRA's dropout is on.
        RAISES (AdapterError): If the adapters cannot be mixed in one batch.
        """
        kinds = {type(adapter) for adapter in adapters}
        if len(kinds) != 1:
            names = sorted(kind.__name__ for kind in kinds)
            raise AdapterError(f"One component holds adapters of one kind, got {names}")
        self.n = len(adapters)
        self.kv: Tensor | None = None
        self.a: dict[str, Tensor] = {}
        self.b: dict[str, Tensor] = {}
        self.dropout = 0.0
        self.scale: float | None = None
        with torch.set_grad_enabled(train):
            prefixes = [x for x in adapters if isinstance(x, PrefixAdapter)]
            loras = [x for x in adapters if isinstance(x, LoraAdapter)]
            if prefixes:
                lengths = sorted({x.settings.n_virtual for x in prefixes})
                if len(lengths) > 1:
                    raise AdapterError(f"Prefixes of different lengths in one bank: {lengths}")
                self.kv = torch.stack([x.key_values() for x in prefixes], dim=2)
                if dtype is not None:
                    self.kv = self.kv.to(dtype)
            elif loras:
                if train and len(loras) == 1:
                    self.a = dict(zip(loras[0].sites, loras[0].a, strict=True))
                    self.b = dict(zip(loras[0].sites, loras[0].b, strict=True))
                    self.scale = loras[0].scale
                else:
                    self._stack_loras(loras, dtype)
                self.dropout = loras[0].settings.dropout if train else 0.0

    def _stack_loras(self, loras: Sequence[LoraAdapter], dtype: torch.dtype | None) -> None:
        rank = max(x.settings.rank for x in loras)
        for site in dict.fromkeys(site for x in loras for site in x.sites):
            owner = next(x for x in loras if site in x.sites)
            i = owner.sites.index(site)
            shape_a, shape_b = owner.a[i].shape[1], owner.b[i].shape[0]
            parts_a, parts_b = [], []
            for x in loras:
                if site in x.sites:
                    i = x.sites.index(site)
                    missing = rank - x.settings.rank
                    parts_a.append(F.pad(x.a[i], (0, 0, 0, missing)))
                    parts_b.append(F.pad(x.b[i] * x.scale, (0, missing)))
                else:
                    parts_a.append(owner.a[0].new_zeros(rank, shape_a))
                    parts_b.append(owner.b[0].new_zeros(shape_b, rank))
            a, b = torch.stack(parts_a), torch.stack(parts_b)
            self.a[site] = a if dtype is None else a.to(dtype)
            self.b[site] = b if dtype is None else b.to(dtype)

    def rows(self, index: Sequence[int]) -> RowAdapter | None:
        """The adapters of a batch.

        index (Sequence[int]): For each row, its adapter in the bank.
        RETURNS (RowAdapter): What `Core.forward` takes; None if there is nothing to add.
        """
        one = len(set(index)) == 1
        if self.kv is not None:
            pick = torch.as_tensor(index[:1] if one else index, device=self.kv.device)
            return PrefixRows(self.kv if self.n == 1 else self.kv.index_select(2, pick))
        if not self.a:
            return None
        if self.n == 1:
            return LoraRows(self.a, self.b, self.dropout, self.scale)
        device = next(iter(self.a.values())).device
        pick = torch.as_tensor(index[:1] if one else index, device=device)
        a = {site: stack.index_select(0, pick) for site, stack in self.a.items()}
        b = {site: stack.index_select(0, pick) for site, stack in self.b.items()}
        return LoraRows(a, b, self.dropout)
