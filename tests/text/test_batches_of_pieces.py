"""Batches by a budget of padded pieces."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibert_spacy.errors import ConfigError
from multibert_spacy.text.batching import PASS_COST, WIDEST, batch_by_pieces, batch_flat

LENGTHS = st.lists(st.integers(2, 40), max_size=60)
BUDGETS = st.integers(1, 200)


@settings(deadline=None)
@given(LENGTHS, BUDGETS)
def test_each_row_is_in_one_batch(lengths, budget):
    batches = batch_by_pieces(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(batches)


@settings(deadline=None)
@given(LENGTHS, BUDGETS)
def test_the_budget_of_padded_pieces_is_respected(lengths, budget):
    for batch in batch_by_pieces(lengths, budget):
        padded = len(batch) * max(lengths[i] for i in batch)
        assert padded <= budget or len(batch) == 1


@settings(deadline=None)
@given(LENGTHS, BUDGETS)
def test_rows_run_from_long_to_short(lengths, budget):
    order = [lengths[i] for batch in batch_by_pieces(lengths, budget) for i in batch]
    assert order == sorted(lengths, reverse=True)


@settings(deadline=None)
@given(LENGTHS, BUDGETS)
def test_no_batch_could_have_taken_the_next_row(lengths, budget):
    for batch, after in pairwise(batch_by_pieces(lengths, budget)):
        longest = lengths[batch[0]]
        padding = sum(longest - lengths[i] for i in [*batch, after[0]])
        assert (len(batch) + 1) * longest > budget or padding > PASS_COST
        assert lengths[after[0]] <= lengths[batch[-1]]


@pytest.mark.parametrize(
    "lengths, budget, expected",
    [
        ([], 10, []),
        ([5], 10, [[0]]),
        ([3, 5, 4, 2], 10, [[1, 2], [0, 3]]),
        ([2, 2, 2, 2, 2], 4, [[0, 1], [2, 3], [4]]),  # equal rows stay in input order
        ([50, 3], 10, [[0], [1]]),  # longer than the budget: a batch of its own
        ([3, 3], 1, [[0], [1]]),
        ([4, 4], 8, [[0, 1]]),
        ([4, 4], 7, [[0], [1]]),
        ([100, 36, 36], 1000, [[0, 1], [2]]),  # 64 pieces of padding are worth a pass, 128 are not
        ([100, 35], 1000, [[0], [1]]),
    ],
)
def test_literal_batches(lengths, budget, expected):
    assert batch_by_pieces(lengths, budget) == expected


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_of_nothing_is_refused(budget):
    with pytest.raises(ConfigError, match=f"batch_pieces={budget}"):
        batch_by_pieces([], budget)
    with pytest.raises(ConfigError, match=f"batch_pieces={budget}"):
        batch_flat([], [], budget, alone=1)


# Rows that lie one behind the other

KEYED = st.lists(st.tuples(st.integers(2, 40), st.integers(0, 3)), max_size=60)


def flat(rows, budget, alone):
    lengths, keys = [n for n, _ in rows], [key for _, key in rows]
    return lengths, keys, batch_flat(lengths, keys, budget, alone=alone)


@settings(deadline=None)
@given(KEYED, BUDGETS, st.integers(0, 300))
def test_each_flat_row_is_in_one_batch_within_the_budget(rows, budget, alone):
    lengths, _, batches = flat(rows, budget, alone)
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    for batch in batches:
        own = [lengths[i] for i in batch]
        assert own == sorted(own, reverse=True)
        assert sum(own) <= budget or len(batch) == 1
        assert len(own) * max(own) <= WIDEST * budget or len(batch) == 1


@settings(deadline=None)
@given(KEYED, BUDGETS, st.integers(0, 300))
def test_only_keys_with_few_pieces_are_mixed_and_padded(rows, budget, alone):
    lengths, keys, batches = flat(rows, budget, alone)
    pieces = {key: sum(n for n, k in rows if k == key) for _, key in rows}
    for batch in batches:
        own = {keys[i] for i in batch}
        if len(own) > 1:
            assert all(pieces[key] < alone for key in own)
            assert len(batch) * max(lengths[i] for i in batch) <= budget


@pytest.mark.parametrize(
    "lengths, keys, budget, alone, expected",
    [
        ([], [], 10, 5, []),
        ([4, 9, 4], [0, 0, 0], 20, 5, [[1, 0, 2]]),
        ([4] * 6, [0] * 6, 20, 5, [[0, 1, 2], [3, 4, 5]]),  # not five and one
        ([4, 4, 4, 4], [0, 1, 0, 1], 20, 8, [[0, 2], [1, 3]]),  # each is enough
        ([4, 9, 4, 8], [0, 1, 0, 1], 40, 99, [[1, 3, 0, 2]]),  # neither is
        ([4, 4, 4, 2], [0, 1, 0, 2], 20, 8, [[0, 2], [1, 3]]),  # one is
        ([4, 4, 2], [0, 0, 1], 20, 8, [[0, 1], [2]]),  # there is none to mix the other with
        ([50, 3], [0, 0], 10, 5, [[0], [1]]),
    ],
)
def test_literal_flat_batches(lengths, keys, budget, alone, expected):
    assert batch_flat(lengths, keys, budget, alone=alone) == expected
