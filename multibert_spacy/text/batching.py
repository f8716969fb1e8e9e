"""Batches by a budget of pieces, sorted by length.

On a CPU padding is paid in full: batches in input order are much slower. Sorting inside a
buffer of the stream keeps memory bounded, and the caller puts results back into input order.

Rows that will be padded, and rows that will lie one behind the other (`core/packing.py`), want
batches of their own kind.
"""

from collections.abc import Sequence

from ..errors import ConfigError

__all__ = ["PASS_COST", "batch_by_pieces", "batch_flat"]


PASS_COST = 64
"""What a pass costs besides its pieces, in pieces: chosen by speed of training. A batch that is
sorted by words still has rows of very different pieces.
"""


def batch_by_pieces(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group rows of similar length.

    A batch ends where it is full, or where its padding has come to cost as much as another pass.

    lengths (Sequence[int]): Pieces of each row.
    budget (int): Padded pieces a batch may hold: its rows times its longest row. A longer row is a
        batch of its own.
    RETURNS (list[list[int]]): Indices into `lengths`; each exactly once, longest batches first, so
        that a batch too large for the memory fails at once.
    RAISES (ConfigError): If the budget is below 1.
    """
    _check(budget)
    batches: list[list[int]] = []
    longest = padding = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        padding += longest - lengths[i]
        if not batches or (len(batches[-1]) + 1) * longest > budget or padding > PASS_COST:
            batches.append([])
            longest, padding = lengths[i], 0
        batches[-1].append(i)
    return batches


WIDEST = 8
"""What a flat batch may come to in budgets where it is padded, as its input and its output are."""


def batch_flat(
    lengths: Sequence[int], keys: Sequence[int], budget: int, *, alone: int
) -> list[list[int]]:
    """Group rows of one key (of one adapter), which will lie one behind the other.

    The batches are of nearly the same size. Keys with few pieces are mixed, in batches that will
    be padded.

    lengths (Sequence[int]): Pieces of each row.
    keys (Sequence[int]): The key of each.
    budget (int): Pieces a batch may hold. A longer row is a batch of its own.
    alone (int): Pieces that are enough for a key's own batches.
    RETURNS (list[list[int]]): Indices into `lengths`; each exactly once, in a batch from the
        longest to the shortest.
    RAISES (ConfigError): If the budget is below 1.
    """
    _check(budget)
    by_key: dict[int, list[int]] = {}
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        by_key.setdefault(keys[i], []).append(i)
    few = [key for key, rows in by_key.items() if sum(lengths[i] for i in rows) < alone]
    rest = [i for key in few for i in by_key.pop(key)] if len(few) > 1 else []
    batches = [batch for rows in by_key.values() for batch in _cut(rows, lengths, budget)]
    mixed = batch_by_pieces([lengths[i] for i in rest], budget)
    return batches + [[rest[i] for i in batch] for batch in mixed]


def _cut(rows: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Cut rows into as few batches as possible, of about the same size, in the same order."""
    total = sum(lengths[i] for i in rows)
    share = total / max(1, -(-total // budget))
    batches: list[list[int]] = []
    size = longest = 0
    for i in rows:
        longest = max(longest, lengths[i])
        full = size + lengths[i] > budget or size + lengths[i] / 2 > share
        if not batches or full or (len(batches[-1]) + 1) * longest > WIDEST * budget:
            batches.append([])
            size, longest = 0, lengths[i]
        batches[-1].append(i)
        size += lengths[i]
    return batches


def _check(budget: int) -> None:
    if budget < 1:
        raise ConfigError(f"A batch must hold at least 1 piece, got batch_pieces={budget}")
