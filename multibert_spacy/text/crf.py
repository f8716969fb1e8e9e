"""A linear chain over the tags of a doc's words (Lafferty et al. 2001): best sequence, loss, and
probabilities of tags, for many docs at once.

A sequence's score is the sum of its words' logits and of the transitions between neighbours; in
front of the first word stands O. Transitions that BIO forbids (an I- that does not continue its
own B- or I-) are ruled out whatever their value. With all other transitions at zero the best
sequence is the most probable legal one of independent words. A logit of minus infinity rules a
tag of a word out; O must not be.

Why a chain: of the errors of independent words on the dev parts, the largest class was borders,
one name cut in two above all. Adding even a quarter of the corpora's own log-odds of tag pairs to
models trained without a chain made them better.

Sums are in float64 and, where they grow with the doc, start anew at each word: in float32 the
best sequence of a very long doc is a wrong one. No doc is padded: the words lie step by step,
first the first words of all docs, then the second ones of those that have two (see `Steps`), so
that memory and time are those of the words there are. Padding to the longest doc would take
gigabytes for a long one among many short ones; batches by length would bound that, and take more
steps. What tagging computes for a doc never depends on the others, bit for bit.

Shapes: n docs, m words of all of them, w words of one, k tags; see `types.py`.
"""

from collections.abc import Sequence

import numpy as np

from ..types import Floats2d
from .forward_backward import Floats, Moves, Steps, Tags, forward_backward, legal_transitions

__all__ = [
    "best_tags",
    "chain_loss",
    "chain_posterior",
    "legal_transitions",
    "tag_probabilities",
]


def best_tags(logits: Sequence[Floats2d], transitions: Floats2d) -> list[Tags]:
    """The best legal sequence of each doc (Viterbi).

    logits (list): For each doc (w, k).
    transitions (k, k): From the row's tag to the column's.
    RETURNS (list): For each doc (w,).
    """
    k = len(transitions)
    moves = np.where(legal_transitions(k), transitions.astype(np.float64), -np.inf)
    tags = [np.zeros(len(own), dtype=np.int64) for own in logits]
    order = [i for i in _longest_first(logits) if not _surely_outside(logits[i], moves)]
    if not order:
        return tags
    steps = Steps.of([len(logits[i]) for i in order])
    emissions = steps.pack([logits[i] for i in order])
    # Docs stand last: a step is k * k sums of vectors, which is fast for many docs and for one.
    onward = np.ascontiguousarray(moves.T)[:, :, None]
    scores = np.empty(emissions.size)
    best = np.where(np.arange(k) == 0, 0.0, -np.inf)[:, None].repeat(len(order), axis=1)
    for start, end in steps.in_order():
        best = (best[:, : end - start] + onward).max(axis=1) + emissions[start:end].T
        scores[start * k : end * k] = best.reshape(-1)
    # Scores are kept and not back-pointers: finding the latter on the way took most of the time.
    found = np.empty(len(emissions), dtype=np.int64)
    here = np.zeros(len(order), dtype=np.int64)
    n_on = 0  # docs that go on; for the others this is the last word
    for start, end in steps.backwards():
        n = end - start
        best = scores[start * k : end * k].reshape(k, n)
        following = here[:n_on]
        if n > n_on:
            here[n_on:n] = best[:, n_on:].argmax(axis=0)
        if n_on:
            (best[:, :n_on] + moves.take(following, axis=1)).argmax(axis=0, out=following)
        found[start:end] = here[:n]
        n_on = n
    for i, own in zip(order, steps.unpack(found), strict=True):
        tags[i] = own
    return tags


def tag_probabilities(logits: Sequence[Floats2d], transitions: Floats2d) -> list[Floats2d]:
    """Return the probability of each tag of each word, given all words of its doc.

    RETURNS (list): For each doc (w, k), never above 1.
    """
    result: list[Floats2d] = [np.zeros(own.shape, dtype=np.float32) for own in logits]
    order = [i for i in _longest_first(logits) if len(logits[i])]
    if order:
        steps = Steps.of([len(logits[i]) for i in order])
        emissions = steps.pack([logits[i] for i in order])
        unary = forward_backward(steps, emissions, Moves.of(transitions)).unary()
        for i, own in zip(order, steps.unpack(unary), strict=True):
            result[i][:] = own
    return result


def chain_posterior(logits: Floats2d, transitions: Floats2d) -> tuple[Floats, Floats]:
    """Compute what a doc's tags are, given all of its words: again a chain.

    Its weights depend on the place. Any run of words that keeps on with O, or with one entity, has
    the probability of its first tag times that of going on at each word but the last.

    logits (w, k), transitions (k, k): Of one doc, with at least one word.
    RETURNS (tuple): The probability of each tag (w, k), and the probability that behind a word
        with this tag its entity goes on, or behind O another O comes (w, k); 0 behind the last.
    """
    moves = Moves.of(transitions)
    steps = Steps.of([len(logits)])
    emissions = steps.pack([logits])
    sums = forward_backward(steps, emissions, moves)
    following = (emissions + sums.backward)[1:]
    tag = np.arange(logits.shape[1])
    same = np.where((tag > 0) & (tag % 2 == 1), tag + 1, tag)
    going_on = np.zeros_like(sums.backward)
    chosen = transitions.astype(np.float64)[tag, same] + following[:, same]
    going_on[:-1] = np.exp(np.minimum(chosen - moves.back(following), 0.0))
    return sums.unary(), going_on


def chain_loss(
    logits: Sequence[Floats2d], gold: Sequence[Tags], transitions: Floats2d
) -> tuple[float, list[Floats2d], Floats2d]:
    """Minus the log-probability of the gold sequences, summed over the docs.

    logits (list): For each doc (w, k).
    gold (list): For each doc (w,); -100 where the tag is not known, which any tag fits.
    transitions (k, k): From the row's tag to the column's.
    RETURNS (tuple): The loss, its gradient by the logits, a (w, k) for each doc, and by the
        transitions (k, k); zero for forbidden ones.
    """
    order = [i for i in _longest_first(logits) if (gold[i] >= 0).any()]
    d_logits: list[Floats2d] = [np.zeros(own.shape, dtype=np.float32) for own in logits]
    k = len(transitions)
    if not order:
        return 0.0, d_logits, np.zeros((k, k), dtype=np.float32)
    moves = Moves.of(transitions, with_forbidden=True)
    steps = Steps.of([len(logits[i]) for i in order])
    emissions = steps.pack([logits[i] for i in order]).astype(np.float64)
    tags = steps.pack([gold[i] for i in order])
    bound = emissions.copy()
    known = np.flatnonzero(tags >= 0)
    bound[known] = -1e9
    bound[known, tags[known]] = emissions[known, tags[known]]
    free, tied = forward_backward(steps, emissions, moves), forward_backward(steps, bound, moves)
    gradient = steps.unpack(free.unary() - tied.unary())
    for i, own in zip(order, gradient, strict=True):
        d_logits[i][:] = own
    pairs = free.pairs(steps, emissions, moves) - tied.pairs(steps, bound, moves)
    d_transitions = np.where(legal_transitions(k), pairs, 0.0).astype(np.float32)
    return float((free.log_z - tied.log_z).sum()), d_logits, d_transitions


def _longest_first(logits: Sequence[Floats2d]) -> list[int]:
    return sorted(range(len(logits)), key=lambda i: -len(logits[i]))


def _surely_outside(logits: Floats2d, moves: Floats) -> bool:
    """Return whether O throughout is the best sequence.

    It is if no other tag makes up for what it costs, even with the best transition into it and the
    best one out of it.
    """
    if not len(logits) or logits.shape[1] == 1:
        return True
    gain = float(moves.max() - moves[0, 0])
    return bool((logits[:, 1:].max(axis=1) - logits[:, 0] + 2 * gain < 0).all())
