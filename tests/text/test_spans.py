"""Decoding with hand-written logits: legal, and the most probable among the legal."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from spacy.tokens import Doc
from spacy.training import biluo_to_iob, iob_to_biluo, offsets_to_biluo_tags
from spacy.vocab import Vocab

from multibert_spacy.text import spans as module
from multibert_spacy.text.spans import bio_tags, tags_to_entities
from multibert_spacy.types import Entity

VOCAB = Vocab()
LABELS = ["PER", "LOC"]
TAGS = {"O": 0, "B-PER": 1, "I-PER": 2, "B-LOC": 3, "I-LOC": 4}


def decode_entities(logits, labels):
    """One doc, all legal transitions alike."""
    k = 2 * len(labels) + 1
    return module.decode_entities([logits], labels, np.zeros((k, k), dtype=np.float32))[0]


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def logits_of(*rows):
    """Each row names logits by tag; the others are 0."""
    logits = np.zeros((len(rows), len(TAGS)), dtype=np.float32)
    for i, row in enumerate(rows):
        for tag, value in row.items():
            logits[i, TAGS[tag]] = value
    return logits


def sure(*tags):
    return logits_of(*({tag: 20.0} for tag in tags))


def is_legal(tags):
    return all(
        tag == 0 or tag % 2 == 1 or before in (tag, tag - 1)
        for before, tag in zip([0, *tags], tags, strict=False)
    )


def spans(entities):
    return [(e.start, e.end, e.label) for e in entities]


def tags_of(entities, n_words):
    """The inverse of `tags_to_entities`."""
    tags = [0] * n_words
    for e in entities:
        begin = 2 * LABELS.index(e.label) + 1
        tags[e.start : e.end] = [begin] + [begin + 1] * (e.end - e.start - 1)
    return tags


def total(log_probs, tags):
    return sum(log_probs[i, tag] for i, tag in enumerate(tags))


@st.composite
def small_logits(draw):
    n_labels = draw(st.integers(1, 2))
    shape = (draw(st.integers(1, 4)), 2 * n_labels + 1)
    values = st.floats(-8, 8, width=32)
    return draw(npst.arrays(np.float32, shape, elements=values))


def test_tags_are_in_the_order_of_the_heads_outputs():
    assert bio_tags(["PER", "LOC"]) == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert bio_tags([]) == ["O"]


class TestDecode:
    @pytest.mark.parametrize(
        "tags, expected",
        [
            (["O", "O"], []),
            (["B-PER"], [(0, 1, "PER")]),
            (["B-PER", "I-PER", "O"], [(0, 2, "PER")]),
            (["B-PER", "B-PER"], [(0, 1, "PER"), (1, 2, "PER")]),
            (["B-PER", "I-PER", "B-PER", "I-PER"], [(0, 2, "PER"), (2, 4, "PER")]),
            (["B-PER", "B-LOC", "I-LOC"], [(0, 1, "PER"), (1, 3, "LOC")]),
            (["O", "B-LOC", "I-LOC", "I-LOC"], [(1, 4, "LOC")]),
        ],
    )
    def test_legal_tags_are_taken_as_they_are(self, tags, expected):
        entities = decode_entities(sure(*tags), LABELS)
        assert spans(entities) == expected
        assert all(e.score == pytest.approx(1.0, abs=1e-6) for e in entities)

    def test_no_words(self):
        assert decode_entities(np.zeros((0, 5), dtype=np.float32), LABELS) == []

    def test_a_head_without_labels(self):
        assert decode_entities(np.ones((3, 1), dtype=np.float32), []) == []

    def test_an_inside_that_continues_nothing_becomes_the_likelier_of_begin_and_o(self):
        logits = logits_of({"O": 1.0}, {"I-PER": 3.0, "B-PER": 2.0, "O": 1.0})
        assert spans(decode_entities(logits, LABELS)) == [(1, 2, "PER")]
        logits = logits_of({"O": 1.0}, {"I-PER": 3.0, "B-PER": 1.0, "O": 2.0})
        assert decode_entities(logits, LABELS) == []

    def test_an_inside_on_the_first_word_is_illegal_too(self):
        logits = logits_of({"I-LOC": 5.0, "B-LOC": 4.0})
        assert spans(decode_entities(logits, LABELS)) == [(0, 1, "LOC")]

    def test_the_word_before_changes_if_that_is_likelier(self):
        logits = logits_of({"O": 2.0, "B-PER": 1.9}, {"I-PER": 5.0})
        assert spans(decode_entities(logits, LABELS)) == [(0, 2, "PER")]

    def test_labels_do_not_mix_inside_an_entity(self):
        logits = logits_of({"B-PER": 5.0}, {"I-LOC": 2.0, "I-PER": 1.0})
        assert spans(decode_entities(logits, LABELS)) == [(0, 2, "PER")]

    def test_a_word_without_pieces_ends_an_entity(self):
        logits = sure("B-PER", "O", "I-PER")
        logits[1] = [30, 0, 0, 0, 0]
        entities = decode_entities(logits, LABELS)
        assert (1, 2) not in [(e.start, e.end) for e in entities]
        assert all(not (e.start <= 1 < e.end) for e in entities)

    def test_scores_are_the_mean_probability_of_the_entitys_tags(self):
        """Sequences: O with O or B weighs 3, B with O, B or I 8 * 9, of them B I 48."""
        weights = np.array([[1, 8, 5], [2, 1, 6]], dtype=np.float32)
        entities = decode_entities(np.log(weights), ["PER"])
        assert entities == [Entity(0, 2, "PER", pytest.approx((72 / 75 + 48 / 75) / 2, abs=1e-5))]

    def test_the_score_is_a_probability_among_legal_tags(self):
        probabilities = [[0.1, 0.3, 0.5, 0.05, 0.05]]  # I-PER is best, and illegal
        logits = np.log(np.array(probabilities, dtype=np.float32))
        (entity,) = decode_entities(logits, LABELS)
        assert entity == Entity(0, 1, "PER", pytest.approx(0.3 / 0.45, abs=1e-5))

    @settings(deadline=None)
    @given(small_logits())
    def test_the_best_legal_sequence_by_trying_all(self, logits):
        n_words, n_tags = logits.shape
        labels = LABELS[: n_tags // 2]
        log_probs = log_softmax(logits).astype(np.float64)
        legal = [tags for tags in product(range(n_tags), repeat=n_words) if is_legal(tags)]
        best = max(total(log_probs, tags) for tags in legal)
        entities = decode_entities(logits, labels)
        tags = tags_of(entities, n_words)
        assert is_legal(tags)
        assert total(log_probs, tags) == pytest.approx(best, abs=1e-4)
        argmax = logits.argmax(-1).tolist()
        two = np.sort(logits, axis=-1)[:, -2:]
        if is_legal(argmax) and (two[:, 1] - two[:, 0] > 1e-4).all():  # of equals either will do
            assert tags == argmax
        assert all(0 <= e.score <= 1 for e in entities)

    @settings(deadline=None)
    @given(small_logits(), st.floats(-50, 50, width=32))
    def test_adding_a_constant_to_a_words_logits_changes_nothing(self, logits, shift):
        labels = LABELS[: logits.shape[1] // 2]
        log_probs = log_softmax(logits)
        plain = tags_of(decode_entities(logits, labels), len(logits))
        moved = tags_of(decode_entities(logits + shift, labels), len(logits))
        # not the tags: of two equally good sequences either will do
        assert total(log_probs, moved) == pytest.approx(total(log_probs, plain), abs=1e-3)

    def test_huge_logits_do_not_overflow(self):
        logits = sure("B-PER", "I-PER") * np.float32(1e6)
        assert decode_entities(logits, LABELS) == [Entity(0, 2, "PER", 1.0)]


class TestTagsToEntities:
    def test_literal(self):
        tags = [0, 1, 2, 3, 0, 3, 4, 4]
        scores = [0.1, 0.2, 0.4, 0.5, 0.1, 1.0, 0.5, 0.0]
        assert tags_to_entities(tags, LABELS, scores) == [
            Entity(1, 3, "PER", pytest.approx(0.3)),
            Entity(3, 4, "LOC", 0.5),
            Entity(5, 8, "LOC", 0.5),
        ]

    def test_nothing(self):
        assert tags_to_entities([], LABELS, []) == []
        assert tags_to_entities([0, 0], LABELS, [1.0, 1.0]) == []

    @settings(deadline=None)
    @given(st.lists(st.sampled_from(["O", "S-PER", "S-LOC", "L-PER", "L-LOC"]), max_size=10))
    def test_spacy_reads_the_same_entities(self, runs):
        """S is an entity of one word, L one of three; spaCy's own helpers are the reference."""
        bio = []
        for run in runs:
            kind, _, label = run.partition("-")
            bio += ["O"] if kind == "O" else [f"B-{label}"] + [f"I-{label}"] * (2 * (kind == "L"))
        names = bio_tags(LABELS)
        entities = tags_to_entities([names.index(t) for t in bio], LABELS, [1.0] * len(bio))

        doc = Doc(VOCAB, words=["کلمه"] * len(bio))
        offsets = [(doc[e.start].idx, doc[e.end - 1].idx + 4, e.label) for e in entities]
        biluo = offsets_to_biluo_tags(doc, offsets)
        assert biluo == iob_to_biluo(bio)
        assert biluo_to_iob(biluo) == bio
        same = Doc(VOCAB, words=["کلمه"] * len(bio), ents=bio)
        assert [(e.start, e.end, e.label_) for e in same.ents] == spans(entities)
