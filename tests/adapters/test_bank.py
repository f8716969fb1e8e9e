"""The bank: a batch of many domains is what its rows would be alone."""

import copy
import itertools

import pytest
import torch
from torch.testing import assert_close

from multibert_spacy.adapters.bank import Bank
from multibert_spacy.adapters.kinds import LoraSettings, NoSettings, PrefixSettings
from multibert_spacy.adapters.lora import _LoraLinear
from multibert_spacy.errors import AdapterError
from tests.tiny import (
    SETTINGS,
    TEXTS,
    PlainRows,
    hidden_states,
    load_core,
    make_adapter,
    make_batch,
    mask_of,
    tensors,
)

CLOSE = {"rtol": 0, "atol": 1e-4}
QUERY = "attention.self.query"
KINDS = {
    "lora": [LoraSettings(rank=4, alpha=8)] * 3,
    "prefix": [PrefixSettings(n_virtual=6, init="noise")] * 3,
    "projection": [PrefixSettings(n_virtual=6, projection=True)] * 3,
    "lora of different ranks and sites": [
        LoraSettings(rank=1, alpha=3, target_modules=(QUERY,)),
        LoraSettings(rank=6, alpha=2, target_modules=("output.dense", QUERY), first_layer=1),
        LoraSettings(rank=3, alpha=9, target_modules=("encoder.layer.0.intermediate.dense",)),
    ],
    "lora and paper lora": [
        LoraSettings(rank=16, alpha=32),
        LoraSettings(3, 1, (QUERY, "attention.self.value")),
        LoraSettings(rank=2),
    ],
}


def run(core, batch, rows):
    with torch.no_grad():
        return core.forward(*tensors(batch), rows)


def one_by_one(core, adapters, index):
    return torch.cat(
        [
            hidden_states(core, make_batch(core, [words]), adapters[i])
            for words, i in zip(TEXTS, index, strict=True)
        ]
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
class TestMixed:
    def test_a_mixed_batch_is_its_rows_one_by_one(self, core_folder, kind):
        core = load_core(core_folder)
        adapters = [make_adapter(core, settings, i) for i, settings in enumerate(KINDS[kind])]
        batch = make_batch(core)
        bank = Bank(adapters)
        for index in ([2, 0, 1, 0], [0, 0, 0, 1], [1, 2, 2, 0]):
            mixed = run(core, batch, bank.rows(index))[mask_of(batch).bool()]
            assert_close(mixed, one_by_one(core, adapters, index), **CLOSE)

    def test_each_row_gets_its_own(self, bert_folder, kind):
        core = load_core(bert_folder)
        adapters = [make_adapter(core, settings, i) for i, settings in enumerate(KINDS[kind])]
        batch = make_batch(core, [TEXTS[0]] * 3)
        hidden = run(core, batch, Bank(adapters).rows([0, 1, 2]))
        for one, other in itertools.combinations(hidden, 2):
            assert (one - other).abs().max() > 1e-3

    def test_the_order_of_the_domains_does_not_matter(self, bert_folder, kind):
        core = load_core(bert_folder)
        adapters = [make_adapter(core, settings, i) for i, settings in enumerate(KINDS[kind])]
        batch = make_batch(core)
        index = [2, 0, 1, 1]
        expected = run(core, batch, Bank(adapters).rows(index))
        for order in itertools.permutations(range(3)):
            bank = Bank([adapters[i] for i in order])
            hidden = run(core, batch, bank.rows([order.index(i) for i in index]))
            assert_close(hidden, expected, rtol=0, atol=1e-5)

    def test_a_batch_of_one_domain_takes_a_shortcut_to_the_same_result(self, bert_folder, kind):
        core = load_core(bert_folder)
        adapters = [make_adapter(core, settings, i) for i, settings in enumerate(KINDS[kind])]
        bank = Bank(adapters)
        batch = make_batch(core, [*TEXTS, TEXTS[0]])
        general = run(core, batch, bank.rows([1, 1, 1, 1, 2]))
        short = run(core, batch, bank.rows([1] * 5))
        alone = run(core, batch, Bank([adapters[1]]).rows([0] * 5))
        seen = mask_of(batch).bool()
        seen[4] = False
        assert_close(short[seen], general[seen], **CLOSE)
        assert_close(short[seen], alone[seen], **CLOSE)

    def test_gathered_is_what_rows_gives(self, bert_folder, kind):
        """What is traced for a graph is what runs in torch, which has shortcuts."""
        core = load_core(bert_folder)
        adapters = [make_adapter(core, settings, i) for i, settings in enumerate(KINDS[kind])]
        batch, bank = make_batch(core), Bank(adapters)
        for index in ([2, 0, 1, 0], [0, 1, 1, 2], [1, 1, 1, 1]):
            gathered = run(core, batch, bank.gather(torch.tensor(index)))
            seen = mask_of(batch).bool()
            assert_close(run(core, batch, bank.rows(index))[seen], gathered[seen], **CLOSE)

    def test_equal_adapters_are_one(self, bert_folder, kind):
        core = load_core(bert_folder)
        one, two = (make_adapter(core, KINDS[kind][0], seed) for seed in (0, 1))
        bank = Bank([one, two, copy.deepcopy(one), copy.deepcopy(two)])
        assert (bank.n, bank.place) == (2, [0, 1, 0, 1])
        batch = make_batch(core)
        with torch.no_grad():
            got, expected = (run(core, batch, bank.rows(i)) for i in ([2, 1, 0, 3], [0, 1, 0, 1]))
        assert torch.equal(got, expected)
        with torch.no_grad():
            next(one.parameters()).add_(1)
        assert Bank([one, two, copy.deepcopy(two)]).place == [0, 1, 1]

    def test_equal_adapters_are_trained_apart(self, bert_folder, kind):
        core = load_core(bert_folder)
        one = make_adapter(core, KINDS[kind][0])
        other = copy.deepcopy(one)
        rows = Bank([one, other], train=True).rows([0, 1])
        hidden = core.forward(*tensors(make_batch(core, TEXTS[:2])), rows)[0]
        (hidden * torch.randn_like(hidden)).sum().backward()
        assert any(p.grad is not None and p.grad.any() for p in one.parameters())
        assert not any(p.grad is not None and p.grad.any() for p in other.parameters())

    def test_gradients_reach_each_adapter_from_its_own_rows(self, bert_folder, kind):
        core = load_core(bert_folder)
        adapters = [make_adapter(core, settings, i) for i, settings in enumerate(KINDS[kind])]
        batch = make_batch(core, TEXTS[:3])

        def gradients(index, row):
            for adapter in adapters:
                adapter.zero_grad()
            hidden = core.forward(*tensors(batch), Bank(adapters, train=True).rows(index))
            hidden[row, 0, :4].sum().backward()
            return [
                [torch.zeros_like(p) if p.grad is None else p.grad for p in adapter.parameters()]
                for adapter in adapters
            ]

        mixed = gradients([2, 0, 1], row=1)
        assert all(p.any() for p in mixed[0])
        assert not any(p.any() for own in mixed[1:] for p in own)
        single = gradients([0, 0, 0], row=1)
        for one, other in zip(mixed[0], single[0], strict=True):
            assert_close(one, other, **CLOSE)

    @pytest.mark.parametrize("trainable", [False, True])
    def test_gradients_of_one_adapter_are_autograds(self, bert_folder, kind, trainable):
        core = load_core(bert_folder, trainable=trainable)
        adapter = make_adapter(core, KINDS[kind][0])
        batch = make_batch(core)
        seen = mask_of(batch).bool()
        weights = torch.randn(int(seen.sum()), 32)
        learned = [*adapter.parameters(), *(core.model.parameters() if trainable else ())]
        results = []
        for rows in (Bank([adapter], train=True).rows([0] * 4), PlainRows(adapter)):
            hidden = core.forward(*tensors(batch), rows)[seen]
            gradients = torch.autograd.grad((hidden * weights).sum(), learned, allow_unused=True)
            results.append([hidden, *(g for g in gradients if g is not None)])
        assert len(results[0]) > 1
        for one, other in zip(*results, strict=True):
            # sums of large terms may be near 0: what is lost there depends on the processor
            largest = max(1.0, float(other.detach().abs().max()))
            assert_close(one, other, rtol=1e-3, atol=1e-4 * largest)

    def test_gradients_of_one_adapter_in_bf16_are_close(self, bert_folder, kind):
        adapter = make_adapter(load_core(bert_folder), KINDS[kind][0])
        results = []
        for precision in ("fp32", "bf16"):
            core = load_core(bert_folder, precision=precision)
            rows = Bank([adapter], train=True).rows([0] * 4)
            hidden = core.forward(*tensors(make_batch(core)), rows)
            weights = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))
            seen = mask_of(make_batch(core)).bool()
            loss = (hidden.float() * weights)[seen].sum()
            gradients = torch.autograd.grad(loss, list(adapter.parameters()))
            assert {g.dtype for g in gradients} == {torch.float32}
            results.append(torch.cat([g.flatten() for g in gradients]))
        assert torch.cosine_similarity(*results, dim=0) > 0.98

    def test_predicting_keeps_no_graph(self, bert_folder, kind):
        core = load_core(bert_folder)
        adapters = [make_adapter(core, settings) for settings in KINDS[kind]]
        rows = Bank(adapters).rows([0, 1])
        assert not core.forward(*tensors(make_batch(core, TEXTS[:2])), rows).requires_grad


class TestTypes:
    @pytest.mark.parametrize("kind", ["lora", "prefix"])
    def test_a_bank_in_bf16_is_close(self, bert_folder, kind):
        core = load_core(bert_folder)
        rounded = load_core(bert_folder, precision="bf16")
        adapters = [make_adapter(core, settings, i) for i, settings in enumerate(KINDS[kind])]
        batch = make_batch(core)
        seen = mask_of(batch).bool()
        index = [2, 0, 1, 0]
        exact = run(core, batch, Bank(adapters).rows(index))[seen]
        for bank in (Bank(adapters, torch.bfloat16), Bank(adapters)):
            hidden = run(rounded, batch, bank.rows(index))[seen]
            assert hidden.dtype == torch.bfloat16
            assert torch.cosine_similarity(hidden.float(), exact, dim=-1).min() > 0.99

    def test_the_bank_does_not_change_the_adapters(self, bert_folder):
        core = load_core(bert_folder)
        adapter = make_adapter(core, LoraSettings(rank=2))
        before = {name: value.clone() for name, value in adapter.state_dict().items()}
        run(core, make_batch(core), Bank([adapter], torch.bfloat16).rows([0] * 4))
        assert {p.dtype for p in adapter.parameters()} == {torch.float32}
        assert all(torch.equal(before[name], v) for name, v in adapter.state_dict().items())


class TestNoAdapter:
    def test_there_is_nothing_to_add(self, bert_folder):
        core = load_core(bert_folder)
        adapters = [NoSettings().build(core) for _ in range(2)]
        assert Bank(adapters).rows([0, 1]) is None
        assert Bank(adapters[:1], train=True).rows([0, 0]) is None


def test_loras_are_not_copied(bert_folder):
    core = load_core(bert_folder)
    adapters = [make_adapter(core, SETTINGS["lora"], i) for i in range(2)]
    bank = Bank(adapters, torch.bfloat16)
    for i, adapter in enumerate(adapters):
        pairs = bank.rows([i]).pairs
        for site, a, b in zip(adapter.sites, adapter.a, adapter.b, strict=True):
            own_a, own_b = pairs[site]
            assert (own_a.data_ptr(), own_b.data_ptr()) == (a.data_ptr(), b.data_ptr())


class TestRefused:
    @pytest.mark.parametrize(
        "kinds, names",
        [
            (("lora", "prefix"), "LoraAdapter', 'PrefixAdapter"),
            (("prefix", "none"), "NoAdapter', 'PrefixAdapter"),
            (("lora", "none"), "LoraAdapter', 'NoAdapter"),
        ],
    )
    def test_adapters_of_different_kinds(self, bert_folder, kinds, names):
        core = load_core(bert_folder)
        settings = {"lora": LoraSettings(), "prefix": PrefixSettings(), "none": NoSettings()}
        with pytest.raises(AdapterError, match=names):
            Bank([settings[kind].build(core) for kind in kinds])

    def test_prefixes_of_different_lengths(self, bert_folder):
        core = load_core(bert_folder)
        prefixes = [PrefixSettings(n_virtual=n).build(core) for n in (9, 4, 9)]
        with pytest.raises(AdapterError, match=r"different lengths in one bank: \[4, 9\]"):
            Bank(prefixes)

    def test_no_adapter_at_all(self):
        with pytest.raises(AdapterError):
            Bank([])


@pytest.mark.parametrize("drop", [False, True])
def test_lora_linear_has_the_gradients_of_the_plain_product(drop) -> None:
    shapes = [(3, 5, 7), (6, 7), (6,), (2, 7), (6, 2)]
    x, w, bias, a, b = (torch.randn(shape, requires_grad=True) for shape in shapes)
    keep = torch.randint(0, 2, (15, 7)) * 2.0 if drop else None
    output = _LoraLinear.apply(x, keep, w, bias, a, b, 1.5)
    z = x * keep.view(x.shape) if drop else x
    expected = x @ w.T + bias + 1.5 * (z @ a.T @ b.T)
    assert_close(output, expected)
    weights = torch.randn_like(output)
    assert_close(
        torch.autograd.grad(output, [x, w, bias, a, b], weights),
        torch.autograd.grad(expected, [x, w, bias, a, b], weights),
    )
