"""OpenVINO: the same hidden states as torch; a graph that is kept, and is not trusted."""

import copy
import json
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import SETTINGS, listener_to, load_core, make_adapter, make_batch, mask_of, tensors
from transformers import AutoTokenizer, BertConfig, BertModel

from multibert_spacy.core import precision as compute
from multibert_spacy.core.encoder import Core
from multibert_spacy.engines.engine import make_engine
from multibert_spacy.engines.torch_engine import TorchEngine
from multibert_spacy.errors import AdapterError, ConfigError, EngineError
from multibert_spacy.networks.tagger_model import TaggerModel

pytest.importorskip("openvino")
pytest.importorskip("nncf")

import openvino as ov

from multibert_spacy.engines import openvino_engine, openvino_graph
from multibert_spacy.engines.openvino_engine import OpenvinoEngine
from multibert_spacy.engines.self_check import find_fault

MIXED = [0, 2, 1, 2]
KINDS = sorted(SETTINGS)


def with_engine(core, *, precision="fp32"):
    """The same core, to be run by OpenVINO."""
    return Core(core.model, core.tokenizer, precision=precision, engine="openvino")


def adapters_for(core, kind, n=3):
    if kind == "none":
        return [make_adapter(core, SETTINGS[kind])]
    return [make_adapter(core, SETTINGS[kind], seed=i) for i in range(n)]


def states(core, adapters, index=None, *, texts=None, **settings):
    """Hidden states (pieces, h) without padding."""
    batch = make_batch(core, texts) if texts else make_batch(core)
    index = [0] * len(batch.ids) if len(adapters) == 1 else index or MIXED
    with torch.no_grad():
        hidden = make_engine(core, adapters, **settings)(*tensors(batch), index)
    return hidden[mask_of(batch).bool()].float()


def deviation(got, expected):
    """Of noise that is as large as what tells pieces apart: 1."""
    spread = expected - expected.mean(0)
    return (got.float() - expected).norm() / spread.norm()


def group_of(engine):
    config = engine._compile(1)
    return config.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE")


@pytest.fixture
def core_of_width(bert_folder):
    """The tokenizer of the tiny BERT, with a random model of another width."""

    def make(width, inner):
        tokenizer = AutoTokenizer.from_pretrained(bert_folder)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
        return Core(BertModel(config, add_pooling_layer=False).eval(), tokenizer, precision="fp32")

    return make


def made(monkeypatch):
    """Counts the graphs that are made."""
    calls = []
    make = openvino_graph.make_graph

    def count(*args, **kwargs):
        calls.append(args)
        return make(*args, **kwargs)

    monkeypatch.setattr(openvino_graph, "make_graph", count)
    return calls


# Hidden states


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_hidden_states(core_folder, kind):
    core = load_core(core_folder)
    adapters = adapters_for(core, kind)
    expected = states(core, adapters)
    assert torch.allclose(states(with_engine(core), adapters), expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_other_shapes_than_the_traced(core_folder, kind):
    """One row, one piece, and as many as the core takes; the first layers only."""
    core = load_core(core_folder)
    adapters = adapters_for(core, kind)
    for n_layers in (None, 1):
        plain = make_engine(core, adapters, n_layers=n_layers)
        engine = make_engine(with_engine(core), adapters, n_layers=n_layers)
        for words in (["هتل"], [], ["هتل", "خبر"] * core.max_pieces):
            batch = tensors(make_batch(core, [words]))
            with torch.no_grad():
                expected, got = plain(*batch, [1]), engine(*batch, [1])
            assert got.shape == expected.shape
            assert torch.allclose(got, expected, atol=5e-5)


def test_loras_of_different_ranks_and_sites(bert_folder):
    core = load_core(bert_folder)
    small = replace(SETTINGS["lora"], rank=2, target_modules=("attention.self.query",))
    adapters = [make_adapter(core, SETTINGS["lora"]), make_adapter(core, small, seed=1)]
    index = [0, 1, 1, 0]
    expected = states(core, adapters, index)
    assert torch.allclose(states(with_engine(core), adapters, index), expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_int8_is_near(bert_folder, kind):
    """Near, and not the same: it is in effect."""
    core = load_core(bert_folder)
    adapters = adapters_for(core, kind)
    expected = states(core, adapters)
    got = states(with_engine(core, precision="int8"), adapters)
    assert deviation(got, expected) < 0.3
    assert not torch.allclose(got, expected, atol=1e-3)


@pytest.mark.skipif(
    os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper() != "ALL",
    reason="OpenVINO asks the processor for VNNI, and its oneDNN is held back from it",
)
@pytest.mark.parametrize("width, inner, group", [(64, 128, 64), (96, 192, 32), (312, 1200, 0)])
def test_int8_is_near_whatever_the_width(core_of_width, width, inner, group):
    """On processors with VNNI int8 is made of whole groups, and the rest of a row is not read."""
    core = core_of_width(width, inner)
    adapters = adapters_for(core, "lora")
    engine = make_engine(with_engine(core, precision="int8"), adapters)
    assert openvino_engine.int8_widths(engine._graph) == {width, inner}
    assert group_of(engine) == group
    batch = make_batch(core)
    mask = mask_of(batch).bool()
    expected = TorchEngine(core, adapters, None)(*tensors(batch), MIXED)[mask]
    assert deviation(engine(*tensors(batch), MIXED)[mask], expected) < 0.3


@pytest.mark.parametrize(
    "widths, group",
    [
        ({384, 1536}, 64),
        ({768, 3072}, 64),
        ({64}, 64),
        ({96, 192}, 32),
        ({32, 128}, 32),
        ({32, 48}, 0),
        ({32}, 32),
        ({312, 1200}, 0),
        ({384, 1000}, 0),
        ({1}, 0),
        (set(), 0),
    ],
)
def test_the_group_divides_every_width(widths, group):
    assert openvino_engine.group_size(widths) == group


@given(st.sets(st.integers(1, 400).map(lambda n: 8 * n), max_size=4))
def test_groups_leave_no_rest(widths):
    group = openvino_engine.group_size(widths)
    assert group in (0, 32, 64)
    assert not group or all(width % group == 0 for width in widths)
    assert group or not widths or any(width % 32 for width in widths)


def test_floats_are_in_no_groups(bert_folder):
    core = load_core(bert_folder)
    engine = make_engine(with_engine(core), adapters_for(core, "lora"))
    assert openvino_engine.int8_widths(engine._graph) == set()
    assert group_of(engine) == 0


def test_int8_is_the_same_each_time(bert_folder):
    core = load_core(bert_folder)
    adapters = adapters_for(core, "prefix")
    one, other = (states(with_engine(core, precision="int8"), adapters) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_equal_adapters(bert_folder, kind):
    core = load_core(bert_folder)
    one, other, _ = adapters_for(core, kind)
    adapters = [one, copy.deepcopy(one), other, copy.deepcopy(other)]
    for index in (MIXED, [3, 1, 2, 0], [1, 1, 0, 0]):
        expected = states(core, adapters, index=index)
        got = states(with_engine(core), adapters, index=index)
        assert torch.allclose(got, expected, atol=2e-5)


def test_threads_share_an_engine(bert_folder):
    core = load_core(bert_folder)
    adapters = adapters_for(core, "lora")
    engine = make_engine(with_engine(core), adapters)
    batch = make_batch(core)
    orders = [[i % 3, 1, 2, 0] for i in range(12)]
    expected = [TorchEngine(core, adapters, None)(*tensors(batch), order) for order in orders]
    with ThreadPoolExecutor(4) as pool:
        got = pool.map(lambda order: engine(*tensors(batch), order), orders)
    mask = mask_of(batch).bool()
    for one, other in zip(got, expected, strict=True):
        assert torch.allclose(one[mask], other[mask], atol=2e-5)


def test_what_is_returned_is_not_overwritten(bert_folder):
    core = load_core(bert_folder)
    engine = make_engine(with_engine(core), adapters_for(core, "lora"))
    batch = tensors(make_batch(core))
    first = engine(*batch, MIXED)
    before = first.clone()
    engine(*batch, [1, 1, 1, 1])
    assert torch.equal(first, before)


# The graph on disk


def test_a_graph_is_made_once(bert_folder, tmp_path, monkeypatch):
    calls = made(monkeypatch)
    core = load_core(bert_folder)
    adapters = adapters_for(core, "lora")
    first = states(with_engine(core), adapters, graph=tmp_path / "graph")
    again = states(with_engine(core), adapters, graph=tmp_path / "graph")
    assert torch.equal(first, again)
    assert len(calls) == 1
    names = sorted(path.name for path in (tmp_path / "graph" / "float").iterdir())
    assert names == ["graph.bin", "graph.json", "graph.xml"]
    assert sorted(path.name for path in (tmp_path / "graph").iterdir()) == ["float"]


@pytest.mark.parametrize("kind", ["lora", "prefix"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_other_adapters_need_no_new_graph(bert_folder, tmp_path, monkeypatch, kind, precision):
    calls = made(monkeypatch)
    core = load_core(bert_folder)
    own = with_engine(core, precision=precision)
    states(own, adapters_for(core, kind), graph=tmp_path / "graph")
    more = [make_adapter(core, SETTINGS[kind], seed=i) for i in (5, 6, 7, 8, 9)]
    got = states(own, more, [4, 3, 0, 4], graph=tmp_path / "graph")
    assert len(calls) == 1
    expected = states(core, more, [4, 3, 0, 4])
    assert deviation(got, expected) < 0.3
    if precision == "fp32":
        assert torch.allclose(got, expected, atol=2e-5)


def test_a_graph_of_something_else_is_made_anew(bert_folder, tmp_path, monkeypatch):
    """Of another core, another rank, other sites, another number of layers, another kind."""
    calls = made(monkeypatch)
    core, other = load_core(bert_folder), load_core(bert_folder)
    with torch.no_grad():
        other.model.encoder.layer[0].output.dense.bias.add_(0.5)
    lora = SETTINGS["lora"]
    cases = [
        (core, lora, None),
        (other, lora, None),
        (core, replace(lora, rank=3), None),
        (core, replace(lora, target_modules=("attention.self.query",)), None),
        (core, lora, 1),
        (core, SETTINGS["prefix"], None),
    ]
    for i, (own, settings, n_layers) in enumerate(cases):
        adapters = [make_adapter(own, settings, seed=j) for j in range(3)]
        expected = states(own, adapters, n_layers=n_layers)
        for _ in range(2):
            got = states(with_engine(own), adapters, n_layers=n_layers, graph=tmp_path / "graph")
            assert torch.allclose(got, expected, atol=2e-5), i
        assert len(calls) == i + 1


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGE = {
    "weights": lambda folder: _flip(folder / "graph.bin"),
    "graph": lambda folder: _flip(folder / "graph.xml"),
    "no weights": lambda folder: (folder / "graph.bin").unlink(),
    "manifest": lambda folder: (folder / "graph.json").write_text("{"),
    "empty manifest": lambda folder: (folder / "graph.json").write_text("[]"),
    "no hashes": lambda folder: _rewrite(folder, files={}),
}


def _rewrite(folder, **values):
    path = folder / "graph.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("damage", sorted(DAMAGE))
def test_a_damaged_graph_is_made_anew(bert_folder, tmp_path, monkeypatch, caplog, damage):
    calls = made(monkeypatch)
    core = load_core(bert_folder)
    adapters = adapters_for(core, "lora")
    expected = states(with_engine(core), adapters, graph=tmp_path / "graph")
    DAMAGE[damage](tmp_path / "graph" / "float")
    with caplog.at_level(logging.WARNING):
        got = states(with_engine(core), adapters, graph=tmp_path / "graph")
    assert torch.equal(got, expected)
    assert len(calls) == 2
    assert "is damaged" in caplog.text and str(tmp_path) in caplog.text
    states(with_engine(core), adapters, graph=tmp_path / "graph")
    assert len(calls) == 2


def test_a_folder_that_cannot_be_written(bert_folder, tmp_path, caplog):
    core = load_core(bert_folder)
    adapters = adapters_for(core, "lora")
    (tmp_path / "graph").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        got = states(with_engine(core), adapters, graph=tmp_path / "graph")
    assert torch.allclose(got, states(core, adapters), atol=2e-5)
    assert "cannot be kept" in caplog.text
    states(with_engine(core), adapters, graph=tmp_path / "gone" / "graph")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph"]


def test_a_core_that_is_no_half_keeps_its_weights(bert_folder, tmp_path):
    core = load_core(bert_folder)
    adapters = adapters_for(core, "lora")
    states(with_engine(core), adapters, graph=tmp_path / "graph")
    whole = (tmp_path / "graph" / "float" / "graph.bin").stat().st_size
    core.model.half().float()
    states(with_engine(core), adapters, graph=tmp_path / "graph")
    half = (tmp_path / "graph" / "float" / "graph.bin").stat().st_size
    assert half == pytest.approx(whole / 2, rel=0.1)


def test_nothing_is_printed_or_reported(bert_folder, capfd, monkeypatch):
    openvino_telemetry = pytest.importorskip("openvino_telemetry")
    sent = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(
        openvino_telemetry.main.TelemetrySender, "send", lambda *args: sent.append(args)
    )
    core = load_core(bert_folder)
    capfd.readouterr()
    states(with_engine(core, precision="int8"), adapters_for(core, "lora"))
    assert capfd.readouterr() == ("", "")
    assert not sent


# What is compiled is compared with torch


FAULTS = {
    "the sign": lambda x: -x,
    "rows of others": lambda x: x.roll(1, 0) if len(x) > 1 else x.roll(1, 1),
    "noise": lambda x: x + 2 * torch.randn_like(x),
    "no numbers": lambda x: x * torch.nan,
    "nothing": torch.zeros_like,
}


@pytest.fixture
def wrong(monkeypatch):
    """Makes every compiled graph wrong, as a processor may; counts what is compiled."""
    infer, compile_ = OpenvinoEngine._infer, OpenvinoEngine._compile
    compiled = []

    def count(self, streams):
        compiled.append(self)
        return compile_(self, streams)

    def set_fault(fault):
        monkeypatch.setattr(OpenvinoEngine, "_infer", lambda *args: fault(infer(*args)))
        monkeypatch.setattr(OpenvinoEngine, "_compile", count)
        return compiled

    return set_fault


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_wrong_engine_is_an_error(bert_folder, tmp_path, wrong, fault, precision):
    """Each time, and without compiling again for the next text."""
    core = load_core(bert_folder)
    compiled = wrong(FAULTS[fault])
    own = with_engine(core, precision=precision)
    engine = make_engine(own, adapters_for(core, "lora"), graph=tmp_path / "graph")
    batch = tensors(make_batch(core))
    for _ in range(2):
        with pytest.raises(EngineError) as caught:
            engine(*batch, MIXED)
        message = str(caught.value)
        for part in ("cosine", "difference", precision, 'engine = "torch"', str(tmp_path)):
            assert part in message
        assert ov.Core().get_property("CPU", "FULL_DEVICE_NAME") in message
    assert len(compiled) == 1


def _fail(*args):
    raise RuntimeError("Exception from core.cpp:117:\nno kernel for node: Softmax_7\n")


@pytest.mark.parametrize(
    "step, stand_in, said",
    [
        ("_compile", _fail, "no kernel for node: Softmax_7"),
        ("_infer", _fail, "no kernel for node: Softmax_7"),
        ("_infer", lambda *args: torch.zeros(3, 0, 32), "hidden states of shape (3, 0, 32), not"),
    ],
)
def test_an_engine_that_fails_is_an_error(bert_folder, monkeypatch, step, stand_in, said):
    core = load_core(bert_folder)
    monkeypatch.setattr(OpenvinoEngine, step, stand_in)
    engine = make_engine(with_engine(core), adapters_for(core, "lora"))
    for _ in range(2):
        with pytest.raises(EngineError) as caught:
            engine(*tensors(make_batch(core)), MIXED)
        assert said in str(caught.value)
        assert 'Choose engine = "torch"' in str(caught.value)


@pytest.mark.parametrize("kind", ["lora", "prefix"])
def test_adapters_in_another_order_are_an_error(bert_folder, kind):
    core = load_core(bert_folder)
    engine = make_engine(with_engine(core), adapters_for(core, kind))
    engine._place = engine._place[[1, 2, 0]]
    with pytest.raises(EngineError):
        engine(*tensors(make_batch(core)), MIXED)


def test_a_right_engine_is_checked_once(bert_folder, monkeypatch):
    calls = []

    def count(*args):
        calls.append(args)
        return find_fault(*args)

    monkeypatch.setattr(openvino_engine, "find_fault", count)
    core = load_core(bert_folder)
    engine = make_engine(with_engine(core), adapters_for(core, "lora"))
    assert not calls
    for _ in range(3):
        engine(*tensors(make_batch(core)), MIXED)
    assert len(calls) == 1


def test_other_adapters_are_checked_too_and_may_be_right(bert_folder, wrong):
    core = load_core(bert_folder)
    model = TaggerModel(SETTINGS["lora"], listener_to(with_engine(core)), 0.0)
    model.add_domain("news", head="formal", labels=["PER"])
    batch = make_batch(core)
    compiled = wrong(FAULTS["the sign"])
    with pytest.raises(EngineError):
        model.predict(batch)
    wrong(lambda x: x)
    with pytest.raises(EngineError):
        model.predict(batch)
    model.add_domain("sports", head="formal")
    assert len(model.predict(batch)) == len(batch.ids)
    assert len(compiled) == 2


# Settings


CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "engine, precision, device, trainable, message",
    [
        ("onnx", "auto", "cpu", False, "torch, openvino; got 'onnx'"),
        ("torch", "int8", "cpu", False, 'int8" needs engine = "openvino"'),
        ("openvino", "fp16", "cpu", False, "no fp16"),
        ("openvino", "auto", "cpu", True, 'trained needs engine = "torch"'),
        ("openvino", "auto", "cuda", False, "the core is on cuda"),
    ],
)
def test_what_does_not_go_together(engine, precision, device, trainable, message):
    with pytest.raises(ConfigError, match=message):
        compute.check_engine(engine, precision, torch.device(device), trainable=trainable)


def test_the_extra_is_named_if_it_is_missing(bert_folder, monkeypatch):
    core = load_core(bert_folder)
    monkeypatch.setattr(compute.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"multibert-spacy\[openvino\]"):
        with_engine(core)


def test_only_making_an_int8_graph_needs_nncf(bert_folder, tmp_path, monkeypatch):
    core = with_engine(load_core(bert_folder), precision="int8")
    adapters = adapters_for(core, "prefix")
    states(core, adapters, graph=tmp_path / "graph")
    monkeypatch.setitem(sys.modules, "nncf", None)
    states(core, adapters, graph=tmp_path / "graph")
    with pytest.raises(ConfigError, match=r"multibert-spacy\[openvino\]"):
        states(core, adapters)


def test_adapters_of_two_kinds(bert_folder):
    core = load_core(bert_folder)
    mixed = [make_adapter(core, SETTINGS["lora"]), make_adapter(core, SETTINGS["prefix"])]
    with pytest.raises(AdapterError, match="of one kind"):
        make_engine(with_engine(core), mixed)


def test_a_copied_model_shares_no_stale_engine(bert_folder):
    """thinc copies modules with `deepcopy`; the copy's update must not change the original."""
    core = load_core(bert_folder)
    model = TaggerModel(SETTINGS["lora"], listener_to(core), 0.0)
    model.add_domain("news", head="formal", labels=["PER"])
    batch = make_batch(core)
    model.predict(batch)
    other = model.copy()
    assert other.shims[0]._model._view._engine is model.shims[0]._model._view._engine
    other.shims[0]._model.weights_changed()
    assert model.shims[0]._model._view._engine is not None
