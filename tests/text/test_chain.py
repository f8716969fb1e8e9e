"""The chain against trying all sequences, and against numeric slopes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from multibert_spacy.text.chain import (
    best_tags,
    chain_loss,
    legal_transitions,
    tag_probabilities,
)

FLOATS = st.floats(-6, 6, width=32)


@st.composite
def chains(draw, max_docs=3, max_words=4):
    """Logits of some docs, and transitions."""
    k = 2 * draw(st.integers(1, 2)) + 1
    lengths = draw(st.lists(st.integers(0, max_words), min_size=1, max_size=max_docs))
    logits = [draw(npst.arrays(np.float32, (n, k), elements=FLOATS)) for n in lengths]
    return logits, draw(npst.arrays(np.float32, (k, k), elements=FLOATS))


def legal_sequences(n_words, n_tags):
    legal = legal_transitions(n_tags)
    for tags in product(range(n_tags), repeat=n_words):
        if all(legal[a, b] for a, b in zip((0, *tags), tags, strict=False)):
            yield tags


def score(logits, transitions, tags):
    total = 0.0
    for i, (before, tag) in enumerate(zip((0, *tags), tags, strict=False)):
        total += float(logits[i, tag]) + float(transitions[before, tag])
    return total


def test_legal_transitions_of_one_label():
    assert legal_transitions(3).tolist() == [
        [True, True, False],  # O: not I
        [True, True, True],
        [True, True, True],
    ]


def test_legal_transitions_do_not_mix_labels():
    legal = legal_transitions(5)  # O, B-A, I-A, B-B, I-B
    assert [bool(legal[tag, 4]) for tag in range(5)] == [False, False, False, True, True]


@settings(deadline=None)
@given(chains())
def test_the_best_of_all_legal_sequences(chain):
    logits, transitions = chain
    for own, tags in zip(logits, best_tags(logits, transitions), strict=True):
        legal = list(legal_sequences(*own.shape))
        assert tuple(tags) in legal
        best = max(score(own, transitions, other) for other in legal)
        assert score(own, transitions, tags) == pytest.approx(best, abs=1e-3)


@settings(deadline=None)
@given(chains())
def test_probabilities_by_counting_all_legal_sequences(chain):
    logits, transitions = chain
    for own, found in zip(logits, tag_probabilities(logits, transitions), strict=True):
        expected = np.zeros(own.shape)
        weights = {
            tags: np.exp(score(own, transitions, tags)) for tags in legal_sequences(*own.shape)
        }
        for tags, weight in weights.items():
            for i, tag in enumerate(tags):
                expected[i, tag] += weight / sum(weights.values())
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_transition_decides():
    logits = [np.array([[0, 2, 0], [0, 1.0, 1.5]], dtype="f")]
    still = np.zeros((3, 3), dtype="f")
    assert best_tags(logits, still)[0].tolist() == [1, 2]
    again = still.copy()
    again[1, 1] = 1  # B after B
    assert best_tags(logits, again)[0].tolist() == [1, 1]


def test_the_first_word_comes_after_o():
    moves = np.zeros((3, 3), dtype="f")
    moves[0, 1] = -3
    logits = [np.array([[0, 2, 0]], dtype="f")]
    assert best_tags(logits, moves)[0].tolist() == [0]


def test_loss_by_hand():
    """Legal sequences of one word: O and B, with weights 1 and 3."""
    logits = [np.log(np.array([[1, 3, 7]], dtype="f"))]
    loss, [d_logits], d_moves = chain_loss(logits, [np.array([1])], np.zeros((3, 3), dtype="f"))
    assert loss == pytest.approx(np.log(4 / 3))
    assert d_logits == pytest.approx(np.array([[0.25, -0.25, 0]]), abs=1e-6)
    assert d_moves == pytest.approx(np.array([[0.25, -0.25, 0], [0] * 3, [0] * 3]), abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(chains(max_words=3), st.data())
def test_gradients_are_slopes(chain, data):
    logits, transitions = chain
    k = len(transitions)
    gold = []
    for own in logits:
        tags = data.draw(st.sampled_from(list(legal_sequences(*own.shape))))
        known = data.draw(st.lists(st.booleans(), min_size=len(own), max_size=len(own)))
        gold.append(np.where(known, np.array(tags, dtype=np.int64), -100))
    _, d_logits, d_moves = chain_loss(logits, gold, transitions)
    step = 1e-2

    def slope(change):
        up, down = (chain_loss(*change(sign * step))[0] for sign in (1, -1))
        return (up - down) / (2 * step)

    for d, own in enumerate(logits):
        for at in np.ndindex(own.shape):

            def moved(by, d=d, at=at):
                new = [other.astype(np.float64) for other in logits]
                new[d][at] += by
                return [x.astype(np.float32) for x in new], gold, transitions

            assert d_logits[d][at] == pytest.approx(slope(moved), abs=5e-3)
    for at in np.ndindex((k, k)):

        def changed(by, at=at):
            new = transitions.copy()
            new[at] += by
            return logits, gold, new

        assert d_moves[at] == pytest.approx(slope(changed), abs=5e-3)


def test_unknown_tags_have_no_loss_and_no_gradient():
    logits = [np.ones((3, 3), dtype="f")]
    loss, [d_logits], d_moves = chain_loss(logits, [np.full(3, -100)], np.zeros((3, 3), dtype="f"))
    assert loss == 0 and not d_logits.any() and not d_moves.any()


def test_an_impossible_gold_sequence_has_a_finite_loss():
    """Gold says I behind O: two words without pieces, the first of them with a gold tag of O."""
    logits = [np.array([[30, 0, 0], [30, 0, 0], [0, 0, 9]], dtype="f")]
    gold = [np.array([0, -100, 2])]
    loss, [d_logits], d_moves = chain_loss(logits, gold, np.zeros((3, 3), dtype="f"))
    assert 20 < loss < 200
    assert np.isfinite(d_logits).all() and np.isfinite(d_moves).all()


def test_no_docs_and_no_words():
    moves = np.zeros((3, 3), dtype="f")
    nothing = np.zeros((0, 3), dtype="f")
    assert best_tags([], moves) == []
    assert [tags.shape for tags in best_tags([nothing], moves)] == [(0,)]
    assert [p.shape for p in tag_probabilities([nothing], moves)] == [(0, 3)]
    assert chain_loss([nothing], [np.zeros(0, dtype=np.int64)], moves)[0] == 0


@settings(deadline=None)
@given(chains())
def test_docs_do_not_depend_on_each_other(chain):
    logits, transitions = chain
    together = best_tags(logits, transitions)
    alone = [best_tags([own], transitions)[0] for own in logits]
    assert [t.tolist() for t in together] == [t.tolist() for t in alone]


def test_inputs_are_not_changed():
    logits, moves = [np.ones((2, 3), dtype="f")], np.zeros((3, 3), dtype="f")
    gold = [np.array([1, -100])]
    best_tags(logits, moves)
    tag_probabilities(logits, moves)
    chain_loss(logits, gold, moves)
    assert logits[0].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert gold[0].tolist() == [1, -100] and not moves.any()
