import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.corpora.bio import AFTER_O, AFTER_OTHER, AT_START, parse_tag, repair_bio

TYPES = {"pers": "PER", "event": "EVE"}
any_tags = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-EVE"]))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("O", "O"),
        ("B-pers", "B-PER"),
        ("I-PERS", "I-PER"),
        ("B-event", "B-EVE"),
        ("B-loc", None),
        ("E-pers", None),
        ("pers", None),
        ("B", None),
        ("B-", None),
        ("o", None),
        ("", None),
    ],
)
def test_parse_tag(tag, expected):
    assert parse_tag(tag, TYPES) == expected


@pytest.mark.parametrize(
    ("tags", "expected", "kinds"),
    [
        ([], (), {}),
        (["I-PER"], ("B-PER",), {AT_START: 1}),
        (["O", "I-PER", "I-PER"], ("O", "B-PER", "I-PER"), {AFTER_O: 1}),
        (["B-PER", "I-LOC", "I-LOC"], ("B-PER", "B-LOC", "I-LOC"), {AFTER_OTHER: 1}),
        (["I-PER", "I-LOC", "I-PER"], ("B-PER", "B-LOC", "B-PER"), {AT_START: 1, AFTER_OTHER: 2}),
        (["B-PER", "B-PER", "I-PER"], ("B-PER", "B-PER", "I-PER"), {}),
    ],
)
def test_repair_cases(tags, expected, kinds):
    assert repair_bio(tags) == (expected, kinds)


def is_legal(tags):
    """Whether every I- continues an entity of its own type."""
    before = [None, *tags]
    return all(a and a[1:] == b[1:] for a, b in zip(before, tags, strict=False) if b[0] == "I")


@given(any_tags)
def test_repair_properties(tags):
    repaired, kinds = repair_bio(tags)
    assert is_legal(repaired)
    assert repair_bio(repaired) == (repaired, {})
    assert [tag[1:] for tag in repaired] == [tag[1:] for tag in tags]
    assert kinds.total() == sum(old != new for old, new in zip(tags, repaired, strict=True))
    assert is_legal(tags) == (kinds.total() == 0) == (tuple(tags) == repaired)
