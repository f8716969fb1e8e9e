"""An engine that is near torch passes, whatever rounds; one that is wrong does not."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import SETTINGS, load_core, make_adapter
from torch.nn import functional as F

from multibert_spacy.adapters import lora as rows
from multibert_spacy.adapters.prefix import PrefixRows
from multibert_spacy.core.encoder import Core
from multibert_spacy.engines.self_check import LIMITS, find_fault
from multibert_spacy.engines.torch_engine import TorchEngine

KINDS = ["lora", "prefix"]
PRECISIONS = sorted(LIMITS)


@pytest.fixture
def core(bert_folder):
    return load_core(bert_folder)


def engine_of(core, kind, n=3, precision="fp32"):
    adapters = [make_adapter(core, SETTINGS[kind], seed=i) for i in range(n)]
    own = Core(core.model, core.tokenizer, precision=precision)
    return TorchEngine(own, adapters, None)


def fault_of(core, run, right, precision="int8", n=3):
    return find_fault(run, right, core, range(n), precision)


def grouped(x, weight, bias, group, rest):
    """A linear layer in int8 as OpenVINO computes it: of whole groups of x. rest (float): What
    stands in memory where the rest should be.
    """
    scale = weight.abs().amax(1, keepdim=True) / 127
    weight = (weight / scale).round() * scale
    if group:
        whole = x.shape[-1] // group * group
        parts = x[..., :whole].unflatten(-1, (-1, group)) if whole else x[..., :0]
        if whole:
            scale = parts.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
            parts = ((parts / scale).round() * scale).flatten(-2)
        x = torch.cat([parts, torch.full_like(x[..., whole:], rest)], dim=-1)
    return F.linear(x, weight, bias)


@pytest.fixture
def in_int8(monkeypatch):
    def patch(group, rest=0.0):
        def wrap(plain):
            def linear(self, site, x, module):
                added = plain(self, site, x, module) - F.linear(x, module.weight, module.bias)
                return added + grouped(x, module.weight, module.bias, group, rest)

            return linear

        for kind in (rows.LoraMixed, rows.LoraMerged, PrefixRows):
            monkeypatch.setattr(kind, "linear", wrap(kind.linear))

    return patch


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_rounding_is_no_fault(core, kind, precision):
    run = engine_of(core, kind, precision=precision)
    assert fault_of(core, run, engine_of(core, kind), precision) is None
    if precision == "bf16":
        assert fault_of(core, run, engine_of(core, kind), "fp32") is not None


def through(core, kind, in_int8, group, **settings):
    """Fault of an engine that computes in int8, with torch's results computed before."""
    right, known = engine_of(core, kind), {}

    def keep(ids, lengths, index):
        known[str(ids.shape)] = right(ids, lengths, index)
        return known[str(ids.shape)]

    fault_of(core, keep, keep)
    run = engine_of(core, kind)
    in_int8(group, **settings)
    return fault_of(core, run, lambda ids, lengths, index: known[str(ids.shape)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", [0, 16])
def test_int8_is_no_fault(core, in_int8, kind, group):
    """Of a core of width 32 and 48."""
    assert through(core, kind, in_int8, group) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rest", [0.0, 1.0, -3.0])
@pytest.mark.parametrize("group", [32, 64])
def test_groups_that_do_not_divide_are_a_fault(core, in_int8, kind, group, rest):
    found = through(core, kind, in_int8, group, rest=rest)
    assert found is not None
    assert "cosine" in found and "difference" in found


WRONG = {
    "sign": lambda run, ids, lengths, index: -run(ids, lengths, index),
    "rows": lambda run, ids, lengths, index: run(ids, lengths, index).flip(0).roll(1, 1),
    "positions": lambda run, ids, lengths, index: run(ids, lengths, index).roll(1, 1),
    "lengths": lambda run, ids, lengths, index: run(
        ids, torch.full_like(lengths, ids.shape[1]), index
    ),
    "adapters": lambda run, ids, lengths, index: run(ids, lengths, [(i + 1) % 3 for i in index]),
    "one adapter": lambda run, ids, lengths, index: run(ids, lengths, [0] * len(index)),
    "one row": lambda run, ids, lengths, index: _one_row(run(ids, lengths, index)),
    "noise": lambda run, ids, lengths, index: _noise(run(ids, lengths, index)),
    "infinite": lambda run, ids, lengths, index: run(ids, lengths, index) / 0,
    "no numbers": lambda run, ids, lengths, index: run(ids, lengths, index) * torch.nan,
    "zero": lambda run, ids, lengths, index: 0 * run(ids, lengths, index),
}


def _one_row(x):
    return torch.cat([-x[:1], x[1:]])


def _noise(x):
    return x + 2 * torch.randn_like(x)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_what_is_wrong_is_found(core, wrong, precision):
    right = engine_of(core, "lora")
    found = fault_of(core, lambda *batch: WRONG[wrong](right, *batch), right, precision)
    assert found is not None


@given(seed=st.integers(0, 2**31), size=st.floats(0, 0.05))
def test_adapters_that_do_little_are_told_apart(core_of_session, seed, size):
    """Two whose states differ by less than int8's limit, with noise in place of int8: right ones
    pass, and others are found where they are further than the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    right = engine_of(core_of_session, "prefix")

    def run(ids, lengths, index):
        x = right(ids, lengths, index)
        return x + size * torch.randn(x.shape, generator=generator)

    assert fault_of(core_of_session, run, right) is None


@pytest.fixture(scope="module")
def core_of_session(core_folders):
    return load_core(core_folders["bert"])


def test_a_weak_adapter_that_is_another(core):
    right = engine_of(core, "prefix")
    found = fault_of(
        core, lambda ids, lengths, index: right(ids, lengths, [1, 0, 2][: len(ids)]), right
    )
    assert found is not None


@pytest.mark.parametrize("n", [1, 2, 40])
def test_any_number_of_adapters(core, n):
    right = engine_of(core, "lora", n=n)
    assert fault_of(core, right, right, "fp32", n=n) is None


def test_it_is_cheap(core):
    right, pieces = engine_of(core, "lora", n=40), []

    def count(ids, lengths, index):
        pieces.append(ids.numel())
        return right(ids, lengths, index)

    fault_of(core, count, right, n=40)
    assert sum(pieces) < 250


def test_a_core_with_few_positions(core):
    core.max_pieces = 4
    right = engine_of(core, "lora")
    shapes = []

    def see(ids, lengths, index):
        shapes.append(ids.shape[1])
        return right(ids, lengths, index)

    assert fault_of(core, see, right) is None
    assert max(shapes) == 4
