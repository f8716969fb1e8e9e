"""Readings of an entity against trying all sequences."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from multibert_spacy.errors import MultibertError
from multibert_spacy.text.crf import legal_transitions
from multibert_spacy.text.readings import posteriors
from multibert_spacy.text.spans import tags_to_entities

FLOATS = st.floats(-5, 5, width=32)
LABELS = ["PER", "LOC"]


@st.composite
def one_doc(draw, max_words=5):
    """Logits of a doc, the head's labels, transitions, barred words, and words of it."""
    labels = LABELS[: draw(st.integers(1, 2))]
    k = 2 * len(labels) + 1
    n = draw(st.integers(1, max_words if k == 3 else max_words - 1))
    logits = draw(npst.arrays(np.float32, (n, k), elements=FLOATS))
    transitions = draw(npst.arrays(np.float32, (k, k), elements=FLOATS))
    barred = np.zeros((n, k), dtype=bool)
    barred[draw(npst.arrays(bool, n)) & draw(npst.arrays(bool, n)), 1:] = True
    start = draw(st.integers(0, n - 1))
    return logits, labels, transitions, barred, (start, draw(st.integers(start + 1, n)))


def all_readings(logits, labels, transitions, barred, words):
    """By trying: each reading of the words and its probability, the most probable first."""
    n, k = logits.shape
    legal = legal_transitions(k)
    probabilities, total = {}, 0.0
    for tags in product(range(k), repeat=n):
        moves = list(zip((0, *tags), tags, strict=False))
        if not all(legal[move] for move in moves) or barred[range(n), tags].any():
            continue
        weight = np.exp(float(logits[range(n), tags].sum() + sum(transitions[m] for m in moves)))
        total += weight
        found = tags_to_entities(tags, labels, [1.0] * n)
        at = [e[:3] for e in found if e.start < words[1] and e.end > words[0]]
        for reading in at or [(*words, "")]:
            probabilities[reading] = probabilities.get(reading, 0.0) + weight
    return sorted(((w / total, reading) for reading, w in probabilities.items()), reverse=True)


@given(one_doc(), st.integers(1, 60))
def test_the_most_probable_of_all_readings(doc, n):
    logits, labels, transitions, barred, words = doc
    expected = all_readings(*doc)
    (posterior,) = posteriors([logits], labels, transitions, [barred])
    found = posterior.readings(*words, n)
    exact = {reading: p for p, reading in expected}
    assert len({e[:3] for e in found}) == len(found) == min(n, len(expected))
    for e, (p, _) in zip(found, expected, strict=False):
        assert e.score == pytest.approx(p, abs=1e-6)
        assert e.score == pytest.approx(exact[e[:3]], abs=1e-6)
    scores = [e.score for e in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


def test_by_hand():
    """Of one word O, B-PER and B-LOC, with weights 1, 2 and 5."""
    logits = np.log(np.array([[1, 2, 9, 5, 9]], dtype="f"))
    (posterior,) = posteriors([logits], LABELS, np.zeros((5, 5), dtype="f"), [None])
    assert [(*e[:3], round(e.score, 6)) for e in posterior.readings(0, 1, 5)] == [
        (0, 1, "LOC", 0.625),
        (0, 1, "PER", 0.25),
        (0, 1, "", 0.125),
    ]


def test_borders_move_and_parts_remain():
    """Weights: nothing 1; the first word, the second, both apart, both as one 2, 3, 6, 8."""
    logits = np.log(np.array([[1, 2, 1], [1, 3, 4]], dtype="f"))
    (posterior,) = posteriors([logits], ["PER"], np.zeros((3, 3), dtype="f"), [None])
    found = {e[:3]: e.score * 20 for e in posterior.readings(0, 2, 9)}
    expected = {(0, 2, ""): 1, (0, 1, "PER"): 8, (1, 2, "PER"): 9, (0, 2, "PER"): 8}
    assert found == pytest.approx(expected, rel=1e-6)
    assert [e[:3] for e in posterior.readings(0, 2, 1)] == [(1, 2, "PER")]
    assert [e[:3] for e in posterior.readings(0, 1, 9) if e.start] == []


def test_equally_probable_readings_are_in_the_order_of_the_text():
    (posterior,) = posteriors([np.zeros((3, 3), "f")], ["PER"], np.zeros((3, 3), "f"), [None])
    first, *others = posterior.readings(0, 3, 9)
    same = [e for e in (first, *others) if e.score == pytest.approx(first.score)]
    assert [e[:2] for e in same] == sorted(e[:2] for e in same)


def test_a_long_doc_of_sure_words():
    """Far words cost nothing: nothing there is as probable as what was found."""
    logits = np.zeros((3000, 3), dtype="f")
    logits[:, 0] = 12
    logits[1500] = [0, 3, 0]
    (posterior,) = posteriors([logits], ["PER"], np.zeros((3, 3), dtype="f"), [None])
    found = posterior.readings(1500, 1501, 3)
    assert [e[:3] for e in found[:2]] == [(1500, 1501, "PER"), (1500, 1501, "")]
    assert found[0].score == pytest.approx(1 / (1 + np.exp(-3)), rel=1e-3)


def test_docs_without_words_have_none():
    assert posteriors([np.zeros((0, 3), "f")], ["PER"], np.zeros((3, 3), "f"), [None]) == [None]


def test_numbers_that_are_none():
    with pytest.raises(MultibertError, match="not finite numbers"):
        posteriors([np.full((1, 3), np.nan, "f")], ["PER"], np.zeros((3, 3), "f"), [None])
