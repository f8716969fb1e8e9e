"""Texts of nothing."""

import pytest
import spacy

from multibert_spacy.text.blank import is_blank

NLP = spacy.blank("fa")


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n\t \r\n", "\u00a0\u2009\u3000", "\u200c", "\u200b\u200e\u200f\ufeff\u2060\u00ad"]
    + ["\u064b \u064b", "ـــ", "\ufe0f", "\u3164", "\u2800", "\u034f", "\x00\x07"],
    ids=ascii,
)
def test_nothing(text):
    assert is_blank(NLP.make_doc(text))


@pytest.mark.parametrize("text", ["ا", "!", "۱", "🙂", " . ", "\u200cا", "https://t.co/x"])
def test_something(text):
    assert not is_blank(NLP.make_doc(text))
