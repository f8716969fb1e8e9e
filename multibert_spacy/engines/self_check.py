"""Does an engine compute what torch computes? Asked whenever one is compiled, on a few rows.

A processor, a version of a library or a core that nobody has tried may make an engine wrong in
silence: int8 groups that did not divide a core's width gave hidden states unlike torch's, on
processors with VNNI only. So the rows are run by the engine and by torch in fp32: all adapters on
one text, texts of several lengths in one batch, one row alone.

What is compared. The deviation of a row is |got - right| / |right - mean|, the mean being that of
all right states: in the hidden states of e5 most of the length is the same for every piece, so
that even unrelated rows are alike. Rounding deviates by less than the limits, another adapter,
wrong lengths, signs, rows or positions by much more. Adapters that do little differ by less than
int8's noise. But noise leads nowhere in particular: hidden states that are clearly nearer to
another adapter's than to their own are that one's.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.encoder import Core

__all__ = ["LIMITS", "find_fault"]

LIMITS = {"fp32": 0.01, "bf16": 0.3, "int8": 0.4}
"""Largest deviation of a row by precision; see above."""
NEARER = 0.7
"""An adapter is mistaken for another whose states are at less than this share of the distance."""
MOST_ADAPTERS = 16
LENGTHS = (2, 5, 17)
SAME = 9
"""Pieces of the text that all adapters read."""

Run = Callable[[Tensor, Tensor, Sequence[int]], Tensor]


def find_fault(
    run: Run, right: Run, core: Core, adapters: Sequence[int], precision: str
) -> str | None:
    """Compare an engine with torch.

    run (Callable): The engine: ids (b, t), lengths (b,), adapter of each row -> (b, t, h).
    right (Callable): The same by torch in fp32.
    core (Core): For the pieces that there are.
    adapters (Sequence[int]): All different ones.
    precision (str): fp32, bf16 or int8.
    RETURNS (str): How far off the engine is; None if it is near.
    """
    for same_text, ids, lengths, index in _batches(core, adapters):
        with torch.no_grad():
            got, expected = run(ids, lengths, index).float(), right(ids, lengths, index).float()
        if got.shape != expected.shape:
            return f"hidden states of shape {tuple(got.shape)}, not {tuple(expected.shape)}"
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        scale = (expected - expected[mask].mean(0)).masked_fill(~mask[..., None], 0)
        wrong = (got - expected).masked_fill(~mask[..., None], 0)
        deviation = wrong.flatten(1).norm(dim=1) / scale.flatten(1).norm(dim=1).clamp(min=1e-6)
        worst, cause = float(deviation.max()), ""
        if not worst <= LIMITS[precision]:  # it may be no number
            cause = f"at most {LIMITS[precision]} is rounding in {precision}"
        elif same_text and _is_mistaken(got, expected):
            cause = "and one adapter is taken for another"
        if cause:
            cosine = torch.cosine_similarity(got[mask], expected[mask], dim=-1).min()
            return (
                f"lowest cosine {float(cosine):.3f}, largest difference "
                f"{float(wrong.abs().max()):.3g}, largest deviation of a row {worst:.3g}, {cause}"
            )
    return None


def _batches(
    core: Core, adapters: Sequence[int]
) -> Iterator[tuple[bool, Tensor, Tensor, list[int]]]:
    """Generate the batches that an engine is checked on.

    YIELDS (tuple): Whether all rows are one text, ids (b, t), lengths (b,), adapters (b).
    """
    rng = np.random.default_rng(0)
    spread = np.linspace(0, len(adapters) - 1, min(len(adapters), MOST_ADAPTERS))
    adapters = [adapters[int(i)] for i in spread]
    longest = min(max(LENGTHS), core.max_pieces)

    def rows(lengths: Sequence[int], texts: int) -> tuple[Tensor, Tensor]:
        own = [min(length, longest) for length in lengths]
        ids = rng.integers(0, core.n_pieces, (texts, max(own))).repeat(len(own) // texts, axis=0)
        for row, length in zip(ids, own, strict=True):
            row[0], row[length - 1], row[length:] = core.bos, core.eos, core.pad
        return torch.from_numpy(ids), torch.tensor(own)

    yield True, *rows([SAME] * len(adapters), 1), adapters
    mixed = [adapters[-1 - i % len(adapters)] for i in range(len(LENGTHS))]
    yield False, *rows(LENGTHS, len(LENGTHS)), mixed
    yield False, *rows([SAME], 1), [adapters[-1]]


def _is_mistaken(got: Tensor, expected: Tensor) -> bool:
    """Return whether states of one text are nearer to another adapter's than to their own.

    got, expected (b, t, h): One text, read with a different adapter in each row.
    """
    distance = torch.cdist(got.flatten(1), expected.flatten(1))
    own = distance.diagonal()
    others = distance + torch.diag(torch.full_like(own, torch.inf))
    return bool((others.amin(1) < NEARER * own).any())
