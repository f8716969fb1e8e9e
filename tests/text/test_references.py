"""HTML references, read as what they stand for."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multibert_spacy.text.references import read_references, references


@pytest.mark.parametrize(
    "text, expected",
    [
        ("بانک ملت &amp; بانک ملی", "بانک ملت & بانک ملی"),
        ("می&zwnj;گویند", "می\u200cگویند"),
        ("علی&nbsp;کریمی", "علی\u00a0کریمی"),
        ("&#1593;&#1604;&#1740;", "علی"),
        ("&#x631;&#X636;&#x627;", "رضا"),
        ("&amp;nbsp;&amp;amp;zwnj;", "\u00a0\u200c"),
        ("&amp;amp;", "&"),
        ("&lt;b&gt;&quot;", '<b>"'),
        ("&#1;&#xD800;&#0;", "\x00\ufffd\ufffd"),
        ("&amp &nbsp AT&T; a&b;c &; &#; &#x; &نام; &foo;", None),
        ("x?copy=1&copy=2;", None),
        ("&" + "a" * 40 + ";", None),
        ("", None),
        (";&;;", None),
    ],
)
def test_by_hand(text, expected):
    assert read_references(text) == (text if expected is None else expected)


PARTS = ["&", "amp;", "nbsp;", "#", "1593;", "x631;", "38;", "x26;", ";", "zwnj;", "a", "ع", " "]


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_reading_again_changes_nothing_and_each_character_has_its_place(text):
    plain, places = references(text)
    assert read_references(plain) == plain
    assert len(places) == len(plain) + 1 and places[-1] == len(text)
    assert places == sorted(places)
    for i, char in enumerate(plain):
        own = text[places[i] : places[i + 1]]
        assert own == char or own[0] == "&" and own[-1] == ";"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8))
def test_what_is_escaped_is_read(text):
    numeric = "".join(f"&#{ord(char)};" for char in text)
    assert read_references(numeric) == read_references(text) or "&" in text
    if not text.startswith("&") and "&" not in text:
        assert read_references(html.escape(html.escape(text))) == text


@pytest.mark.parametrize("unit", ["&amp;", "&", ";", "amp;", "&#38;", "&#1593;", "&amp"])
def test_time_is_linear(unit):
    """In quadratic time this would not end."""
    assert len(read_references(unit * 100_000)) <= len(unit) * 100_000
