"""What a text is about, without what it wears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multibert_spacy.text.content import content_words, spread


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("قیمت دلار و سکه امروز", ["قیمت", "دلار", "سکه", "امروز"]),
        ("«دلار» ، سکه ! 👇", ["دلار", "سکه"]),
        ("#بورس_تهران @ali https://t.me/x www.a.ir/gold", ["بورس", "تهران"]),
        ("هتل‌ها", ["هتل"]),
        ("هتل ها", ["هتل"]),
        ("كتاب ۱۲ PS5", ["کتاب", "12", "PS5"]),
        ("از به", ["از", "به"]),
        ("👍 !", []),
        ("", []),
    ],
)
def test_content_words(text, words):
    assert content_words(text.split()) == words


@given(st.lists(st.text(alphabet="ابپ", min_size=1, max_size=4), min_size=1, max_size=8))
def test_what_a_text_wears_changes_nothing(words):
    dressed = ["🔥", *words, "!", "@user", "https://t.co/x"]
    assert content_words(dressed) == content_words(words)


def test_spread_takes_all_that_fits():
    assert spread([[1, 2], [3]], 3, 2) == [1, 2, 3]
    assert spread([], 8, 2) == []


def test_spread_takes_passages_from_everywhere():
    words = [[i, i] for i in range(50)]
    assert spread(words, 8, 4) == [0, 0, 1, 1, 25, 25, 26, 26]


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), max_size=60),
    st.integers(4, 40),
    st.integers(1, 12),
)
def test_spread_keeps_its_limit_and_the_order(words, limit, chunk):
    whole = [piece for word in words for piece in word]
    chosen = spread(words, limit, chunk)
    assert len(chosen) <= limit
    rest = iter(whole)
    assert all(piece in rest for piece in chosen)
