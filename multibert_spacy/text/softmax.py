"""One label of several that exclude each other: probabilities and loss."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from thinc.api import NumpyOps

from ..types import Floats2d

__all__ = ["probabilities", "softmax_loss"]

_OPS = NumpyOps()


def probabilities(logits: Floats2d) -> Floats2d:
    """Return the probabilities (n, k) of labels, whose rows sum to 1, from their logits (n, k)."""
    found: Floats2d = _OPS.softmax(logits.astype(np.float32), axis=-1)
    return found


def softmax_loss(
    logits: Sequence[Floats2d], gold: Sequence[NDArray[np.int64]]
) -> tuple[float, list[Floats2d]]:
    """Find minus the log-probability of the gold labels, and its gradient.

    logits (list): For each doc (n, k), each with a k of its own.
    gold (list): For each doc (n,), indices of labels; below 0 where the label is not known.
    RETURNS (tuple): The mean over all known labels; for each doc its gradient (n, k).
    """
    n_known = max(sum(int((own >= 0).sum()) for own in gold), 1)
    total, gradients = 0.0, []
    for own, labels in zip(logits, gold, strict=True):
        known = np.flatnonzero(labels >= 0)
        gradient = np.zeros_like(own)
        if len(known):
            chances = probabilities(own[known])
            at = np.arange(len(known)), labels[known]
            total -= float(np.log(np.maximum(chances[at], np.finfo(np.float32).tiny)).sum())
            chances[at] -= 1
            gradient[known] = chances / n_known
        gradients.append(gradient)
    return total / n_known, gradients
