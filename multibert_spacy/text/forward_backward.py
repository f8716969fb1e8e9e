"""Sums over all tag sequences of many docs at once (forward-backward), and the order in which
their words lie meanwhile. `crf.py` says what for.

Everything is in logs that start anew at each word, so that they stay exact in docs of any length.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..types import Floats2d

__all__ = ["Moves", "Steps", "Sums", "forward_backward", "legal_transitions"]

Floats = NDArray[np.float64]
Tags = NDArray[np.int64]

FORBIDDEN = -50.0
"""Log-weight of a forbidden transition in the loss: finite, so that a gold sequence which a word
without pieces has cut in two has a finite loss."""


def legal_transitions(n_tags: int) -> NDArray[np.bool_]:
    """Return whether the tag of the column may follow that of the row, (k, k) bool."""
    tag = np.arange(n_tags)
    inside = (tag > 0) & (tag % 2 == 0)
    legal: NDArray[np.bool_] = ~inside | (tag[:, None] == tag) | (tag[:, None] == tag - 1)
    return legal


class Steps(NamedTuple):
    """The order in which the words of many docs lie, the longest doc first: step i holds the i-th
    word of each doc that has one, at [starts[i], starts[i + 1]).
    """

    starts: list[int]
    lengths: Tags  # (n,) words of each doc
    places: Tags  # (m,) where the words are, doc by doc

    @classmethod
    def of(cls, lengths: Sequence[int]) -> "Steps":
        """Lay out the words of docs step by step.

        lengths (Sequence[int]): Words of each doc, none of them 0, in falling order.
        """
        sizes = np.array(lengths, dtype=np.int64)
        reach = len(sizes) - np.cumsum(np.bincount(sizes))[:-1]  # docs longer than i
        starts = np.concatenate([[0], np.cumsum(reach)])
        docs = np.repeat(np.arange(len(sizes)), sizes)
        within = np.arange(len(docs)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return cls(starts.tolist(), sizes, starts[within] + docs)

    def pack(self, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Put values of docs into this order.

        values (list): For each doc (w, ...).
        RETURNS (m, ...): In this order.
        """
        joined: NDArray[Any] = np.concatenate(values)
        packed = np.empty_like(joined)
        packed[self.places] = joined
        return packed

    def unpack(self, packed: NDArray[Any]) -> list[NDArray[Any]]:
        """The inverse of `pack`."""
        docs: list[NDArray[Any]] = np.split(packed[self.places], np.cumsum(self.lengths)[:-1])
        return docs

    def in_order(self) -> Iterator[tuple[int, int]]:
        """Yield where each step starts and ends."""
        yield from pairwise(self.starts)

    def backwards(self) -> Iterator[tuple[int, int]]:
        """Yield where each step starts and ends, from the last step to the first."""
        for end, start in pairwise(reversed(self.starts)):
            yield start, end

    def neighbours(self) -> tuple[Tags, Tags]:
        """Return where each word lies that is not its doc's first, and the one before it.

        RETURNS (tuple): Both (m - n,).
        """
        reach = np.diff(self.starts)
        after = np.arange(self.starts[1], self.starts[-1])
        return after, after - np.repeat(reach[:-1], reach[1:])

    def last(self) -> Tags:
        """Return the place (n,) of each doc's last word."""
        last: Tags = self.places[np.cumsum(self.lengths) - 1]
        return last


class Moves(NamedTuple):
    """Sums over one transition, in logs: two ways.

    Where forbidden transitions have no weight, the tags that may follow any other (O and B-) are
    summed as products of weights, and I-, with two tags before it, as logs: under one product an
    I- would be lost whose B- is 700 below the word's best tag. Each row is multiplied for itself,
    since the rounding of one matrix product depends on its size, and so on the other docs.

    Where they have a weight, as in the loss, one product does.
    """

    logs: Floats  # (k, k)
    anywhere: Tags  # (l + 1,) O and the B-
    onward: Floats  # (k, l + 1) weights from the row's tag to these
    backward: Floats  # (l + 1, k) the same, transposed
    from_b: Floats  # (l,) log-weights of I- behind its B-
    from_i: Floats  # (l,) behind itself
    weights: Floats | None  # (k, k) of all transitions, where forbidden ones have one

    @classmethod
    def of(cls, transitions: Floats2d, *, with_forbidden: bool = False) -> "Moves":
        """Prepare the transitions of a head for summing.

        transitions (k, k): Those of the head.
        with_forbidden (bool): Whether forbidden transitions have a weight: `FORBIDDEN`.
        """
        logs = transitions.astype(np.float64)
        begin = np.arange(1, len(logs), 2)
        anywhere = np.concatenate([[0], begin])
        onward = np.exp(logs[:, anywhere])
        backward = np.ascontiguousarray(onward.T)
        from_b, from_i = logs[begin, begin + 1], logs[begin + 1, begin + 1]
        weights = np.exp(np.where(legal_transitions(len(logs)), logs, FORBIDDEN))
        own = weights if with_forbidden else None
        return cls(logs, anywhere, onward, backward, from_b, from_i, own)

    def forth(self, logs: Floats) -> Floats:
        """One step forwards.

        logs (n, k): Of all that leads to each tag of a word; the best of a row is 0.
        RETURNS (n, k): For the next word, without its own logits.
        """
        if self.weights is not None:
            following: Floats = np.log(np.exp(logs) @ self.weights)
            return following
        opening = np.log(_rowwise(np.exp(logs), self.onward))
        summed = np.empty_like(logs)
        summed[:, 0] = opening[:, 0]
        summed[:, 1::2] = opening[:, 1:]
        summed[:, 2::2] = np.logaddexp(logs[:, 1::2] + self.from_b, logs[:, 2::2] + self.from_i)
        return summed

    def back(self, logs: Floats) -> Floats:
        """One step backwards.

        logs (n, k): Of all that follows each tag of a word, with its own logits.
        RETURNS (n, k): For the word before.
        """
        if self.weights is not None:
            top = logs.max(axis=1, keepdims=True)
            before: Floats = np.log(np.exp(logs - top) @ self.weights.T) + top
            return before
        opening, inside = logs.take(self.anywhere, axis=1), logs[:, 2::2]
        top = opening.max(axis=1, keepdims=True)
        summed: Floats = np.log(_rowwise(np.exp(opening - top), self.backward)) + top
        summed[:, 1::2] = np.logaddexp(summed[:, 1::2], inside + self.from_b)
        summed[:, 2::2] = np.logaddexp(summed[:, 2::2], inside + self.from_i)
        return summed


class Sums(NamedTuple):
    """Log-weights of tag sequences.

    forward (m, k): Of the sequences up to each tag of each word, the best of a word 0.
    backward (m, k): Of those behind it, the best 0.
    log_z (n,): Of all sequences of a doc.
    """

    forward: Floats
    backward: Floats
    log_z: Floats

    def unary(self) -> Floats:
        """Return the probabilities (m, k) of tags; each word's sum to 1."""
        return _softmax(self.forward + self.backward)

    def pairs(self, steps: Steps, emissions: NDArray[Any], moves: Moves) -> Floats:
        """Return the expected numbers (k, k) of legal transitions in all docs.

        The first transition of a doc is from O.
        """
        after, before = steps.neighbours()
        following = emissions[after] + self.backward[after]
        leading = self.forward[before]
        total = _log_sum(leading + moves.back(following))
        pairs: Floats = np.exp(leading).T @ np.exp(following - total)
        pairs *= np.where(legal_transitions(len(pairs)), np.exp(moves.logs), 0.0)
        pairs[0] += self.unary()[: len(self.log_z)].sum(axis=0)
        return pairs


def forward_backward(steps: Steps, emissions: NDArray[Any], moves: Moves) -> Sums:
    """Forward-backward.

    emissions (m, k): Logits in the order of the steps.
    """
    forward, backward = np.empty(emissions.shape), np.zeros(emissions.shape)
    log_z = np.zeros(len(steps.lengths))
    logs = np.where(np.arange(emissions.shape[1]) == 0, 0.0, -np.inf)[None].repeat(len(log_z), 0)
    for start, end in steps.in_order():
        n = end - start
        logs = moves.forth(logs[:n]) + emissions[start:end]
        top = logs.max(axis=1, keepdims=True)
        logs -= top
        forward[start:end] = logs
        log_z[:n] += top[:, 0]
    log_z += _log_sum(forward[steps.last()])[:, 0]
    for i in range(len(steps.starts) - 2, 0, -1):
        before, start, end = steps.starts[i - 1 : i + 2]
        logs = moves.back(backward[start:end] + emissions[start:end])
        logs -= logs.max(axis=1, keepdims=True)
        backward[before : before + end - start] = logs
    return Sums(forward, backward, log_z)


def _log_sum(logs: Floats) -> Floats:
    """Return the log of the sum of exp of each row, (n, 1)."""
    top = logs.max(axis=1, keepdims=True)
    summed: Floats = np.log(np.exp(logs - top).sum(axis=1, keepdims=True)) + top
    return summed


def _softmax(logs: Floats) -> Floats:
    """Return exp of the rows (n, k), each divided by its sum; in place."""
    logs -= logs.max(axis=1, keepdims=True)
    np.exp(logs, out=logs)
    logs /= logs.sum(axis=1, keepdims=True)
    return logs


def _rowwise(rows: Floats, matrix: Floats) -> Floats:
    """Return rows (n, k) @ matrix (k, l), each row for itself."""
    product: Floats = (rows[:, None, :] @ matrix)[:, 0]
    return product
