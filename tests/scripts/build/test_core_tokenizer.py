import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from scripts.build.core_tokenizer import build_charsmap, keep_piece
from tests.scripts.build.e5s1_files import TABLE


@pytest.mark.parametrize(
    "piece",
    ["▁", "▁سلام", "ڭ", "ﷺ", "۱۲", "٣", "12", "،", "▁(", "🙂", "\ufe0f", "\u202c", "€", "é", "я"]
    + ["a", "▁the", "IBM", "1.", "،\u202c", "½", "❶", "\u0301"],
)
def test_keep_piece(piece: str) -> None:
    assert keep_piece(piece)


@pytest.mark.parametrize(
    "piece", ["that", "▁that", "éé", "для", "на", "字", "ก", "▁२०", "한", "אב", "a٣", "\x92"]
)
def test_drop_piece(piece: str) -> None:
    assert not keep_piece(piece)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.characters(codec="utf-8", min_codepoint=1),
        st.text(st.characters(codec="utf-8", min_codepoint=1), max_size=3),
        max_size=80,
    )
)
def test_charsmap_is_the_table(table: dict[str, str]) -> None:
    data = build_charsmap({ord(char): tuple(map(ord, to)) for char, to in table.items()})
    if not table:
        return
    normalizer = normalizers.Precompiled(data)
    for char in {*table, *map(chr, TABLE), *"aبß字🙂"}:
        assert normalizer.normalize_str(char) == table.get(char, char)
