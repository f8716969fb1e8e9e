"""Between docs and the network: rows, batches, gold tags, the loss."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from multibert_spacy.errors import ConfigError, DomainError
from multibert_spacy.names import check_name
from multibert_spacy.pipeline.batching import (
    Row,
    by_name,
    doc_loss,
    doc_rows,
    doc_words,
    gold_tags,
    join_by_doc,
    row_batches,
    split_by_row,
    tag_pairs,
)

VOCAB = Vocab()


def core(max_pieces=512):
    """Pieces of a word are its letters' code points."""
    return SimpleNamespace(
        pieces=lambda words: [tuple(map(ord, word)) for word in words],
        max_pieces=max_pieces,
        bos=1,
        eos=2,
        pad=0,
    )


def rows_of(
    *docs, window=512, overlap=0, max_pieces=512, normalizer=str, domain="news", signs=False
):
    docs = [doc if isinstance(doc, Doc) else Doc(VOCAB, words=doc) for doc in docs]
    return doc_rows(
        docs,
        [domain] * len(docs),
        core(max_pieces),
        normalizer,
        window=window,
        overlap=overlap,
        signs=[signs] * len(docs),
    )


# Names


@pytest.mark.parametrize("name", ["news", "it_news", "اخبار", "a-b.c", "9", "_", "a" * 100])
def test_legal_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".news", "-a", "a/b", "a\\b", "a b", "a\n", "a:b", "a\0", "a" * 101]
)
def test_illegal_names(name):
    with pytest.raises(ConfigError, match="Illegal domain name"):
        check_name(name)


@given(st.one_of(st.text(max_size=12), st.text("abخ._-/\\ ۱", min_size=1, max_size=4)))
def test_legal_names_are_folder_names(tmp_path_factory, name):
    try:
        check_name(name)
    except ConfigError:
        return
    root = tmp_path_factory.getbasetemp() / "names"
    assert (root / name).resolve().parent == root.resolve()
    (root / name).mkdir(parents=True, exist_ok=True)
    assert name in {path.name for path in root.iterdir()}


# Rows


def test_rows_by_hand():
    (row,) = rows_of(["ab", "c"])
    assert (row.doc, row.domain, list(row.ids)) == (0, "news", [97, 98, 99])
    assert row.firsts.tolist() == [1, 3]
    assert row.words.tolist() == [0, 1]


def test_the_normal_form_is_what_is_seen():
    (row,) = rows_of(["ab", "xx", "c"], normalizer=lambda word: word.replace("x", "").upper())
    assert list(row.ids) == [65, 66, 67]
    assert row.firsts.tolist() == [1, 3]
    assert row.words.tolist() == [0, 2]


def test_docs_without_words_have_no_row():
    rows = rows_of([], ["a"], ["\u200e", " ", "https://t.co/a"], ["b"], normalizer=no_marks)
    assert [(row.doc, list(row.ids)) for row in rows] == [(1, [97]), (3, [98])]


@pytest.mark.parametrize(
    "window, max_pieces, longest",
    [(10, 512, 8), (512, 10, 8), (10, 10, 8), (3, 512, 1)],
)
def test_window_and_core_bound_a_row(window, max_pieces, longest):
    rows = rows_of(["a"] * 20, window=window, max_pieces=max_pieces)
    assert max(len(row.ids) for row in rows) == longest
    assert sum(len(row.firsts) for row in rows) == 20


def test_the_overlap_may_be_more_than_the_core_allows():
    rows = rows_of(["a"] * 20, window=512, overlap=128, max_pieces=10)
    assert sum(len(row.firsts) for row in rows) == 20
    assert max(len(row.ids) for row in rows) <= 8


@settings(deadline=None)
@given(
    st.lists(st.lists(st.text("ab", max_size=6), max_size=30), max_size=4),
    st.integers(3, 12),
    st.integers(0, 12),
)
def test_each_word_is_kept_in_one_row(docs, window, overlap):
    """And where it has pieces, the row has its first one at that place."""
    sizes = {"window": window, "overlap": overlap}
    rows = rows_of(
        *[[word or " " for word in words] for words in docs], normalizer=no_marks, **sizes
    )
    for i, words in enumerate(docs):
        own = [row for row in rows if row.doc == i]
        found = [
            (int(word), chr(row.ids[first - 1]))
            for row in own
            for word, first in zip(row.words, row.firsts, strict=True)
        ]
        assert found == [(j, word[0]) for j, word in enumerate(words) if word]
    assert all(len(row.ids) <= window - 2 for row in rows)
    plain = rows_of(*[[word for word in words if word] for words in docs], **sizes)
    assert [(row.ids, row.firsts.tolist()) for row in rows] == [
        (row.ids, row.firsts.tolist()) for row in plain
    ]


def no_marks(word):
    """White space and marks have no normal form."""
    return word.strip(" \n\u200e")


# Batches


def model(batches):
    """A model that wants these batches."""
    asked = SimpleNamespace(core=core())
    asked.batches = lambda *args, is_train: asked.__dict__.update(args=args) or batches
    return asked


def test_batches_by_hand():
    rows = [*rows_of(["a"], ["aaaa"]), *rows_of(["bb"], domain="travel")]
    asked = model([[1, 2], [0]])
    batches = list(row_batches(rows, asked, 12))
    assert asked.args == ([3, 6, 4], ["news", "news", "travel"], 12)
    assert [index for index, _ in batches] == [[1, 2], [0]]
    batch = batches[0][1]
    assert batch.ids.tolist() == [[1, 97, 97, 97, 97, 2], [1, 98, 98, 2, 0, 0]]
    assert batch.lengths.tolist() == [6, 4]
    assert [first.tolist() for first in batch.firsts] == [[1], [1]]
    assert list(batch.domains) == ["news", "travel"]


@given(st.lists(st.integers(1, 9), max_size=12), st.randoms())
def test_rows_are_packed_in_the_order_asked_for(lengths, random):
    rows = rows_of(*[["a" * n] for n in lengths])
    order = random.sample(range(len(rows)), len(rows))
    for index, batch in row_batches(rows, model([order[::2], order[1::2]]), 100):
        for i, ids, n in zip(index, batch.ids, batch.lengths, strict=True):
            assert ids[:n].tolist() == [1, *rows[i].ids, 2]
            assert not ids[n:].any()


# join_by_doc and split_by_row


@given(st.lists(st.lists(st.integers(0, 4), max_size=4), max_size=5), st.integers(1, 3))
def test_splitting_and_joining_are_inverse(docs, width):
    """docs: for each, the number of kept words of its windows."""
    rng = np.random.default_rng(0)
    rows = [
        a_row(i, range(sum(own[:j]), sum(own[: j + 1])))
        for i, own in enumerate(docs)
        for j in range(len(own))
    ]
    blank = [Doc(VOCAB, words=["a"] * sum(own)) for own in docs]
    words = doc_words(rows, blank, [False] * len(docs))
    parts = [rng.random((len(row.firsts), width)).astype("f") for row in rows]
    joined = join_by_doc(rows, parts, words)
    assert [len(values) for values in joined] == [sum(own) for own in docs]
    for a, b in zip(split_by_row(rows, joined, words), parts, strict=True):
        assert a.tolist() == b.tolist()


def a_row(i, words):
    return Row(i, "news", [], np.ones(len(words), dtype=np.int64), np.array(words, dtype=np.int64))


def test_joining_by_hand():
    """A word is bridged, one is a link; nothing is seen of the second doc."""
    docs = [["a", " ", "b", "http://a", "c"], [" "], ["a"]]
    rows = [a_row(0, [0, 2]), a_row(0, [4]), a_row(2, [0])]
    words = doc_words(rows, [Doc(VOCAB, words=own) for own in docs], [False] * 3)
    parts = [np.array(x, dtype="f") for x in ([[1], [2]], [[3]], [[4]])]
    joined = join_by_doc(rows, parts, words)
    assert [values.tolist() for values in joined] == [[[1], [2], [30], [3]], [], [[4]]]
    back = split_by_row(rows, joined, words)
    assert [part.tolist() for part in back] == [part.tolist() for part in parts]


# Gold tags


def example(words, ents, predicted=None):
    reference = Doc(VOCAB, words=words, ents=ents)
    return Example(Doc(VOCAB, words=predicted or words), reference)


def test_gold_tags_by_hand():
    """O, B-LOC, I-LOC, B-ORG, I-ORG."""
    words = ["a", "b", "c", "d", "e", "f", "g"]
    eg = example(words, ["O", "B-ORG", "B-LOC", "I-LOC", "I-LOC", "B-LOC", "O"])
    assert gold_tags(eg, ["LOC", "ORG"], "news").tolist() == [0, 3, 1, 2, 2, 1, 0]


@pytest.mark.parametrize("label", ["EU-ORG", "SKILL-TOOL", "U-L-I", "B-X"])
def test_labels_may_look_like_tags(label):
    eg = example(["a", "b", "c"], [f"B-{label}", f"I-{label}", f"B-{label}"])
    assert gold_tags(eg, ["X", label], "news").tolist() == [3, 4, 3]


def test_missing_tags():
    eg = Example(Doc(VOCAB, words=["a", "b"]), Doc(VOCAB, words=["a", "b"]))
    assert gold_tags(eg, ["LOC"], "news").tolist() == [-100, -100]
    eg = example(["a", "b", "c"], ["O", "O", "B-LOC"])
    eg.reference.set_ents(list(eg.reference.ents), missing=[eg.reference[0:1]])
    assert gold_tags(eg, ["LOC"], "news").tolist() == [-100, 0, 1]


def test_words_that_do_not_fit():
    eg = example(["ab", "c", "d"], ["B-LOC", "I-LOC", "O"], predicted=["a", "b", "c", "d"])
    tags = gold_tags(eg, ["LOC"], "news")
    assert tags.tolist()[2:] == [2, 0]
    eg = example(["a", "b", "d"], ["O", "B-LOC", "O"], predicted=["ab", "d"])
    assert gold_tags(eg, ["LOC"], "news").tolist() == [-100, 0]


def test_unknown_labels_are_named():
    eg = example(["a"], ["B-EVE"])
    with pytest.raises(DomainError, match="'EVE'.*'news'.*LOC, ORG"):
        gold_tags(eg, ["LOC", "ORG"], "news")


def test_tag_pairs():
    docs = [
        Doc(VOCAB, words=["a", "b", "c", "d"], ents=["B-LOC", "I-LOC", "O", "B-EVE"]),
        Doc(VOCAB, words=["a", "b"], ents=["B-LOC", "O"]),
        Doc(VOCAB, words=[]),
    ]
    assert tag_pairs(docs, ["LOC", "ORG"]).tolist() == [
        [1, 2, 0, 0, 0],  # O to O; O to B-LOC twice: the first words
        [1, 0, 1, 0, 0],
        [1, 0, 0, 0, 0],
        [0] * 5,
        [0] * 5,
    ]
    assert tag_pairs([], ["LOC"]).tolist() == [[0] * 3] * 3


# Loss


def moves(domain):
    return np.zeros((3, 3), dtype="f") if domain == "news" else np.zeros((5, 5), dtype="f")


def test_loss_by_hand():
    """One word with the legal tags O and B of weights 1 and 3, one without a gold tag."""
    logits = [np.log(np.array([[1, 3, 7], [4, 1, 3]], dtype="f"))]
    loss, [gradient], d_moves = doc_loss(logits, [np.array([1, -100])], ["news"], moves)
    weights = {"O": 1 * (4 + 1), "B": 3 * (4 + 1 + 3)}
    assert loss == pytest.approx(np.log(29 / 24))
    assert gradient[0] == pytest.approx([5 / 29, -5 / 29, 0], abs=1e-6)
    assert list(d_moves) == ["news"] and sum(weights.values()) == 29


def test_loss_is_per_word_over_all_domains():
    one = [np.zeros((1, 3), dtype="f"), np.zeros((3, 5), dtype="f")]
    gold = [np.array([0]), np.array([0, 0, 0])]
    loss, gradients, d_moves = doc_loss(one, gold, ["news", "sports"], moves)
    alone = [
        doc_loss([one[0]], [gold[0]], ["news"], moves),
        doc_loss([one[1]], [gold[1]], ["sports"], moves),
    ]
    assert loss == pytest.approx((alone[0][0] + 3 * alone[1][0]) / 4)
    assert gradients[1] == pytest.approx(alone[1][1][0] * 3 / 4)
    assert d_moves["news"] == pytest.approx(alone[0][2]["news"] / 4)


def test_loss_of_nothing():
    loss, gradients, _ = doc_loss(
        [np.zeros((0, 3), dtype="f")], [np.zeros(0, dtype=np.int64)], ["news"], moves
    )
    assert (loss, gradients[0].shape) == (0.0, (0, 3))


def test_members_in_order_of_first_place():
    assert list(by_name(["b", "a", "b"])) == [("b", [0, 2]), ("a", [1])]
