"""How the rows of a batch lie in memory: padded to one length, or one behind the other.

A CPU pays for padding in full; batches that are small enough to need none pay for each pass, since
a product of 512 pieces takes 1.12 times as long for each as one of 2,048 (384 x 384, bf16, 2
cores). So there linear layers, which do not ask where a row ends, see all pieces of a batch as one
matrix without padding, and attention alone goes block by block: rows of nearly the same length.

Blocks are gathered and given back by an index, so that their padding costs attention only. It can
be more than it was when a block was a view: sizes of 16, 32, ... in place of odd ones. Both took
the same steps and texts in turn with the code before it (bf16, 2 cores): training on texts of one
length in 0.92 of the time, one domain in 0.94, twelve prefixes in 0.97.

A GPU, for which many small products are slow, and OpenVINO's graph, which has no loop, pad.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from .attention import attend, attend_near

__all__ = ["FlatRows", "Layout", "PaddedRows"]

ALIGNED = 16
"""What the pieces of a batch, and of a row in attention, are made a multiple of. Products and
softmax of odd sizes are slower in 16 bits, and of more sizes more are compiled. In training 8 was
no better than 1, 32 no better than 16.
"""
BLOCK_COST = 48
"""What a further block of attention costs, in pieces: a block ends where its padding is more. With
12, 16 and 40 or 48 the same texts took the same time; fewer blocks are fewer shapes to keep.
"""

Prefix = tuple[Tensor, Tensor]
"""Keys and values in front of each row's own, (b or 1, a, p, d) each."""


class Layout(Protocol):
    """What the core has to know of a batch."""

    def pack(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return ids (b, t) as they lie, and each one's position in its row."""
        ...

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        n_heads: int,
        prefix: Prefix | None,
        dropout: float,
        near: int | None = None,
    ) -> Tensor:
        """Attend within rows.

        q, k, v: As they lie, of width h.
        near (int): How far a piece sees, besides the prefix; None is everywhere.
        RETURNS: The same shape.
        """
        ...

    def unpack(self, x: Tensor) -> Tensor:
        """Return x, as it lies, as (b, t, h). What is behind a row's length is undefined."""
        ...


class PaddedRows:
    """Rows (b, t)."""

    def __init__(self, lengths: Tensor, t: int, n_virtual: int) -> None:
        """Say how rows lie.

        lengths (b,): Pieces of each row, where the core is.
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
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        n_heads: int,
        prefix: Prefix | None,
        dropout: float,
        near: int | None = None,
    ) -> Tensor:
        return _attend(q, k, v, self.seen, n_heads, prefix, dropout, near)

    def unpack(self, x: Tensor) -> Tensor:
        return x


class Block(NamedTuple):
    """Rows of nearly one length, for attention padded to t pieces.

    rows (b,) int64: Which rows of the batch.
    seen (b, 1, 1, p + t) bool: True where a key may be looked at; None is everywhere.
    """

    rows: Tensor
    t: int
    seen: Tensor | None


class FlatRows:
    """Rows one behind the other (n,); for attention they are put in blocks (m,). On a CPU."""

    def __init__(self, lengths: Sequence[int], n_virtual: int = 0) -> None:
        """Say how rows lie.

        lengths (Sequence[int]): Pieces of each row.
        n_virtual (int): Virtual tokens in front of each row's keys.

        n (int): All pieces, and behind them what fills up to a multiple of ALIGNED.
        blocks (list[Block]): In order of length.
        slices (list[tuple]): Each block, and where in m it lies.
        """
        n_pieces = torch.tensor(lengths)
        self._real = torch.arange(int(n_pieces.max())) < n_pieces[:, None]
        self._n_real = int(n_pieces.sum())
        self.n = _aligned(self._n_real)
        starts = n_pieces.cumsum(0) - n_pieces
        self.blocks: list[Block] = []
        places, real = [], []
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        while order:
            b = _first_block([lengths[i] for i in order])
            rows, order = torch.tensor(order[:b]), order[b:]
            longest = _aligned(int(n_pieces[rows[0]]))
            t, own = torch.arange(-n_virtual, longest), n_pieces[rows, None]
            seen = t < own
            whole = bool(seen.all())
            self.blocks.append(Block(rows, longest, None if whole else seen[:, None, None, :]))
            inside = seen[:, n_virtual:]
            places.append((starts[rows, None] + t[n_virtual:] * inside).flatten())
            real.append(inside.flatten())
        ends = pairwise(accumulate((len(own) for own in places), initial=0))
        self.slices = [(own, slice(*at)) for own, at in zip(self.blocks, ends, strict=True)]
        self._place = torch.cat(places)
        is_real = torch.cat(real)
        self._padding = (~is_real).nonzero()[:, 0]
        self._inside = torch.zeros(self.n, dtype=torch.long)
        self._inside[self._place[is_real]] = is_real.nonzero()[:, 0]

    def pack(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        positions = torch.arange(ids.shape[1]).expand(ids.shape)
        filling = (0, self.n - self._n_real)
        return F.pad(ids[self._real], filling), F.pad(positions[self._real], filling)

    def unpack(self, x: Tensor) -> Tensor:
        rows = x.new_zeros(*self._real.shape, x.shape[-1])
        rows[self._real] = x[: self._n_real]
        return rows

    def to_blocks(self, x: Tensor, *, zero: bool = False) -> Tensor:
        """Return x (n, h), as it lies, as (m, h), block after block.

        What is padded is zero, if `zero`, and any finite value otherwise.
        """
        x = x.index_select(0, self._place)
        return x.index_fill_(0, self._padding, 0) if zero else x

    def from_blocks(self, x: Tensor, *, zero: bool = False) -> Tensor:
        """Return x (m, h), block after block, as (n, h), as it lies.

        What fills it up is zero, if `zero`, and any finite value otherwise.
        """
        x = x.index_select(0, self._inside)
        if zero:
            x[self._n_real :] = 0
        return x

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        n_heads: int,
        prefix: Prefix | None,
        dropout: float,
        near: int | None = None,
    ) -> Tensor:
        q, k, v = (self.to_blocks(x) for x in (q, k, v))
        parts = []
        for block, where in self.slices:
            own = prefix
            if prefix is not None and len(prefix[0]) > 1:
                own = prefix[0][block.rows], prefix[1][block.rows]
            shape = (len(block.rows), block.t, q.shape[-1])
            q_, k_, v_ = (x[where].view(shape) for x in (q, k, v))
            out = _attend(q_, k_, v_, block.seen, n_heads, own, dropout, near)
            parts.append(out.flatten(0, 1))
        return self.from_blocks(torch.cat(parts))


def _aligned(n: int) -> int:
    return -(-n // ALIGNED) * ALIGNED


def _first_block(lengths: Sequence[int]) -> int:
    """Return how many rows the first block has.

    lengths (Sequence[int]): From the longest to the shortest.
    """
    padding = 0
    for i, own in enumerate(lengths):
        padding += lengths[0] - own
        if padding > BLOCK_COST:
            return i
    return len(lengths)


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    seen: Tensor | None,
    n_heads: int,
    prefix: Prefix | None,
    dropout: float,
    near: int | None,
) -> Tensor:
    """Attend within rows: q, k and v (b, t, h) to (b, t, h)."""
    shape = q.shape
    q, k, v = (x.view(*x.shape[:2], n_heads, -1).transpose(1, 2) for x in (q, k, v))
    if prefix is not None:
        keys, values = (part.expand(shape[0], -1, -1, -1) for part in prefix)
        k, v = torch.cat((keys, k), dim=2), torch.cat((values, v), dim=2)
    if near is None:
        out = attend(q, k, v, seen, dropout=dropout)
    else:
        out = attend_near(q, k, v, seen, near, dropout=dropout)
    return out.transpose(1, 2).reshape(shape)
