"""Every registered function, called by its name in each of its modes."""

import inspect

import numpy as np
import pytest
from confection import ConfigValidationError
from spacy.tokens import Doc
from spacy.util import registry
from spacy.vocab import Vocab

from multibert_spacy.adapters.kinds import (
    ALL_LINEAR,
    LoraSettings,
    NoSettings,
    PrefixSettings,
)
from multibert_spacy.core.listener import CoreListener
from multibert_spacy.errors import ConfigError
from multibert_spacy.networks import architectures
from multibert_spacy.networks.classifier import ClassifierModel
from multibert_spacy.networks.tagger_model import TaggerModel
from tests.tiny import Owner, load_core, make_batch

LORA = {"@misc": "multibert_spacy.LoRA.v1", "rank": 2}
LISTENER = {"@architectures": "multibert_spacy.CoreListener.v1"}
NORMALIZERS = [
    "multibert_spacy.HazmNormalizer.v1",
    "multibert_spacy.NoNormalizer.v1",
]


def resolve(block):
    return registry.resolve({"it": block})["it"]


def lend(model, core):
    for node in model.walk():
        if isinstance(node, CoreListener):
            node.receive(Owner(core))
    return model


@pytest.mark.parametrize(
    "name, built",
    [
        ("LoRA", architectures.build_lora_v1),
        ("PaperLoRA", architectures.build_paper_lora_v1),
        ("Prefix", architectures.build_prefix_v1),
        ("PaperPrefix", architectures.build_paper_prefix_v1),
        ("NoAdapter", architectures.build_no_adapter_v1),
    ],
)
def test_adapters_are_found_by_name(name, built):
    assert registry.misc.get(f"multibert_spacy.{name}.v1") is built


@pytest.mark.parametrize(
    "name, built",
    [
        ("Tagger", architectures.build_tagger_v1),
        ("DomainClassifier", architectures.build_domain_classifier_v1),
        ("DomainMixture", architectures.build_domain_mixture_v1),
        ("CoreListener", architectures.build_core_listener_v1),
    ],
)
def test_architectures_are_found_by_name(name, built):
    assert registry.architectures.get(f"multibert_spacy.{name}.v1") is built


def test_no_function_of_the_module_is_left_out():
    built = {name for name, _ in inspect.getmembers(architectures, inspect.isfunction)}
    assert {name for name in built if name.startswith("build_")} == set(architectures.__all__)
    assert len(architectures.__all__) == 9


class TestSettings:
    @pytest.mark.parametrize(
        "block, expected",
        [
            ({"@misc": "multibert_spacy.LoRA.v1"}, LoraSettings(16, 32, ALL_LINEAR, 0, 0.0)),
            (
                {
                    "@misc": "multibert_spacy.LoRA.v1",
                    "rank": 2,
                    "alpha": 7,
                    "target_modules": ["output.dense"],
                    "first_layer": 1,
                    "dropout": 0.25,
                },
                LoraSettings(2, 7, ("output.dense",), 1, 0.25),
            ),
            (
                {"@misc": "multibert_spacy.PaperLoRA.v1"},
                LoraSettings(
                    rank=3,
                    alpha=1,
                    target_modules=("query-value",),
                    first_layer=0,
                    dropout=0.0,
                ),
            ),
            (
                {"@misc": "multibert_spacy.Prefix.v1"},
                PrefixSettings(n_virtual=22, projection=False, projection_width=0, init="text"),
            ),
            (
                {
                    "@misc": "multibert_spacy.Prefix.v1",
                    "n_virtual": 5,
                    "projection": True,
                    "projection_width": 9,
                    "init": "noise",
                },
                PrefixSettings(n_virtual=5, projection=True, projection_width=9, init="noise"),
            ),
            (
                {"@misc": "multibert_spacy.PaperPrefix.v1"},
                PrefixSettings(n_virtual=22, projection=True, projection_width=0, init="noise"),
            ),
            ({"@misc": "multibert_spacy.NoAdapter.v1"}, NoSettings()),
        ],
    )
    def test_literal(self, block, expected):
        assert resolve(block) == expected

    def test_their_kinds(self):
        kinds = [LoraSettings.kind, PrefixSettings.kind, NoSettings.kind]
        assert kinds == ["lora", "prefix", "none"]

    @pytest.mark.parametrize(
        "block",
        [
            {"@misc": "multibert_spacy.LoRA.v1", "rank": 0},
            {"@misc": "multibert_spacy.LoRA.v1", "target_modules": []},
            {"@misc": "multibert_spacy.Prefix.v1", "init": "zeros"},
            {"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 0},
        ],
    )
    def test_settings_without_sense_are_refused_when_built(self, block):
        with pytest.raises(ConfigError):
            resolve(block)

    def test_an_unknown_setting_is_refused(self):
        with pytest.raises(ConfigValidationError):
            resolve({"@misc": "multibert_spacy.LoRA.v1", "ranks": 3})


ADAPTERS = [
    {"@misc": "multibert_spacy.LoRA.v1", "rank": 2, "dropout": 0.1},
    {"@misc": "multibert_spacy.PaperLoRA.v1"},
    {"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 3},
    {"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 3, "projection": True},
    {"@misc": "multibert_spacy.PaperPrefix.v1"},
    {"@misc": "multibert_spacy.NoAdapter.v1"},
]


class TestModels:
    def test_listener(self):
        assert resolve(LISTENER).upstream == "*"
        assert resolve({**LISTENER, "upstream": "bert"}).upstream == "bert"

    @pytest.mark.parametrize("adapter", ADAPTERS)
    def test_tagger(self, core_folder, adapter):
        block = {
            "@architectures": "multibert_spacy.Tagger.v1",
            "adapter": adapter,
            "core": LISTENER,
        }
        core = load_core(core_folder)
        model = lend(resolve(block), core)
        assert isinstance(model, TaggerModel)
        assert model.module.dropout.p == 0.1
        model.add_domain("news", head="formal", labels=["LOC"], pieces=[5, 6])
        assert model.module.adapter_of("news").settings == resolve(adapter)
        logits = model.predict(make_batch(core))
        assert [row.shape[1] for row in logits] == [3] * 4

    def test_dropout_of_the_tagger(self):
        block = {
            "@architectures": "multibert_spacy.Tagger.v1",
            "adapter": LORA,
            "core": LISTENER,
            "dropout": 0.4,
        }
        assert resolve(block).module.dropout.p == 0.4

    @pytest.mark.parametrize("adapter", ADAPTERS)
    @pytest.mark.parametrize("pooling", ["mean", "first"])
    def test_classifier(self, bert_folder, adapter, pooling):
        block = {
            "@architectures": "multibert_spacy.DomainClassifier.v1",
            "adapter": adapter,
            "core": LISTENER,
            "normalizer": {"@misc": NORMALIZERS[1]},
            "max_pieces": 7,
            "batch_pieces": 33,
            "pooling": pooling,
            "dropout": 0.3,
        }
        model = lend(resolve(block), load_core(bert_folder))
        docs = [Doc(Vocab(), words=["سلام", "خبر"])]
        model.initialize(X=docs, Y=np.zeros((1, 3), dtype=np.float32))
        assert model.predict(docs).shape == (1, 3)
        assert [len(row) for row in model.rows(model.pieces(docs))] == [5]
        assert model.batch_pieces == 33
        assert model.module.pooling == pooling
        assert model.module.dropout.p == 0.3
        assert model.module.adapter.settings == resolve(adapter)

    def test_defaults_of_the_classifier(self):
        block = {
            "@architectures": "multibert_spacy.DomainClassifier.v1",
            "adapter": LORA,
            "core": LISTENER,
            "normalizer": {"@misc": NORMALIZERS[0]},
        }
        model = resolve(block)
        assert isinstance(model, ClassifierModel)
        assert (model.max_pieces, model.batch_pieces) == (512, 4096)
        assert (model.pooling, model.dropout) == ("mean", 0.1)

    @pytest.mark.parametrize("name, expected", [(NORMALIZERS[0], "علی"), (NORMALIZERS[1], "علي")])
    def test_the_classifier_sees_normal_forms(self, bert_folder, name, expected):
        block = {
            "@architectures": "multibert_spacy.DomainClassifier.v1",
            "adapter": LORA,
            "core": LISTENER,
            "normalizer": {"@misc": name},
        }
        core = load_core(bert_folder)
        model = lend(resolve(block), core)
        (row,) = model.pieces([Doc(Vocab(), words=["علي"])])
        assert tuple(row) == core.pieces([expected])[0]
