"""A bank of adapters: one forward pass for rows of different domains.

What a batch takes of them stands in `lora.py` and `prefix.py`. Prefixes are stacked once, they are
small. LoRA's A and B stay where they are, and those of a batch are stacked layer by layer: a stack
of all would keep each adapter in memory twice. While one domain is trained its bank has one
adapter, and gradients flow through.

Equal adapters are one in the bank: domains that share one, as those that no tuning has improved,
are there once, and a batch of them is a batch of one adapter.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.dtypes import cast
from ..core.row_adapter import RowAdapter
from ..errors import AdapterError
from .kinds import Adapter, LoraAdapter, PrefixAdapter
from .lora import LoraMerged, LoraMixed, LoraTrained, Pair
from .prefix import PrefixRows

__all__ = ["Bank"]


def _distinct(adapters: Sequence[Adapter]) -> tuple[list[Adapter], list[int]]:
    """Return the adapters without those that equal an earlier one, and for each adapter given its
    index among them.
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
    """Adapters of one kind, in the order given, equal ones once.

    n (int): How many there are.
    place (list[int]): For each adapter given, its place among them.
    """

    def __init__(
        self, adapters: Sequence[Adapter], dtype: torch.dtype | None = None, *, train: bool = False
    ) -> None:
        """Put adapters into a bank.

        adapters (Sequence[Adapter]): At least one; all LoRA, all prefixes of one length, or all
            NoAdapter. LoRA ranks and sites may differ: missing ones are zero.
        dtype (torch.dtype): The type to compute with them in; None is fp32.
        train (bool): Whether gradients flow and LoRA's dropout is on; makes the adapters fp32.
        RAISES (AdapterError): If the adapters cannot be mixed in one batch.
        """
        kinds = {type(adapter) for adapter in adapters}
        if len(kinds) != 1:
            names = sorted(kind.__name__ for kind in kinds)
            raise AdapterError(f"One component holds adapters of one kind, got {names}")
        self.train = train
        self.dtype = dtype or torch.float32
        if train:
            adapters, self.place = [x.float() for x in adapters], list(range(len(adapters)))
        else:
            adapters, self.place = _distinct(adapters)
        self.n = len(adapters)
        self.kv: Tensor | None = None
        self._pairs: list[dict[str, Pair]] = []
        self._scales: list[float] = []
        self._dropout = 0.0
        prefixes = [x for x in adapters if isinstance(x, PrefixAdapter)]
        if prefixes:
            lengths = sorted({x.settings.n_virtual for x in prefixes})
            if len(lengths) > 1:
                raise AdapterError(f"Prefixes of different lengths in one bank: {lengths}")
            with torch.set_grad_enabled(train):
                self.kv = torch.stack([x.key_values().float() for x in prefixes], dim=2)
                self.kv = self.kv.to(self.dtype)
        for lora in (x for x in adapters if isinstance(x, LoraAdapter)):
            own = lora.pairs().items()
            self._pairs.append(
                {site: (a, b) if train else (a.detach(), b.detach()) for site, (a, b) in own}
            )
            self._scales.append(lora.scale)
            self._dropout = lora.settings.dropout if train else 0.0

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
        if not self._pairs:
            return None
        if self.train and self.n == 1:
            return LoraTrained(self._pairs[0], self._scales[0], self._dropout)
        if one and not self.train:
            return LoraMerged(self._pairs[index[0]], self._scales[index[0]])
        return self._mixed(index)

    @property
    def n_virtual(self) -> int:
        """Virtual tokens in front of each row."""
        return 0 if self.kv is None else self.kv.shape[-2]

    def keys(self, index: Sequence[int]) -> list[int]:
        """Which rows may lie flat together.

        index (Sequence[int]): For each row, its adapter, counted as they were given.
        RETURNS (list[int]): Equal for rows that may lie flat together: LoRA's of one adapter, with
            prefixes all of them.
        """
        return [self.place[i] for i in index] if self._pairs else [0] * len(index)

    def gather(self, pick: Tensor) -> RowAdapter | None:
        """The adapters of rows, by their places in the bank.

        pick (b or 1,) int64: Places.
        RETURNS (RowAdapter): One for each row.
        """
        if self.kv is not None:
            return PrefixRows(self.kv, pick)
        return self._mixed(pick.tolist()) if self._pairs else None

    def _mixed(self, places: Sequence[int]) -> RowAdapter:
        """Stack each site's A and B by row. places (Sequence[int]): The adapter of each row."""
        return LoraMixed(partial(self._stack, places), self._scales_of(places), self._dropout)

    def _scales_of(self, places: Sequence[int]) -> Tensor:
        """Return the scale of each row (b, 1, 1)."""
        a, _ = next(iter(self._pairs[0].values()))
        scales = [self._scales[i] for i in places]
        return torch.tensor(scales, dtype=self.dtype, device=a.device)[:, None, None]

    def _stack(self, places: Sequence[int], site: str) -> Pair | None:
        """Return A (b, r, in) and B (b, out, r) of b rows at a site; None if the adapter of no row
        sits there.
        """
        own = [self._pairs[i].get(site) for i in places]
        there = next((pair for pair in own if pair is not None), None)
        if there is None:
            return None
        a, b = there
        found = [pair or (torch.zeros_like(a), torch.zeros_like(b)) for pair in own]
        rank = max(len(a) for a, _ in found)
        parts_a = [a if len(a) == rank else F.pad(a, (0, 0, 0, rank - len(a))) for a, _ in found]
        parts_b = [b if len(a) == rank else F.pad(b, (0, rank - len(a))) for a, b in found]
        return cast(torch.stack(parts_a), self.dtype), cast(torch.stack(parts_b), self.dtype)

    def _sites(self) -> list[str]:
        """Return the sites of all adapters."""
        return list(dict.fromkeys(site for own in self._pairs for site in own))

    def stacks(self) -> dict[str, Tensor]:
        """What the adapters consist of, by name: A (n, r, in) and scaled B (n, out, r) of each
        LoRA site, or the prefixes' keys and values (l, 2, n, a, p, d). Of adapters not trained.
        """
        if self.kv is not None:
            return {"kv": self.kv}
        found = {}
        for site in self._sites():
            pair = self._stack(range(self.n), site)
            if pair is not None:
                b = pair[1] * self._scales_of(range(self.n))
                found.update({f"a {site}": pair[0], f"b {site}": b})
        return found

    def gather_from(self, stacks: Sequence[Tensor], pick: Tensor) -> RowAdapter | None:
        """The adapters of rows, taken from stacks that were handed in.

        stacks (Sequence[Tensor]): In the order of `stacks`, of any adapters.
        pick (b or 1,) int64: Places in them.
        RETURNS (RowAdapter): One for each row.
        """
        if self.kv is not None:
            return PrefixRows(stacks[0], pick)
        if not self._pairs:
            return None
        pairs = zip(stacks[::2], stacks[1::2], strict=True)
        stacked = dict(zip(self._sites(), pairs, strict=True))

        def own(site: str) -> Pair | None:
            if site not in stacked:
                return None
            a, b = stacked[site]
            return a.index_select(0, pick), b.index_select(0, pick)

        return LoraMixed(own, None)
