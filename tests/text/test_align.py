"""Words to rows: the cache of pieces, rows of windows, padding."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibert_spacy.text.align import PieceCache, pack_rows, window_row
from multibert_spacy.text.windows import split_windows
from multibert_spacy.types import Window


def spell(words):
    """A tokenizer whose pieces are letters."""
    return [tuple(ord(letter) for letter in word) for word in words]


class Counting:
    """A tokenizer that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, words):
        self.asked.extend(words)
        return spell(words)


def array(*values):
    return np.array(values, dtype=np.int64)


class TestPieceCache:
    def test_pieces_in_order_with_repeats_and_empty_words(self):
        assert PieceCache(spell)(["ab", "", "a", "ab"]) == [(97, 98), (), (97,), (97, 98)]

    def test_no_words(self):
        assert PieceCache(spell)([]) == []

    def test_a_word_is_tokenised_once_and_an_empty_one_never(self):
        encode = Counting()
        cache = PieceCache(encode)
        for _ in range(3):
            cache(["a", "b", "a", ""])
        assert encode.asked == ["a", "b"]

    @settings(deadline=None)
    @given(st.lists(st.lists(st.text("abcd", max_size=3), max_size=12)), st.integers(1, 10))
    def test_results_are_those_without_a_cache(self, calls, max_words):
        cache = PieceCache(spell, max_words=max_words)
        for words in calls:
            assert cache(words) == spell(words)

    def test_memory_is_bounded(self):
        cache = PieceCache(spell, max_words=10)
        for i in range(200):
            cache([str(i), str(i + 1)])
            assert len(cache._known) <= 10

    def test_starting_anew_forgets_the_old_words_and_keeps_those_in_hand(self):
        encode = Counting()
        cache = PieceCache(encode, max_words=4)  # the empty word is one of them
        cache(["a", "b", "c"])
        cache(["a", "d"])
        assert encode.asked == ["a", "b", "c", "d"]
        cache(["a", "d", "b"])
        assert encode.asked == ["a", "b", "c", "d", "b"]

    def test_a_tokenizer_that_loses_a_word_is_an_error(self):
        with pytest.raises(ValueError):
            PieceCache(lambda words: spell(words[1:]))(["a", "b"])

    def test_threads_share_a_cache(self):
        cache = PieceCache(spell, max_words=20)
        wrong = []

        def work(seed):
            rng = np.random.default_rng(seed)
            for _ in range(200):
                words = [str(i) for i in rng.integers(0, 60, 8)]
                if cache(words) != spell(words):
                    wrong.append(words)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestWindowRow:
    PIECES = [(10, 11), (), (12,), (13, 14, 15), (16,)]

    def test_whole_doc(self):
        ids, firsts = window_row(self.PIECES, Window(0, 5, 0, 5), size=10)
        assert ids == [10, 11, 12, 13, 14, 15, 16]
        assert firsts.tolist() == [1, 3, 4, 7]
        assert firsts.dtype == np.int64

    def test_words_of_the_window_that_are_not_kept_are_seen_but_not_labelled(self):
        ids, firsts = window_row(self.PIECES, Window(0, 5, 2, 4), size=10)
        assert ids == [10, 11, 12, 13, 14, 15, 16]
        assert firsts.tolist() == [3, 4]

    def test_a_window_in_the_middle(self):
        ids, firsts = window_row(self.PIECES, Window(1, 4, 1, 3), size=10)
        assert ids == [12, 13, 14, 15]
        assert firsts.tolist() == [1]

    def test_a_word_longer_than_the_window_is_cut_and_keeps_its_label(self):
        ids, firsts = window_row([(1, 2, 3, 4, 5)], Window(0, 1, 0, 1), size=3)
        assert ids == [1, 2, 3]
        assert firsts.tolist() == [1]

    def test_only_words_without_pieces(self):
        ids, firsts = window_row([(), ()], Window(0, 2, 0, 2), size=3)
        assert ids == []
        assert firsts.tolist() == []

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 8), st.data())
    def test_every_word_of_a_doc_is_found_once_at_its_own_first_piece(self, counts, size, data):
        overlap = data.draw(st.integers(0, size - 1))
        pieces = [tuple(100 * i + j for j in range(n)) for i, n in enumerate(counts)]
        found = []
        for window in split_windows(counts, size=size, overlap=overlap):
            ids, firsts = window_row(pieces, window, size=size)
            assert len(ids) <= size
            row = [-1, *ids]
            found.extend(row[first] for first in firsts)
        assert found == [100 * i for i, n in enumerate(counts) if n]


class TestPackRows:
    def test_literal(self):
        firsts = [array(1, 2), array(), array(1)]
        batch = pack_rows([[7, 8], [], [9]], firsts, ["a", "b", "a"], bos=1, eos=2, pad=0)
        assert batch.ids.tolist() == [[1, 7, 8, 2], [1, 2, 0, 0], [1, 9, 2, 0]]
        assert batch.lengths.tolist() == [4, 2, 3]
        assert batch.ids.dtype == batch.lengths.dtype == np.int64
        assert batch.domains == ["a", "b", "a"]
        assert [first.tolist() for first in batch.firsts] == [[1, 2], [], [1]]

    def test_padding_that_is_not_zero(self):
        batch = pack_rows([[5], [5, 6]], [array(1), array(1)], ["a", "a"], bos=0, eos=2, pad=1)
        assert batch.ids.tolist() == [[0, 5, 2, 1], [0, 5, 6, 2]]

    def test_no_rows(self):
        batch = pack_rows([], [], [], bos=1, eos=2, pad=0)
        assert batch.ids.shape == (0, 2)
        assert batch.lengths.tolist() == []

    @settings(deadline=None)
    @given(st.lists(st.lists(st.integers(3, 99), max_size=6), min_size=1, max_size=6))
    def test_rows_can_be_read_back(self, rows):
        batch = pack_rows(rows, [array()] * len(rows), ["a"] * len(rows), bos=1, eos=2, pad=0)
        assert batch.ids.shape[1] == max(map(len, rows)) + 2
        for row, ids, length in zip(rows, batch.ids, batch.lengths, strict=True):
            assert ids[:length].tolist() == [1, *row, 2]
            assert (ids[length:] == 0).all()
