import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multibert_spacy.errors import CorpusError
from scripts.corpora.bio import AFTER_O, AT_START
from scripts.corpora.conll import (
    BLANK,
    CONTROL,
    INNER_SPACE,
    INVISIBLE,
    LARGEST,
    TRIMMED,
    Layout,
    Source,
    read_sentences,
)

TWO = Layout(columns=("token", "tag"), separator="\t", types={"per": "PER", "loc": "LOC"})
SPACED = Layout(columns=("token", "tag"), separator=" ", types={"pers": "PER"})
POSTS = Layout(columns=("token", "POS", "tag"), separator="\t", types={"loc": "LOC"}, post_gap=3)


def read(text, layout=TWO, domain="d"):
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    return read_sentences(Source("f.txt", data), layout, domain=domain)


def words_of(sentences):
    return [sentence.words for sentence in sentences]


def test_sentences_end_at_blank_lines():
    sentences, repaired, odd = read("علی\tB-PER\nرفت\tO\n\n\nبه\tO\nتهران\tB-LOC")
    assert words_of(sentences) == [("علی", "رفت"), ("به", "تهران")]
    assert [s.tags for s in sentences] == [("B-PER", "O"), ("O", "B-LOC")]
    assert [(s.domain, s.thread) for s in sentences] == [("d", None), ("d", None)]
    assert not repaired
    assert not odd


def test_posts_end_at_three_blank_lines():
    text = "\n\n\n\na\tN\tO\n\nb\t\tO\n\n\nc\tN\tO\n\n\n\nd\tN\tB-LOC\n\n\n\n\n\ne\tN\tO\n\n\n\n"
    sentences, _, _ = read(text, POSTS, "travel")
    assert [(s.words[0], s.thread) for s in sentences] == [
        ("a", "travel/1"),
        ("b", "travel/1"),
        ("c", "travel/1"),
        ("d", "travel/2"),
        ("e", "travel/3"),
    ]


def test_bom_crlf_and_blank_lines_of_white_space():
    sentences, _, _ = read(b"\xef\xbb\xbfa\tO\r\n \t\r\nb\tB-PER\r\n")
    assert words_of(sentences) == [("a",), ("b",)]
    assert sentences[1].tags == ("B-PER",)


def test_raw_forms_are_kept():
    text = "علي\tO\nمی\u200cرود\tO\nك\tO\n\u200c\tO\na\u2028b\tO\nc\x85d\tO\n"
    sentences, _, odd = read(text)
    assert words_of(sentences) == [("علي", "می\u200cرود", "ك", "\u200c", "a\u2028b", "c\x85d")]
    assert odd == {("d", INVISIBLE): 1, ("d", INNER_SPACE): 2}


def test_blank_tokens_are_dropped_and_counted():
    text = "a\tB-PER\n\xa0\tI-PER\nb\tI-PER\n\tO\n\n\u2003\tO\n\n\tB-PER\nc\tI-PER\n"
    sentences, repaired, odd = read(text)
    assert words_of(sentences) == [("a", "b"), ("c",)]
    assert [s.tags for s in sentences] == [("B-PER", "I-PER"), ("B-PER",)]
    assert odd == {("d", BLANK): 4}
    assert repaired == {("d", AT_START): 1}


def test_space_around_is_removed_and_inside_kept():
    sentences, _, odd = read(" New York\t B-LOC \n")
    assert words_of(sentences) == [("New York",)]
    assert sentences[0].tags == ("B-LOC",)
    assert odd == {("d", TRIMMED): 1, ("d", INNER_SPACE): 1}


def test_space_separated_columns():
    sentences, repaired, _ = read("علی B-pers\n، O\nرضا I-pers\n", SPACED, "news")
    assert words_of(sentences) == [("علی", "،", "رضا")]
    assert sentences[0].tags == ("B-PER", "O", "B-PER")
    assert repaired == {("news", AFTER_O): 1}


@pytest.mark.parametrize(
    ("text", "layout", "line", "parts"),
    [
        ("a\tO\nb\n", TWO, 2, ["'token<TAB>tag'", "1 column: 'b'"]),
        ("a\tO\n\nb\t\n", TWO, 3, ["'token<TAB>tag'", "no tag"]),
        ("a\tN\tO\n", TWO, 1, ["'token<TAB>tag'", "3 columns"]),
        ("a\tO\n", POSTS, 1, ["'token<TAB>POS<TAB>tag'", "2 columns"]),
        ("a b O\n", SPACED, 1, ["'token tag'", "3 columns: 'a b O'"]),
        ("a\tO\n", SPACED, 1, ["'token tag'", "1 column"]),
        ("a\tO\nb\tB-ORG\n", TWO, 2, ["O, or B- or I- with one of loc per", "the tag 'B-ORG'"]),
        ("", TWO, 1, ["at least one sentence", "an empty file"]),
        ("\n \n\n", TWO, 1, ["at least one sentence", "an empty file"]),
        ("\t\n\xa0\tO\n", TWO, 1, ["at least one sentence", "an empty file"]),
        (b"a\tO\n\xef\xbb\xbf\nb\xff\tO\n", TWO, 3, ["UTF-8", "the byte 0xff"]),
        (b"\xef\xbb\xbfa\tO\n\n\xd8", TWO, 3, ["UTF-8", "the byte 0xd8"]),
        ("x" * 200, TWO, 1, ["'" + "x" * 60 + "…'"]),
    ],
)
def test_errors_name_file_line_and_expectation(text, layout, line, parts):
    with pytest.raises(CorpusError) as err:
        read(text, layout)
    message = str(err.value)
    assert message.startswith(f"f.txt, line {line}: expected ")
    for part in parts:
        assert part in message


def test_a_second_byte_order_mark_is_no_part_of_a_word():
    bom = b"\xef\xbb\xbf"
    text = (
        bom + bom + "علی\tB-PER\nرفت\tO\n".encode() + bom + b"\n" + bom + "تهران\tB-LOC\n".encode()
    )
    sentences, repaired, odd = read(text)
    assert words_of(sentences) == [("علی", "رفت"), ("تهران",)]
    assert odd == {("d", CONTROL): 2}
    assert not repaired


def test_control_characters_are_no_part_of_a_word():
    rows = ["ع\x00لی\tB-PER", "\x00\tI-PER", "ر\ufeffفت\tO", "\x1b[0mبه\tO", "قم\x7f\uffff\tB-LOC"]
    text = "".join(f"{row}\n" for row in rows)
    sentences, _, odd = read(text)
    assert words_of(sentences) == [("علی", "رفت", "[0mبه", "قم")]
    assert sentences[0].tags == ("B-PER", "O", "O", "B-LOC")
    assert odd == {("d", CONTROL): 5, ("d", BLANK): 1}


def test_one_byte_order_mark_is_nothing_odd():
    _, _, odd = read(b"\xef\xbb\xbfa\tO\n")
    assert not odd


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n"), max_size=8))
def test_no_word_keeps_what_is_no_text(raw):
    """Whatever stands in the first column; what is left is as it was, in its order."""
    sentences, _, _ = read(f"آ\tO\n{raw}\tB-PER\nب\tO\n")
    (sentence,) = sentences
    for word in sentence.words:
        assert word and "\ufeff" not in word and "\x00" not in word
        odd = [c for c in word if unicodedata.category(c) == "Cc" and not c.isspace()]
        assert not odd and word == word.strip()
    own = "".join(sentence.words[1:-1])
    letters = [c for c in raw if c.isalnum()]
    assert [c for c in own if c.isalnum()] == letters
    assert len(sentence.words) == len(sentence.tags)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "train.txt"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(CorpusError, match=r"train\.txt: expected .* 16,777,216 bytes.*16,777,217"):
        Source.from_path(path)


def test_missing_file(tmp_path):
    with pytest.raises(CorpusError, match=r"gone\.txt.*found none"):
        Source.from_path(tmp_path / "gone.txt")
