"""Sizes of systems: computed ones are those of real modules, measured ones those of files."""

import json
from pathlib import Path

import pytest
from transformers import BertModel
from typer.testing import CliRunner

from multibert_spacy.adapters.kinds import (
    LoraAdapter,
    LoraSettings,
    PrefixAdapter,
    PrefixSettings,
)
from multibert_spacy.core.encoder import Core
from multibert_spacy.networks.tagger import Head
from scripts.experiments.sizes import PARSBERT, Shape, app, measure_sizes


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def shape(bert_folder):
    return Shape.from_config(bert_folder / "config.json")


def test_a_core_has_as_many_parameters_as_computed(shape, bert_folder):
    model = BertModel.from_pretrained(bert_folder, add_pooling_layer=False)
    assert shape.core == count(model)


def test_adapters_and_heads_too(shape, nlp):
    core = nlp.get_pipe("transformer").core
    assert isinstance(core, Core)
    for targets in (("attention.self.query", "output.dense"), ("intermediate.dense",)):
        settings = LoraSettings(3, 1, targets)
        assert shape.lora(3, targets) == count(LoraAdapter(settings, core))
    assert shape.lora(5) == count(LoraAdapter(LoraSettings(5, 1), core))
    assert shape.prefix(7) == count(PrefixAdapter(PrefixSettings(7), core))
    assert shape.head(2) == count(Head(["LOC", "ORG"], core.width))


def test_the_papers_core_and_adapters():
    # 100,514 rows of 768, a norm of 2 x 768, and 12 layers of 7,087,872
    assert PARSBERT.core == 162_250_752
    assert PARSBERT.prefix(22) == 405_504
    assert PARSBERT.lora(3, ("attention.self.query", "attention.self.value")) == 110_592


def test_what_is_shipped_is_measured(bert_folder, nlp, tmp_path):
    tagger = nlp.get_pipe("multibert_ner")
    for domain in ("travel", "sports"):
        tagger.model.write_domain(domain, tmp_path / domain)
    sizes = measure_sizes(bert_folder, tmp_path)
    systems = sizes["cores"]["embedded"]["systems"]
    own = systems["multi-lora, r = 4 (shipped)"]
    files = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert own["megabytes_per_further_domain"] == pytest.approx(files / 2 / 1e6)
    shape = Shape.from_config(bert_folder / "config.json")
    whole = shape.core + shape.head(8) + shape.lora(4)
    assert own["parameters"] == whole
    assert own["trained_share"] == pytest.approx(shape.lora(4) / whole)
    assert systems["special"]["parameters_for_domains"] == (
        14 * shape.core + 2 * shape.head(8) + 12 * shape.head(4)
    )
    assert sizes["n_domains"] == 14


def test_nothing_shipped_is_left_out(bert_folder, tmp_path):
    sizes = measure_sizes(bert_folder, tmp_path / "none")
    assert not [name for name in sizes["cores"]["embedded"]["systems"] if "shipped" in name]


def test_command(bert_folder, tmp_path):
    path = tmp_path / "sizes.json"
    args = ["--core", bert_folder, "--adapters", tmp_path, "--metrics", path]
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    assert json.loads(path.read_text(encoding="utf8"))["split"] == "no data"
    result = CliRunner().invoke(app, ["--core", str(Path(tmp_path, "no")), "--metrics", str(path)])
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr
