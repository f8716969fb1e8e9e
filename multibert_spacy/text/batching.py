"""Batches by a budget of pieces, sorted by length.

On a CPU padding is paid in full: batches in input order take twice the time (measured with the
embedded core, see `metrics/speed.json` once the benchmark has run). Sorting inside a buffer of
the stream keeps memory bounded, and the caller puts results back into input order.
"""

from collections.abc import Sequence

from ..errors import ConfigError

__all__ = ["PASS_COST", "batch_by_pieces"]


PASS_COST = 64
"""What a pass costs besides its pieces, in pieces. In training on batches of 512 padded words of
ParsNER-social (one core), 32, 64, 128, 256 and no limit gave 990, 1,040, 1,010, 1,000 and 830
pieces/s: a batch that is sorted by words still has rows of very different pieces.
"""


def batch_by_pieces(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group rows of similar length: a batch ends where it is full, or where its padding has come
    to cost as much as another pass.

    lengths (Sequence[int]): Pieces of each row.
    budget (int): Padded pieces a batch may hold: its rows times its longest row. A longer row
        is a batch of its own.
    RETURNS (list[list[int]]): Indices into `lengths`; each exactly once, longest batches first,
        so that a batch too large for the memory fails at once.
    RAISES (ConfigError): If the budget is below 1.
    """
    if budget < 1:
        raise ConfigError(f"A batch must hold at least 1 piece, got batch_pieces={budget}")
    batches: list[list[int]] = []
    longest = padding = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        padding += longest - lengths[i]
        if not batches or (len(batches[-1]) + 1) * longest > budget or padding > PASS_COST:
            batches.append([])
            longest, padding = lengths[i], 0
        batches[-1].append(i)
    return batches
