"""Keys survive msgpack: equal ones stay equal, others stay different."""

import copy
import pickle
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from multibert_spacy.errors import ConfigError
from multibert_spacy.text.keys import is_missing, pack_key, unpack_key

VOCAB = Vocab()
KEYS = [
    *("a", "متن", "\ud800x", 0, -7, 2**90, True, 1.5, float("inf"), b"\xff", 3 + 4j),
    *(date(2026, 1, 31), datetime(2026, 1, 31, 5), datetime(2026, 1, 31, tzinfo=UTC)),
    *(time(5, 6, 7, 8), timedelta(days=-1, microseconds=3)),
    *(UUID(int=7), Decimal("1.10"), Fraction(1, 3)),
    *((), ("a", 1), (date(2026, 1, 31), ("b", UUID(int=8))), frozenset(), frozenset({("x",)})),
    *(np.int64(4), np.float32(0.5), np.str_("متن")),
]


class Color(Enum):
    RED = 1
    BLUE = 2


class Plain:
    """Equal only to itself."""


def doc_of(key):
    doc = Doc(VOCAB, words=["متن"])
    doc._.thread = key
    return doc


def trips(doc):
    """The doc in each of spaCy's ways to keep one."""
    bin = DocBin(store_user_data=True, docs=[doc])
    return [
        Doc(VOCAB).from_bytes(doc.to_bytes()),
        next(DocBin().from_bytes(bin.to_bytes()).get_docs(VOCAB)),
        pickle.loads(pickle.dumps(doc)),
        copy.deepcopy(doc.copy()),
    ]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_a_key_comes_back(key):
    doc = doc_of(key)
    assert doc._.thread == key
    for other in trips(doc):
        assert other._.thread == key
        assert hash(other._.thread) == hash(key)


@pytest.mark.parametrize("a, b", [(Color.RED, Color.BLUE), (range(2), range(3)), (int, float)])
def test_keys_of_other_types_stay_equal_and_different(a, b):
    assert doc_of(a)._.thread is a
    same, again, different = (
        [doc._.thread for doc in trips(doc_of(key))[:2]] for key in (a, a, b)
    )
    assert same == again
    assert all(x != y for x, y in zip(same, different, strict=True))
    assert doc_of(a).copy()._.thread is a


def test_a_key_that_equals_only_itself():
    key = Plain()
    doc = doc_of(key)
    assert doc._.thread is key
    assert doc.copy()._.thread is key
    assert "Plain" in Doc(VOCAB).from_bytes(doc.to_bytes())._.thread


SCALARS = st.one_of(
    st.text(),
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.binary(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.fractions(),
)


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.tuples(inner), st.tuples(inner, inner), st.frozensets(inner, max_size=3)
        ),
        max_leaves=5,
    )
)
def test_any_key_comes_back(key):
    assert unpack_key(pack_key(key)) == key
    if not is_missing(key):
        assert Doc(VOCAB).from_bytes(doc_of(key).to_bytes())._.thread == key


NA = type(
    "NAType",
    (),
    {
        "__bool__": lambda self: 1 / 0,
        "__ne__": lambda self, other: self,
        "__repr__": lambda self: "<NA>",
    },
)()


@pytest.mark.parametrize(
    "value",
    [None, "", np.str_(""), float("nan"), np.nan, np.float32("nan"), Decimal("nan"), NA]
    + [np.datetime64("NaT")],
    ids=repr,
)
def test_what_stands_for_nothing(value):
    assert is_missing(value)
    doc = doc_of("a")
    doc._.domain = "news"
    doc._.thread = doc._.domain = value
    assert (doc._.thread, doc._.domain) == (None, None)
    doc.user_data["._.", "thread", None, None] = value  # as a file of 0.1.0 may have it
    assert doc._.thread is None


@pytest.mark.parametrize("value", [0, False, 0.0, (), "nan", " ", [], np.zeros(2), float("inf")])
def test_what_stands_for_something(value):
    assert not is_missing(value)


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, np.zeros(2), ([1],)], ids=repr)
def test_what_is_not_hashable(value):
    with pytest.raises(ConfigError, match="must be hashable"):
        doc_of(value)


@pytest.mark.parametrize("form", [{"date": "never"}, {"a": 1}, {"frozenset": 3}, {"uuid": None}])
def test_what_is_no_form_of_ours_stays(form):
    assert unpack_key(form) == form
