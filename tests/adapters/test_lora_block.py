"""A block of an adapter in training as one node: the same as site by site, forward and back."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from multibert_spacy.adapters.bank import Bank
from multibert_spacy.adapters.kinds import LoraSettings
from multibert_spacy.adapters.lora import LoraTrained
from multibert_spacy.core.packing import FlatRows, PaddedRows
from tests.tiny import TEXTS, load_core, make_adapter, make_batch, tensors

MANY = [TEXTS[2] * 5, ["هتل"], TEXTS[0], TEXTS[2] * 5, ["خبر"]]


def trained(core, batch, settings, layout, dropout=0.0):
    """RETURNS (tuple): Hidden states, weighted at random for the loss, and the gradients of all of
    the adapter's parameters, by name.
    """
    adapter = make_adapter(core, settings)
    for p in adapter.parameters():
        p.requires_grad_(True)
    bank = Bank([adapter], train=True)
    torch.manual_seed(0)
    hidden = core.forward(
        *tensors(batch), bank.rows([0] * len(batch.lengths)), dropout=dropout, layout=layout
    )
    seen = torch.arange(hidden.shape[1]) < torch.from_numpy(batch.lengths)[:, None]
    hidden = hidden[seen].float()
    weights = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))
    (hidden * weights).sum().backward()
    return hidden.detach(), {name: p.grad for name, p in adapter.named_parameters()}


def assert_near(gradients, expected):
    """Each to a thousandth of its largest value."""
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        largest = float(expected[name].abs().max())
        assert largest > 0, name
        assert_close(gradient, expected[name], rtol=0, atol=1e-3 * largest, msg=name)


def nodes_of(core, batch, settings, layout):
    """RETURNS (set): Names of the nodes in the graph of the hidden states."""
    adapter = make_adapter(core, settings)
    for p in adapter.parameters():
        p.requires_grad_(True)
    bank = Bank([adapter], train=True)
    hidden = core.forward(*tensors(batch), bank.rows([0] * len(batch.lengths)), layout=layout)
    names, todo = set(), [hidden.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in names:
            names.add(node)
            todo += [before for before, _ in node.next_functions]
    return {node.name() for node in names}


@pytest.mark.parametrize("texts", [TEXTS, MANY, [["هتل"]]], ids=["one block", "blocks", "one row"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_it_is_what_site_by_site_is(core_folder, texts, dropout, monkeypatch):
    core = load_core(core_folder)
    batch = make_batch(core, texts)
    layout = FlatRows(batch.lengths.tolist())
    settings = LoraSettings(rank=3, alpha=7)
    hidden, gradients = trained(core, batch, settings, layout, dropout)
    monkeypatch.setattr(LoraTrained, "block", lambda *_: None)
    expected, expected_gradients = trained(core, batch, settings, layout, dropout)
    assert len(gradients) == 2 * 6 * core.n_layers
    assert_close(hidden, expected, rtol=1e-4, atol=1e-4)
    assert_near(gradients, expected_gradients)


def test_a_first_block_without_an_adapter(core_folder, monkeypatch):
    core = load_core(core_folder)
    batch = make_batch(core, TEXTS)
    layout = FlatRows(batch.lengths.tolist())
    settings = LoraSettings(rank=2, first_layer=1)
    _, gradients = trained(core, batch, settings, layout)
    monkeypatch.setattr(LoraTrained, "block", lambda *_: None)
    assert_near(gradients, trained(core, batch, settings, layout)[1])


def test_in_bf16_it_is_as_near_as_site_by_site(core_folder, monkeypatch):
    exact, short = (load_core(core_folder, precision=precision) for precision in ("fp32", "bf16"))
    batch = make_batch(exact, MANY)
    layout, settings = FlatRows(batch.lengths.tolist()), LoraSettings(rank=4)
    _, expected = trained(exact, batch, settings, layout)
    _, gradients = trained(short, batch, settings, layout)
    monkeypatch.setattr(LoraTrained, "block", lambda *_: None)
    _, by_site = trained(short, batch, settings, layout)
    assert all(gradient.dtype == torch.float32 for gradient in gradients.values())
    assert nearness(gradients, expected) > nearness(by_site, expected) - 0.02


def nearness(gradients, expected):
    """RETURNS (float): Mean cosine of the parameters' gradients."""
    flat = ((gradient.flatten(), expected[name].flatten()) for name, gradient in gradients.items())
    return torch.stack([torch.cosine_similarity(a, b, dim=0) for a, b in flat]).mean()


class TestWhereItIsUsed:
    @pytest.fixture
    def core(self, core_folder):
        return load_core(core_folder)

    @pytest.fixture
    def batch(self, core):
        return make_batch(core, TEXTS)

    def flat(self, batch):
        return FlatRows(batch.lengths.tolist())

    def test_flat_rows(self, core, batch):
        assert "_NodeBackward" in nodes_of(core, batch, LoraSettings(rank=2), self.flat(batch))

    def test_not_padded_rows(self, core, batch):
        layout = PaddedRows(torch.from_numpy(batch.lengths), batch.ids.shape[1], 0)
        names = nodes_of(core, batch, LoraSettings(rank=2), layout)
        assert "_NodeBackward" not in names and "_LoraLinearBackward" in names

    @pytest.mark.parametrize(
        "settings",
        [
            LoraSettings(rank=2, dropout=0.1),
            LoraSettings(rank=2, target_modules=("attention.self.query", "output.dense")),
        ],
        ids=["dropout of LoRA's own", "some sites only"],
    )
    def test_not_with_other_adapters(self, core, batch, settings):
        assert "_NodeBackward" not in nodes_of(core, batch, settings, self.flat(batch))

    def test_not_with_another_activation(self, core, batch):
        for layer in core.model.encoder.layer:
            layer.intermediate.intermediate_act_fn = nn.ReLU()
        assert "_NodeBackward" not in nodes_of(core, batch, LoraSettings(rank=2), self.flat(batch))

    def test_not_with_a_core_that_is_trained(self, core_folder, batch):
        core = load_core(core_folder, trainable=True)
        assert "_NodeBackward" not in nodes_of(core, batch, LoraSettings(rank=2), self.flat(batch))
