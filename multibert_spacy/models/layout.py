"""How the rows of a batch lie in memory: padded to one length, or one behind the other.

A CPU pays for padding in full; batches that are small enough to need none pay for each pass, since
a product of 512 pieces takes 1.12 times as long for each as one of 2,048 (384 x 384, bf16, 2
cores). So there linear layers, which do not ask where a row ends, see all pieces of a batch as one
matrix, and attention alone goes block by block: runs of rows of nearly the same length.

A GPU, for which many small products are slow, and OpenVINO's graph, which has no loop, pad.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .attention import attend

__all__ = ["FlatRows", "Layout", "PaddedRows"]

BLOCK_COST = 48
"""What a further block of attention costs, in pieces: a block ends where its padding is more. With
12, 16 and 40 or 48 the same texts took the same time; fewer blocks are fewer shapes to keep.
"""

Prefix = tuple[Tensor, Tensor]
"""Keys and values in front of each row's own, (b or 1, a, p, d) each."""


class Layout(Protocol):
    """What the core has to know of a batch."""

    def pack(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids (b, t). RETURNS (tuple): ids as they lie, and each one's position in its row."""
        ...

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, n_heads: int, prefix: Prefix | None, dropout: float
    ) -> Tensor:
        """q, k, v: As they lie, of width h. RETURNS: The same shape."""
        ...

    def unpack(self, x: Tensor) -> Tensor:
        """x: As it lies. RETURNS (b, t, h): What is behind a row's length is undefined."""
        ...


class PaddedRows:
    """Rows (b, t)."""

    def __init__(self, lengths: Tensor, t: int, n_virtual: int) -> None:
        """lengths (b,): Pieces of each row, where the core is.
        t (int): The longest.
        n_virtual (int): Virtual tokens in front of each row's keys.
        """
        self.t = t
        self.seen: Tensor | None = None
        if len(lengths) > 1 or int(lengths[0]) < t:
            seen = torch.arange(-n_virtual, t, device=lengths.device) < lengths[:, None]
            self.seen = seen[:, None, None, :]

    def pack(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        return ids, torch.arange(self.t, device=ids.device)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, n_heads: int, prefix: Prefix | None, dropout: float
    ) -> Tensor:
        return _attend(q, k, v, self.seen, n_heads, prefix, dropout)

    def unpack(self, x: Tensor) -> Tensor:
        return x


class Block(NamedTuple):
    """Rows [start, stop) of a batch, padded to t pieces; seen (b, 1, 1, p + t) bool is True where
    a key may be looked at, None is everywhere.
    """

    start: int
    stop: int
    t: int
    seen: Tensor | None


class FlatRows:
    """Rows one behind the other (n,), block after block. On a CPU."""

    def __init__(self, lengths: Sequence[int], n_virtual: int = 0) -> None:
        """lengths (Sequence[int]): Pieces of each row; in order of length there are fewer blocks.
        n_virtual (int): Virtual tokens in front of each row's keys.

        starts (list[int]): Where in n each row begins. n (int): All pieces, with what is padded.
        slices (list[tuple]): Each block, and where in n it lies.
        """
        self.blocks: list[Block] = []
        self.starts: list[int] = []
        self.n = 0
        start = 0
        while start < len(lengths):
            stop, t = _end_of_block(lengths, start)
            own = torch.tensor(lengths[start:stop])
            seen = None
            if int(own.min()) < t:
                seen = (torch.arange(-n_virtual, t) < own[:, None])[:, None, None, :]
            self.blocks.append(Block(start, stop, t, seen))
            size = (stop - start) * t
            self.starts += range(self.n, self.n + size, t)
            self.n += size
            start = stop
        self._sizes = [(block.stop - block.start) * block.t for block in self.blocks]
        ends = pairwise(accumulate(self._sizes, initial=0))
        self.slices = [(own, slice(*at)) for own, at in zip(self.blocks, ends, strict=True)]

    def pack(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        parts = [ids[block.start : block.stop, : block.t] for block in self.blocks]
        positions = [torch.arange(part.shape[1]).repeat(part.shape[0]) for part in parts]
        return torch.cat([part.flatten() for part in parts]), torch.cat(positions)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, n_heads: int, prefix: Prefix | None, dropout: float
    ) -> Tensor:
        parts = []
        split = (x.split_with_sizes(self._sizes) for x in (q, k, v))
        for block, own_q, own_k, own_v in zip(self.blocks, *split, strict=True):
            shape = (block.stop - block.start, block.t, q.shape[-1])
            own = prefix
            if prefix is not None and len(prefix[0]) > 1:
                keys, values = prefix
                own = keys[block.start : block.stop], values[block.start : block.stop]
            a = _attend(
                own_q.view(shape),
                own_k.view(shape),
                own_v.view(shape),
                block.seen,
                n_heads,
                own,
                dropout,
            )
            parts.append(a.flatten(0, 1))
        return torch.cat(parts)

    def unpack(self, x: Tensor) -> Tensor:
        t = max(block.t for block in self.blocks)
        rows = x.new_zeros(len(self.starts), t, x.shape[-1])
        for block, part in zip(self.blocks, x.split_with_sizes(self._sizes), strict=True):
            rows[block.start : block.stop, : block.t] = part.view(-1, block.t, x.shape[-1])
        return rows


def _end_of_block(lengths: Sequence[int], start: int) -> tuple[int, int]:
    """RETURNS (tuple): Where the block that begins at `start` ends, and its longest row."""
    t, padding, stop = lengths[start], 0, start + 1
    while stop < len(lengths):
        longest = max(t, lengths[stop])
        padding += (longest - t) * (stop - start) + longest - lengths[stop]
        if padding > BLOCK_COST:
            break
        t, stop = longest, stop + 1
    return stop, t


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    seen: Tensor | None,
    n_heads: int,
    prefix: Prefix | None,
    dropout: float,
) -> Tensor:
    """q, k, v (b, t, h). RETURNS (b, t, h)."""
    shape = q.shape
    q, k, v = (x.view(*x.shape[:2], n_heads, -1).transpose(1, 2) for x in (q, k, v))
    if prefix is not None:
        keys, values = (part.expand(shape[0], -1, -1, -1) for part in prefix)
        k, v = torch.cat((keys, k), dim=2), torch.cat((values, v), dim=2)
    return attend(q, k, v, seen, dropout=dropout).transpose(1, 2).reshape(shape)
