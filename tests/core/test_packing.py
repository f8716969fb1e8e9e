"""Rows that lie flat: the same hidden states as padded ones, and where everything lies."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from multibert_spacy.adapters import lora as rows_module
from multibert_spacy.adapters.bank import Bank
from multibert_spacy.core.packing import ALIGNED, BLOCK_COST, FlatRows, PaddedRows
from tests.tiny import (
    SETTINGS,
    TEXTS,
    load_core,
    make_adapter,
    make_batch,
    mask_of,
    tensors,
)

LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=12)
CLOSE = {"rtol": 0, "atol": 1e-4}


def both(core, batch, bank, index):
    """RETURNS (tuple): Hidden states of the words, padded and flat."""
    layout = FlatRows(batch.lengths.tolist(), bank.n_virtual)
    seen = mask_of(batch).bool()
    with torch.no_grad():
        padded = core.forward(*tensors(batch), bank.gather(torch.tensor(index)))
        flat = core.forward(*tensors(batch), bank.rows(index), layout=layout)
    assert flat.shape == padded.shape
    return padded[seen], flat[seen]


LONG = TEXTS[2] * 5
MANY = [LONG, ["هتل"], TEXTS[0], LONG, ["خبر"]]


@pytest.mark.parametrize("texts", [TEXTS, MANY], ids=["one block", "blocks"])
class TestFlatIsPadded:
    @pytest.mark.parametrize("merged", [1, 10**6], ids=["merged", "narrow products"])
    @pytest.mark.parametrize("place", [0, 2])
    def test_of_one_lora(self, core_folder, texts, merged, place, monkeypatch):
        monkeypatch.setattr(rows_module, "MERGED", merged)
        core = load_core(core_folder)
        bank = Bank([make_adapter(core, SETTINGS["lora"], i) for i in range(3)])
        padded, flat = both(core, make_batch(core, texts), bank, [place] * len(texts))
        assert_close(flat, padded, **CLOSE)

    @pytest.mark.parametrize("index", [[2, 0, 1, 0, 2], [1] * 5])
    def test_of_prefixes(self, core_folder, texts, index):
        core = load_core(core_folder)
        bank = Bank([make_adapter(core, SETTINGS["prefix"], i) for i in range(3)])
        padded, flat = both(core, make_batch(core, texts), bank, index[: len(texts)])
        assert_close(flat, padded, **CLOSE)

    def test_of_the_bare_core(self, core_folder, texts):
        core = load_core(core_folder)
        batch = make_batch(core, texts)
        layout, seen = FlatRows(batch.lengths.tolist()), mask_of(batch).bool()
        with torch.no_grad():
            padded = core.forward(*tensors(batch))
            flat = core.forward(*tensors(batch), layout=layout)
        assert_close(flat[seen], padded[seen], **CLOSE)


def test_long_and_short_rows_are_several_blocks(bert_folder):
    lengths = make_batch(load_core(bert_folder), MANY).lengths.tolist()
    assert len(FlatRows(lengths).blocks) > 1


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_gradients_are_those_of_padded_rows(bert_folder, kind):
    core = load_core(bert_folder)
    adapter = make_adapter(core, SETTINGS[kind])
    batch = make_batch(core, [TEXTS[2] * 4, *TEXTS])
    weights = torch.randn(int(batch.lengths.sum()), core.width)
    found = []
    for flat in (False, True):
        adapter.zero_grad()
        bank = Bank([adapter], train=True)
        layout = FlatRows(batch.lengths.tolist(), bank.n_virtual) if flat else None
        hidden = core.forward(*tensors(batch), bank.rows([0] * 5), layout=layout)
        (hidden[mask_of(batch).bool()] * weights).sum().backward()
        found.append([p.grad.clone() for p in adapter.parameters()])
    assert any(gradient.any() for gradient in found[0])
    for padded, own in zip(*found, strict=True):
        assert_close(own, padded, rtol=1e-3, atol=1e-4)


def test_a_merged_adapter_leaves_the_core_as_it_was(bert_folder, monkeypatch):
    monkeypatch.setattr(rows_module, "MERGED", 1)
    core = load_core(bert_folder)
    before = core.fingerprint()
    batch = make_batch(core)
    both(core, batch, Bank([make_adapter(core, SETTINGS["lora"])]), [0] * 4)
    assert core.fingerprint() == before


@given(LENGTHS)
def test_rows_lie_one_behind_the_other(lengths):
    layout, t = FlatRows(lengths), max(lengths)
    ids = torch.arange(1, len(lengths) * t + 1).view(-1, t)
    flat, positions = layout.pack(ids)
    own = [ids[row, :n].tolist() for row, n in enumerate(lengths)]
    n_real = sum(lengths)
    assert flat[:n_real].tolist() == [piece for row in own for piece in row]
    assert positions[:n_real].tolist() == [i for n in lengths for i in range(n)]
    assert len(flat) == len(positions) == layout.n
    assert layout.n % ALIGNED == 0 and layout.n - n_real < ALIGNED
    rows = layout.unpack(flat[:, None].float())[..., 0]
    for row, n in enumerate(lengths):
        assert rows[row, :n].tolist() == ids[row, :n].tolist()


@given(LENGTHS)
def test_blocks_hold_each_row_once_and_waste_little(lengths):
    layout = FlatRows(lengths)
    order = [int(row) for block in layout.blocks for row in block.rows]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths, reverse=True)
    for block, where in layout.slices:
        own = [lengths[row] for row in block.rows]
        assert block.t % ALIGNED == 0 and 0 <= block.t - max(own) < ALIGNED
        assert where.stop - where.start == len(own) * block.t
        assert sum(max(own) - n for n in own) <= BLOCK_COST
        assert (block.seen is None) == (min(own) == block.t)


@given(LENGTHS)
def test_each_piece_comes_back_from_its_block(lengths):
    layout = FlatRows(lengths)
    x = torch.arange(1.0, layout.n + 1)[:, None]
    there = layout.to_blocks(x, zero=True)
    assert len(there) == layout.slices[-1][1].stop
    n_real = sum(lengths)
    assert sorted(there[there > 0].tolist()) == [*map(float, range(1, n_real + 1))]
    back = layout.from_blocks(there, zero=True)[:, 0].tolist()
    assert back == [*map(float, range(1, n_real + 1)), *[0.0] * (layout.n - n_real)]
    assert layout.from_blocks(layout.to_blocks(x))[:n_real].equal(x[:n_real])


def test_blocks_by_hand():
    layout = FlatRows([8, 100, 76, 8, 76])  # 48 pieces of padding pay for no further block
    assert [(block.rows.tolist(), block.t) for block in layout.blocks] == [
        ([1, 2, 4], 112),
        ([0, 3], 16),
    ]
    assert layout.n == 272
    assert [where for _, where in layout.slices] == [slice(0, 336), slice(336, 368)]
    assert layout.blocks[0].seen[1, 0, 0].tolist() == [True] * 76 + [False] * 36
    x = torch.arange(272)[:, None]
    first = layout.to_blocks(x, zero=True)[:336, 0].view(3, 112)
    assert first[0].tolist() == [*range(8, 108), *[0] * 12]
    assert first[2].tolist() == [*range(192, 268), *[0] * 36]


def test_virtual_tokens_are_always_seen():
    (block,) = FlatRows([16, 15], n_virtual=2).blocks
    assert block.seen[:, 0, 0].tolist() == [[True] * 18, [True] * 17 + [False]]


@pytest.mark.parametrize(
    "lengths, t, masked", [([5], 5, False), ([4], 5, True), ([5, 5], 5, True)]
)
def test_padded_rows_are_masked_unless_one_fills_the_batch(lengths, t, masked):
    assert (PaddedRows(torch.tensor(lengths), t, 0).seen is not None) == masked
