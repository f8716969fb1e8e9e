"""Windows: literal small cases, and what holds for all."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibert_spacy.errors import ConfigError
from multibert_spacy.text.windows import check_window, split_windows
from multibert_spacy.types import Window


@st.composite
def splits(draw):
    """Pieces of each word (zeros and words longer than the window among them), size, overlap."""
    size = draw(st.integers(1, 12))
    overlap = draw(st.integers(0, size - 1))
    pieces = draw(st.lists(st.integers(0, size + 3), max_size=40))
    return pieces, size, overlap


@settings(deadline=None)
@given(splits())
def test_kept_ranges_are_disjoint_and_cover_the_doc(case):
    pieces, size, overlap = case
    windows = split_windows(pieces, size=size, overlap=overlap)
    kept = [i for w in windows for i in range(w.keep_start, w.keep_end)]
    assert kept == list(range(len(pieces)))
    assert all(w.start <= w.keep_start < w.keep_end <= w.end for w in windows)


@settings(deadline=None)
@given(splits())
def test_windows_hold_at_most_their_size_or_one_long_word(case):
    pieces, size, overlap = case
    for w in split_windows(pieces, size=size, overlap=overlap):
        if sum(pieces[w.start : w.end]) > size:
            assert w.end - w.start == 1


@settings(deadline=None)
@given(splits())
def test_windows_progress_and_share_at_most_the_overlap(case):
    pieces, size, overlap = case
    for before, after in pairwise(split_windows(pieces, size=size, overlap=overlap)):
        assert before.start < after.start <= before.end < after.end
        assert sum(pieces[after.start : before.end]) <= overlap


@settings(deadline=None)
@given(splits())
def test_windows_are_as_long_as_possible(case):
    pieces, size, overlap = case
    for w in split_windows(pieces, size=size, overlap=overlap)[:-1]:
        assert sum(pieces[w.start : w.end + 1]) > size


@settings(deadline=None)
@given(splits())
def test_a_shared_word_is_kept_where_it_stands_further_from_the_border(case):
    pieces, size, overlap = case
    windows = split_windows(pieces, size=size, overlap=overlap)
    for before, after in pairwise(windows):
        for i in range(after.start, before.end):
            if before.keep_start <= i < before.keep_end:
                assert before.end - 1 - i >= i - after.start - 1
            elif after.keep_start <= i < after.keep_end:
                assert i - after.start >= before.end - 1 - i


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=30))
def test_without_overlap_the_windows_are_the_greedy_cut(pieces):
    windows = split_windows(pieces, size=5, overlap=0)
    assert [w.start for w in windows[1:]] == [w.end for w in windows[:-1]]
    assert all((w.keep_start, w.keep_end) == (w.start, w.end) for w in windows)


@pytest.mark.parametrize(
    "pieces, size, overlap, expected",
    [
        ([], 5, 2, []),
        ([3], 5, 2, [Window(0, 1, 0, 1)]),
        ([0, 0, 0], 1, 0, [Window(0, 3, 0, 3)]),
        ([1, 1, 1, 1], 4, 2, [Window(0, 4, 0, 4)]),
        # an odd overlap: the middle word belongs to the earlier window
        ([1] * 7, 5, 3, [Window(0, 5, 0, 4), Window(2, 7, 4, 7)]),
        ([1] * 6, 4, 2, [Window(0, 4, 0, 3), Window(2, 6, 3, 6)]),
        ([1] * 6, 4, 1, [Window(0, 4, 0, 4), Window(3, 6, 4, 6)]),
        ([1] * 6, 4, 0, [Window(0, 4, 0, 4), Window(4, 6, 4, 6)]),
        # whole words: a word of two pieces does not fit into an overlap of one
        ([2, 2, 2], 4, 1, [Window(0, 2, 0, 2), Window(2, 3, 2, 3)]),
        ([2, 2, 2], 4, 2, [Window(0, 2, 0, 2), Window(1, 3, 2, 3)]),
        # a word longer than the window, alone and between others
        ([9], 4, 2, [Window(0, 1, 0, 1)]),
        ([1, 9, 1], 4, 2, [Window(0, 1, 0, 1), Window(1, 2, 1, 2), Window(2, 3, 2, 3)]),
        # nothing is shared if the next word would not fit behind it
        ([1, 1, 4], 4, 2, [Window(0, 2, 0, 2), Window(2, 3, 2, 3)]),
        # words without pieces cost nothing, so that even an overlap of 0 shares them
        ([0, 2, 0, 2, 0, 1], 4, 0, [Window(0, 5, 0, 5), Window(4, 6, 5, 6)]),
    ],
)
def test_literal_windows(pieces, size, overlap, expected):
    assert split_windows(pieces, size=size, overlap=overlap) == expected


@pytest.mark.parametrize("size, overlap", [(0, 0), (-1, 0), (4, 4), (4, 5), (4, -1)])
def test_settings_without_progress_are_refused(size, overlap):
    for call in (check_window, lambda s, o: split_windows([1], size=s, overlap=o)):
        with pytest.raises(ConfigError, match=f"{size} pieces with an overlap of {overlap}"):
            call(size, overlap)


@pytest.mark.parametrize("size, overlap", [(1, 0), (4, 3), (510, 128)])
def test_settings_with_progress_are_accepted(size, overlap):
    check_window(size, overlap)
    assert split_windows([1], size=size, overlap=overlap) == [Window(0, 1, 0, 1)]
