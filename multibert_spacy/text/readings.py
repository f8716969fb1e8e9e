"""Other readings of an entity: what else its words may be, and how probable each is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappush, heappushpop

import numpy as np
from numpy.typing import NDArray

from ..types import Entity, Floats2d
from .crf import chain_posterior
from .spans import bar, check_finite

__all__ = ["Posterior", "posteriors"]


@dataclass(frozen=True)
class Posterior:
    """The probabilities of the tags of a doc's w words, given all of them.

    labels: Of the head.
    unary, going_on (w, k): See `chain_posterior`.
    """

    labels: Sequence[str]
    unary: NDArray[np.float64]
    going_on: NDArray[np.float64]

    def readings(self, start: int, end: int, n: int) -> list[Entity]:
        """The most probable readings of the words [start, end).

        A reading says that there is an entity, with these borders and this label, that has one of
        the words in it; or that none of them is in an entity, with the label "". As two readings
        may hold together (of two words, each may be an entity of its own), their probabilities
        need not sum to 1.

        start, end (int): Words, at least one.
        n (int): How many, at least 1.
        RETURNS (list[Entity]): At most n with a probability above 0, as their score; the most
            probable first. They are exact: of all readings in the doc, not of a beam.
        """
        nothing = self.unary[start, 0] * self.going_on[start : end - 1, 0].prod()
        best = _Best(n)
        best.add(Entity(start, end, "", float(nothing)))
        for i, label in enumerate(self.labels):
            for begin, covered in self._begins(start, end, 2 * i + 1, best):
                self._add_ends(begin, max(start, begin), covered, label, 2 * i + 1, best)
        return best.sorted()

    def _begins(self, start: int, end: int, b: int, best: "_Best") -> Iterator[tuple[int, float]]:
        """Find the words where an entity may begin that is one of the n best.

        YIELDS (tuple): The word, and the probability that an entity begins there and, where that
            is in front of `start`, reaches it.
        """
        for begin in range(start, end):
            yield begin, float(self.unary[begin, b])
        onward = 1.0  # from behind the word to `start`
        for begin in range(start - 1, -1, -1):
            from_b = self.unary[begin, b] * self.going_on[begin, b] * onward
            from_i = self.unary[begin, b + 1] * self.going_on[begin, b + 1] * onward
            if from_b + from_i <= best.least:  # all that begin here, or further in front
                return
            yield begin, float(from_b)
            onward *= self.going_on[begin, b + 1]

    def _add_ends(
        self, begin: int, last: int, covered: float, label: str, b: int, best: "_Best"
    ) -> None:
        """Add the entities that begin at a word, one for each end that may be one of the n best.

        covered (float): The probability that an entity begins at `begin` and has all words up to
            `last` in it.
        """
        while covered > best.least:
            on = float(self.going_on[last, b if last == begin else b + 1])
            best.add(Entity(begin, last + 1, label, covered * (1.0 - on)))
            covered *= on
            last += 1


class _Best:
    """The n entities with the highest scores of those added."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._heap: list[tuple[float, int, int, str]] = []
        """Score, begin and end with a minus (of equal ones the first stays), label."""

    @property
    def least(self) -> float:
        """The score that another one has to exceed."""
        return self._heap[0][0] if len(self._heap) == self._n else 0.0

    def add(self, e: Entity) -> None:
        """Add one, if it is among them."""
        if e.score > self.least or len(self._heap) == self._n:
            push = heappush if len(self._heap) < self._n else heappushpop
            push(self._heap, (e.score, -e.start, -e.end, e.label))

    def sorted(self) -> list[Entity]:
        """Return the entities, the best first."""
        return [
            Entity(-start, -end, label, score)
            for score, start, end, label in sorted(self._heap, reverse=True)
            if score > 0
        ]


def posteriors(
    logits: Sequence[Floats2d],
    labels: Sequence[str],
    transitions: Floats2d,
    barred: Sequence[NDArray[np.bool_] | None],
) -> list[Posterior | None]:
    """Decode as `decode_entities`, with all that may be in place of what is best.

    RETURNS (list): For each doc; None for one without words.
    """
    found: list[Posterior | None] = []
    for own, tags in zip(logits, barred, strict=True):
        check_finite(own, "multibert_ner")
        weights = chain_posterior(bar(own, tags), transitions) if len(own) else None
        found.append(None if weights is None else Posterior(labels, *weights))
    return found
