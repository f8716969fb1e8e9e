"""Which words get a tag: seen ones, links and blank lines; all else is bridged."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from multibert_spacy.text.crf import best_tags, legal_transitions
from multibert_spacy.text.words import LINE_BREAK, LIST_BREAK, read_hashtags, tagged_words
from multibert_spacy.types import Entity

VOCAB = Vocab()
LINK = "https://a.ir/b"


def words_of(*words):
    """Letters are seen."""
    seen = [i for i, word in enumerate(words) if word.isalpha()]
    return tagged_words(Doc(VOCAB, words=list(words)), np.array(seen, dtype=np.int64))


def roles(*words):
    own = words_of(*words)
    return own.places.tolist(), own.cut.tolist(), own.breaks.tolist()


def test_words_that_are_all_seen():
    assert roles("a", "b") == ([0, 1], [False] * 2, [0] * 2)
    assert roles() == ([], [], [])


@pytest.mark.parametrize(
    "mark", [" ", "  ", "\u00a0", "\t", "\u2009", "\u200c", "\u064e", "\ufeff"]
)
def test_what_is_not_seen_is_bridged(mark):
    assert roles(mark, "a", mark, mark, "b", mark) == ([1, 4], [False] * 2, [0] * 2)


def test_a_link_is_cut():
    assert roles("a", LINK, "b", " ") == ([0, 1, 2], [False, True, False], [0] * 3)
    assert roles("a", " ", LINK, " ", "b")[:2] == ([0, 2, 4], [False, True, False])


@pytest.mark.parametrize("word", [LINK, "\n\n", "\n", " "])
def test_nothing_is_cut_in_front_of_a_text_or_behind_it(word):
    assert roles(word, "a", "b", word, word) == ([1, 2], [False] * 2, [0] * 2)


@pytest.mark.parametrize("ends", [["\n"], ["\r\n"], ["\r"], [" \n "], ["\u200e", "\n"], ["\x85"]])
def test_a_line_break_is_known_of(ends):
    n = len(ends) + 1
    assert roles("a", *ends, "b") == ([0, n], [False] * 2, [0, LINE_BREAK])


@pytest.mark.parametrize(
    "ends", [["\n\n"], ["\r\n\r\n"], ["\n \n"], ["\n", "\u200e", "\n"], ["\n\t\n\n"], ["\n\r"]]
)
def test_a_blank_line_is_cut(ends):
    places, cut, _ = roles("a", *ends, "b")
    assert (places[0], places[-1], cut) == (0, len(ends) + 1, [False, True, False])


def test_line_breaks_of_two_gaps_are_two():
    assert roles("a", "\n", "b", "\n", "c")[1] == [False] * 3


@pytest.mark.parametrize(
    "before, after, price",
    [
        (2, 2, LIST_BREAK),
        (4, 3, LIST_BREAK),
        (1, 2, LINE_BREAK),
        (2, 1, LINE_BREAK),
        (5, 2, LINE_BREAK),
        (2, 5, LINE_BREAK),
    ],
)
def test_a_name_goes_on_behind_a_list_s_line_less_often(before, after, price):
    lines = ["a"] * before + ["\n"] + ["a"] * after
    assert roles(*lines)[2][before] == price
    assert roles("a", "a", LINK, *lines, "\n\n", "a", "a")[2][before + 3] == price


def test_nothing_is_seen():
    own = words_of(" ", LINK, "\n\n")
    assert own.places.tolist() == [] == own.place([])
    assert own.spread(np.zeros((0, 1), dtype="f")).shape == (0, 1)
    assert own.gold(np.array([0, 1, 2])).tolist() == []


def test_logits_by_hand():
    own = words_of("a", LINK, "b", "\n", "c")
    seen = np.arange(9, dtype="f").reshape(3, 3)
    spread = own.spread(seen)
    assert spread.tolist() == [[0, 1, 2], [30, 0, 0], [3, 4, 5], [6, 7, 8 - LINE_BREAK]]
    assert seen[2, 2] == 8
    assert own.gather(spread).tolist() == spread[[0, 2, 3]].tolist()


def test_entities_end_at_seen_words():
    own = words_of(" ", "a", " ", "b", " ", "c")
    found = own.place([Entity(0, 2, "PER", 0.5), Entity(2, 3, "LOC", 0.25)])
    assert found == [Entity(1, 4, "PER", 0.5), Entity(5, 6, "LOC", 0.25)]


@pytest.mark.parametrize(
    "words, tags, expected",
    [
        (["a", " ", "b"], [1, 2, 2], [1, 2]),
        ([" ", "a", "b"], [1, 2, 2], [1, 2]),
        (["a", " ", "b"], [0, 1, 2], [0, 1]),
        (["a", " ", "b"], [1, 0, 1], [1, 1]),
        (["a", LINK, "b"], [1, 2, 2], [1, 0, 1]),
        (["a", "\n\n", "b", "c"], [3, 4, 4, 4], [3, 0, 3, 4]),
        (["a", "\n", "b"], [1, 2, 2], [1, 2]),
        (["a", " ", "b"], [-100, -100, 2], [-100, 2]),
        (["a", LINK, "b"], [-100, -100, 2], [-100, -100, 2]),
    ],
)
def test_gold_tags_are_those_of_the_words_that_get_one(words, tags, expected):
    assert words_of(*words).gold(np.array(tags)).tolist() == expected


@given(st.lists(st.tuples(st.sampled_from(["a", " ", "\n", "\n\n", LINK]), st.integers(0, 9))))
def test_gold_tags_are_legal_and_keep_the_entities(cells):
    """Whatever legal tags a doc has: an entity keeps its seen words."""
    words = [word for word, _ in cells]
    (tags,) = best_tags([np.eye(7, dtype="f")[[n % 7 for _, n in cells]]], np.zeros((7, 7), "f"))
    own = words_of(*words)
    gold = own.gold(tags)
    legal = legal_transitions(7)
    assert all(legal[a, b] for a, b in pairwise([0, *gold]))
    for place, cut, tag in zip(own.places, own.cut, gold, strict=True):
        assert tag == 0 if cut else (tag + 1) // 2 == (tags[place] + 1) // 2


def test_three_lines_of_a_word_each_are_a_list():
    assert roles("a", "\n", "b", "\n", "c")[2] == [0, 30, 30]
    assert roles("a", "\n", "b", "\n", "c", "d")[2] == [0, LINE_BREAK, LINE_BREAK, 0]
    assert roles("a", "b", "\n", "c", "\n", "d", "\n", "e")[2] == [0, 0, LINE_BREAK, 30, 30]


# Hashtags


def hashtags(text, signs):
    """Words are parted by "|", and a space behind one is behind it in the doc, too."""
    words = text.split("|")
    doc = Doc(VOCAB, words=[w.strip() for w in words], spaces=[w.endswith(" ") for w in words])
    return read_hashtags(doc, signs=signs)


@pytest.mark.parametrize(
    "text, with_signs, without",
    [
        ("از |#|تهران |آمد", "از||#تهران|آمد", "از||تهران|آمد"),
        ("#|بانک_ملی|#|قم", "|#بانک_ملی||#قم", "|بانک ملی||قم"),
        ("＃|۲۰", "|＃۲۰", "|۲۰"),
        ("#|#|قم", "#||#قم", "#||قم"),
        ("#|_قم", "|#_قم", "| قم"),
        ("# |قم", "#|قم", "#|قم"),
        ("قم |#", "قم|#", "قم|#"),
        ("#|، |#|😂", "#|،|#|😂", "#|،|#|😂"),
        ("#قم |بانک_ملی", "#قم|بانک_ملی", "#قم|بانک_ملی"),
    ],
)
def test_hashtags_with_and_without_their_signs(text, with_signs, without):
    assert hashtags(text, True) == with_signs.split("|")
    assert hashtags(text, False) == without.split("|")


def test_a_sign_belongs_to_the_entity_where_the_corpus_counts_it():
    doc = Doc(VOCAB, words=["x", "#", "a", "#", "b"], spaces=[True, False, True, False, False])
    seen, entities = np.array([0, 2, 4]), [Entity(1, 3, "LOC", 1.0)]
    assert tagged_words(doc, seen).place(entities) == [Entity(2, 5, "LOC", 1.0)]
    assert tagged_words(doc, seen, signs=True).place(entities) == [Entity(1, 5, "LOC", 1.0)]
    assert tagged_words(doc, seen, signs=True).place([Entity(0, 1, "LOC", 1.0)])[0][:2] == (0, 1)


@pytest.mark.parametrize(
    ("words", "parted"),
    [
        (["#", "a", "#", "b"], [False, True]),
        (["a", "#", "b"], [False, False]),
        (["#", "a", "b"], [False, False]),
        (["#", "a", "b", "#", "c"], [False, False, False]),
        (["#", "a", " ", "#", "b", "#", "c"], [False, True, True]),
        (["#", "a", "\u200c", "\u200f", "#", "b"], [False, True]),
        (["a", " ", "#", "b", "c", " ", "#", "d"], [False, False, False, False]),
    ],
)
def test_two_hashtags_in_a_row_are_two_names_where_signs_are_not_read(words, parted):
    doc = Doc(VOCAB, words=words, spaces=[word.isalpha() for word in words])
    seen = np.array([i for i, word in enumerate(words) if word.isalpha()])
    assert (tagged_words(doc, seen).breaks > LIST_BREAK).tolist() == parted
    assert not tagged_words(doc, seen, signs=True).breaks.any()


def test_a_sign_that_was_seen_is_a_word():
    doc = Doc(VOCAB, words=["#", "a"], spaces=[False, False])
    own = tagged_words(doc, np.array([0, 1]), signs=True)
    assert own.place([Entity(1, 2, "LOC", 1.0)]) == [Entity(1, 2, "LOC", 1.0)]
