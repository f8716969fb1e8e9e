"""A bank of adapters: one forward pass for rows of different domains.

LoRA: A and B of all adapters are stacked; each linear layer gathers its rows' own when it is
reached and applies them with two batched matmuls. Gathered for all layers at once they do not fit
the processor's cache: 12 domains took 1.32 times the bare core's time, and 1.16 layer by layer.
Prefix: stacked keys and values, gathered likewise. While one domain is trained its bank has one
adapter, gradients flow through the stacking, and the gather falls away.

Equal adapters are one in the bank: domains that share one, as those that no tuning has improved,
are stacked once, and a batch of them needs no gather.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import AdapterError
from .adapters import Adapter, LoraAdapter, PrefixAdapter
from .core import RowAdapter

__all__ = ["Bank"]


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


def _distinct(adapters: Sequence[Adapter]) -> tuple[list[Adapter], list[int]]:
    """RETURNS (tuple): The adapters without those that equal an earlier one, and for each adapter
    given its index among them.
    """
    kept: list[tuple[Adapter, dict[str, Tensor]]] = []
    place = []
    for adapter in adapters:
        own = adapter.export()
        for i, (other, tensors) in enumerate(kept):
            if (
                adapter.settings == other.settings
                and own.keys() == tensors.keys()
                and all(torch.equal(own[name], tensors[name]) for name in own)
            ):
                place.append(i)
                break
        else:
            place.append(len(kept))
            kept.append((adapter, own))
    return [adapter for adapter, _ in kept], place


class Bank:
    """Adapters of one kind, stacked in the order given, equal ones once.

    n (int): How many are stacked.
    place (list[int]): For each adapter given, its place in the stack.
    """

    def __init__(
        self, adapters: Sequence[Adapter], dtype: torch.dtype | None = None, *, train: bool = False
    ) -> None:
        """adapters (Sequence[Adapter]): At least one; all LoRA, all prefixes of one length, or all
            NoAdapter. LoRA ranks and sites may differ: missing ones are zero.
        dtype (torch.dtype): The type to hold them in; None is fp32.
        train (bool): Whether gradients flow and LoRA's dropout is on; makes the adapters fp32.
        RAISES (AdapterError): If the adapters cannot be mixed in one batch.
        """
        kinds = {type(adapter) for adapter in adapters}
        if len(kinds) != 1:
            names = sorted(kind.__name__ for kind in kinds)
            raise AdapterError(f"One component holds adapters of one kind, got {names}")
        self.kv: Tensor | None = None
        self.a: dict[str, Tensor] = {}
        self.b: dict[str, Tensor] = {}
        self.dropout = 0.0
        self.scale: float | None = None
        with torch.set_grad_enabled(train):
            if train:
                adapters, self.place = [x.float() for x in adapters], list(range(len(adapters)))
            else:
                adapters, self.place = _distinct(adapters)
            self.n = len(adapters)
            prefixes = [x for x in adapters if isinstance(x, PrefixAdapter)]
            loras = [x for x in adapters if isinstance(x, LoraAdapter)]
            if prefixes:
                lengths = sorted({x.settings.n_virtual for x in prefixes})
                if len(lengths) > 1:
                    raise AdapterError(f"Prefixes of different lengths in one bank: {lengths}")
                self.kv = torch.stack([x.key_values().float() for x in prefixes], dim=2)
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
                    parts_a.append(F.pad(x.a[i].float(), (0, 0, 0, missing)))
                    parts_b.append(F.pad(x.b[i].float() * x.scale, (0, missing)))
                else:
                    parts_a.append(owner.a[0].new_zeros(rank, shape_a, dtype=torch.float32))
                    parts_b.append(owner.b[0].new_zeros(shape_b, rank, dtype=torch.float32))
            a, b = torch.stack(parts_a), torch.stack(parts_b)
            self.a[site] = a if dtype is None else a.to(dtype)
            self.b[site] = b if dtype is None else b.to(dtype)

    def rows(self, index: Sequence[int]) -> RowAdapter | None:
        """The adapters of a batch.

        index (Sequence[int]): For each row, its adapter, counted as they were given.
        RETURNS (RowAdapter): What `Core.forward` takes; None if there is nothing to add.
        """
        index = [self.place[i] for i in index]
        one = len(set(index)) == 1
        if self.kv is not None:
            if self.n == 1:
                return PrefixRows(self.kv)
            return self.gather(torch.as_tensor(index[:1] if one else index, device=self.kv.device))
        if not self.a:
            return None
        if self.n == 1:
            return LoraRows(self.a, self.b, self.dropout, self.scale)
        device = next(iter(self.a.values())).device
        return self.gather(torch.as_tensor(index[:1] if one else index, device=device))

    def gather(self, pick: Tensor) -> RowAdapter | None:
        """pick (b or 1,) int64: Places in the stack. RETURNS (RowAdapter): One for each row."""
        if self.kv is not None:
            return PrefixRows(self.kv, pick)
        return LoraRows(self.a, self.b, self.dropout, pick=pick) if self.a else None

    @property
    def stacks(self) -> dict[str, Tensor]:
        """What the adapters consist of, by name: A (n, r, in) and B (n, out, r) of each LoRA site,
        or the prefixes' keys and values (l, 2, n, a, p, d). Of adapters that are not trained.
        """
        if self.kv is not None:
            return {"kv": self.kv}
        own = {"a": self.a, "b": self.b}
        return {f"{k} {site}": part[site] for site in self.a for k, part in own.items()}

    def with_stacks(self, stacks: Sequence[Tensor]) -> "Bank":
        """RETURNS (Bank): The same with other adapters, in the order of `stacks`."""
        other = copy.copy(self)
        if self.kv is not None:
            other.kv = stacks[0]
        else:
            other.a = dict(zip(self.a, stacks[::2], strict=True))
            other.b = dict(zip(self.a, stacks[1::2], strict=True))
        return other
