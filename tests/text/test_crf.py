"""The chain against trying all sequences, and against numeric slopes."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from multibert_spacy.text.crf import (
    best_tags,
    chain_loss,
    chain_posterior,
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


@given(chains(max_docs=6, max_words=9), st.randoms())
def test_docs_do_not_depend_on_each_other(chain, random):
    """Bit for bit, in any order."""
    logits, transitions = chain
    order = random.sample(range(len(logits)), len(logits))
    for function in (best_tags, tag_probabilities):
        together = function([logits[i] for i in order], transitions)
        for i, own in zip(order, together, strict=True):
            assert own.tobytes() == function([logits[i]], transitions)[0].tobytes()


@pytest.mark.parametrize("k", [3, 9, 17])
def test_docs_do_not_depend_on_many_others(k):
    rng = np.random.default_rng(0)
    transitions = rng.normal(size=(k, k)).astype("f")
    logits = [rng.normal(0, 3, size=(n, k)).astype("f") for n in rng.integers(0, 40, 70)]
    for function in (best_tags, tag_probabilities):
        for own, found in zip(logits, function(logits, transitions), strict=True):
            assert found.tobytes() == function([own], transitions)[0].tobytes()


def test_a_long_doc_takes_no_more_memory_among_short_ones():
    """Padded, the logits alone were 100 times those of the words there are."""
    rng = np.random.default_rng(0)
    transitions = rng.normal(size=(9, 9)).astype("f")
    logits = [rng.normal(size=(n, 9)).astype("f") for n in [1000, *[4] * 300]]
    gold = [np.ones(len(own), dtype=np.int64) for own in logits]
    calls = {
        "best tags": lambda: best_tags(logits, transitions),
        "probabilities": lambda: tag_probabilities(logits, transitions),
        "loss": lambda: chain_loss(logits, gold, transitions),
    }
    words = sum(own.nbytes for own in logits)
    for name, call in calls.items():
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 30 * words, name


def test_far_into_a_doc_words_are_read_as_anywhere():
    """Sums of logits that grow with the doc: where O has 300, 6 million after 20,000 words, where
    neighbouring numbers in float32 are 0.5 apart. Expected is what the last words have alone:
    those in front of them are a sure O.
    """
    rng = np.random.default_rng(0)
    transitions = np.array([[0.3, -0.2, 0], [0.1, 0, 0.4], [0.2, -0.1, 0.1]], dtype="f")
    tail = rng.normal(0, 0.1, size=(300, 3)).astype("f")
    sure = np.tile(np.array([[300, 0, 0]], dtype="f"), (20_000, 1))
    ((tags,), (found,)) = (
        function([np.concatenate([sure, tail])], transitions)
        for function in (best_tags, tag_probabilities)
    )
    assert not tags[:-300].any()
    assert tags[-300:].tolist() == best_tags([tail], transitions)[0].tolist()
    assert len(set(tags.tolist())) > 1
    np.testing.assert_allclose(found[-300:], tag_probabilities([tail], transitions)[0], atol=1e-6)
    assert found.max() <= 1
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def reference_viterbi(logits, transitions):
    """In plain Python, whose floats have 64 bits: tags O, B, I."""
    moves = transitions.astype(np.float64)
    moves[0, 2] = -np.inf
    columns = [tuple(column) for column in moves.T.tolist()]
    o, b, i = 0.0, -np.inf, -np.inf
    back = []
    for row in logits.tolist():
        paths = [(o + x, b + y, i + z) for x, y, z in columns]
        o, b, i = (max(p) + r for p, r in zip(paths, row, strict=True))
        back.append([p.index(max(p)) for p in paths])
    tags = [[o, b, i].index(max(o, b, i))]
    for before in back[:0:-1]:
        tags.append(before[tags[-1]])
    return tags[::-1]


def test_very_long_docs_are_as_in_float64():
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(220_000, 3)) + 10).astype("f")
    transitions = rng.normal(size=(3, 3)).astype("f")
    (tags,) = best_tags([logits], transitions)
    assert tags.tolist() == reference_viterbi(logits, transitions)


@given(chains(), st.data())
def test_words_may_be_barred_from_entities(chain, data):
    """Minus infinity for all but O: the sequences that remain are all there is."""
    logits, transitions = chain
    for own in logits:
        barred = data.draw(npst.arrays(bool, len(own)))
        own[barred, 1:] = -np.inf
        legal = [
            t for t in legal_sequences(*own.shape) if not np.array(t, dtype=int)[barred].any()
        ]
        with np.errstate(all="raise", under="ignore"):
            (tags,), (found,) = (f([own], transitions) for f in (best_tags, tag_probabilities))
        assert tuple(tags) in legal
        best = max(score(own, transitions, other) for other in legal)
        assert score(own, transitions, tags) == pytest.approx(best, abs=1e-3)
        weights = {tags: np.exp(score(own, transitions, tags)) for tags in legal}
        for i in range(len(own)):
            for tag in range(own.shape[1]):
                expected = sum(w for t, w in weights.items() if t[i] == tag)
                assert found[i, tag] == pytest.approx(expected / sum(weights.values()), abs=1e-5)


@given(st.floats(0, 3000, width=32), st.integers(1, 6), st.integers(0, 2))
def test_logits_may_be_far_apart(height, n_words, favoured):
    """I alone is favoured, and may be reached from B only, however improbable that is."""
    logits = np.zeros((n_words, 3), dtype="f")
    logits[:, favoured] = height
    logits[0] = 0
    with np.errstate(all="raise", under="ignore"):
        (tags,), (found,) = (
            function([logits], np.zeros((3, 3), dtype="f"))
            for function in (best_tags, tag_probabilities)
        )
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)
    if height > 50 and n_words > 1:
        assert tags.tolist() == [{0: 0, 1: 0, 2: 1}[favoured], *[favoured] * (n_words - 1)]
        assert (found[np.arange(1, n_words), tags[1:]] > 0.99).all()


@given(chains(max_docs=1))
def test_the_posterior_is_a_chain(chain):
    """Runs of O, and of one entity, have the product of its weights as their probability."""
    (logits,), transitions = chain
    if not len(logits):
        return
    unary, on = chain_posterior(logits, transitions)
    np.testing.assert_allclose(unary, tag_probabilities([logits], transitions)[0], atol=1e-6)
    weights = {t: np.exp(score(logits, transitions, t)) for t in legal_sequences(*logits.shape)}
    for start, end in product(range(len(logits)), range(1, len(logits) + 1)):
        for tag in range(logits.shape[1]):
            run = (tag, *[tag + tag % 2] * (end - start - 1))
            if start < end:
                found = unary[start, tag]
                for i, own in enumerate(run[:-1]):
                    found *= on[start + i, own]
                expected = sum(w for t, w in weights.items() if t[start:end] == run)
                assert found == pytest.approx(expected / sum(weights.values()), abs=1e-6)
    assert not on[-1].any() and on.min() >= 0 and on.max() <= 1


def test_inputs_are_not_changed():
    logits, moves = [np.ones((2, 3), dtype="f")], np.zeros((3, 3), dtype="f")
    gold = [np.array([1, -100])]
    best_tags(logits, moves)
    tag_probabilities(logits, moves)
    chain_loss(logits, gold, moves)
    assert logits[0].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert gold[0].tolist() == [1, -100] and not moves.any()
