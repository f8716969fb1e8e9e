"""Cutting files into parts."""

from itertools import groupby, islice

from hypothesis import given
from hypothesis import strategies as st

from multibert_spacy.scale.plan import Part, cut
from multibert_spacy.scale.rows import BadRow, Row


def rows_of(threads: list[object]) -> list[Row | BadRow]:
    """A row for each thread; "bad" is a record without a text."""
    return [
        BadRow("f", i + 1, 10 * i, "no")
        if thread == "bad"
        else Row("f", i + 1, 10 * i, i, "t", thread, None)
        for i, thread in enumerate(threads)
    ]


def sizes(threads: list[object], part_size: int, group_size: int = 2) -> list[tuple[int, int]]:
    parts = cut(rows_of(threads), 0, part_size, group_size)
    return [(part.n_records, part.n_texts) for part in parts]


def test_a_thread_is_never_cut() -> None:
    assert sizes(["a"] * 5, 2) == [(5, 5)]
    assert sizes(["a", "a", "b", "b", "b", "c"], 2) == [(2, 2), (3, 3), (1, 1)]
    assert sizes(["a", "b", "a"], 1) == [(1, 1)] * 3


def test_texts_without_a_thread_are_cut_between_groups() -> None:
    assert sizes([None] * 7, 3) == [(4, 4), (3, 3)]
    assert sizes(["a", None, None, None], 1) == [(1, 1), (2, 2), (1, 1)]


def test_what_is_bad_belongs_to_the_part_before_and_to_no_group() -> None:
    assert sizes(["bad", None, "bad", None, None, "bad"], 2) == [(4, 2), (2, 1)]
    assert sizes(["bad", "bad"], 1) == [(2, 0)]


def test_where_a_part_begins() -> None:
    parts = list(cut(rows_of(["a", "b", "b"]), 7, 1, 8))
    assert parts == [Part(7, 0, 1, 1, 1), Part(7, 10, 2, 2, 2)]


@given(
    threads=st.lists(st.sampled_from([None, None, 1, 2, "bad"]), max_size=40),
    part_size=st.integers(1, 6),
    group_size=st.integers(1, 4),
)
def test_the_groups_of_the_parts_are_those_of_the_file(
    threads: list[object], part_size: int, group_size: int
) -> None:
    def groups(rows: list[Row | BadRow]) -> list[list[int]]:
        """As the pipeline makes them."""
        found = []
        good = (row for row in rows if isinstance(row, Row))
        for thread, run in groupby(good, lambda row: row.thread):
            while own := list(islice(run, group_size if thread is None else None)):
                found.append([row.line for row in own])
        return found

    rows = rows_of(threads)
    parts, joined, at = list(cut(rows, 0, part_size, group_size)), [], 0
    for part in parts:
        own = rows[at : at + part.n_records]
        assert (part.start, part.line) == (own[0].start, own[0].line)
        assert part.n_texts == sum(isinstance(row, Row) for row in own)
        joined.extend(groups(own))
        at += part.n_records
    assert at == len(rows)
    assert joined == groups(rows)
    assert all(part.n_texts >= part_size for part in parts[:-1])
