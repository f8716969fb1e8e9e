"""A bank of adapters: one forward pass for rows of different domains.

All adapters are stacked: LoRA's A and B, the prefixes' keys and values. What a batch takes of them
stands in `rows.py`. While one domain is trained its bank has one adapter, and gradients flow
through the stacking.

Equal adapters are one in the bank: domains that share one, as those that no tuning has improved,
are stacked once, and a batch of them is a batch of one adapter.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import AdapterError
from .adapters import Adapter, LoraAdapter, PrefixAdapter
from .core import RowAdapter
from .rows import LoraOne, LoraRows, PrefixRows

__all__ = ["Bank"]


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
        self.train = train
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
        if self.scale is not None:
            return LoraRows(self.a, self.b, self.dropout, self.scale)
        if one and not self.train:
            return LoraOne(self.a, self.b, index[0])
        device = next(iter(self.a.values())).device
        return self.gather(torch.as_tensor(index, device=device))

    @property
    def n_virtual(self) -> int:
        """Virtual tokens in front of each row."""
        return 0 if self.kv is None else self.kv.shape[-2]

    def keys(self, index: Sequence[int]) -> list[int]:
        """index (Sequence[int]): For each row, its adapter, counted as they were given.
        RETURNS (list[int]): Equal for rows that may lie flat together: LoRA's of one adapter, with
            prefixes all of them.
        """
        return [self.place[i] for i in index] if self.a else [0] * len(index)

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
