"""What could not be loaded again is refused before training, or before the old save is touched;
what cannot be read leaves a pipeline as it is.
"""

import shutil
from pathlib import Path

import pytest
import spacy
import torch
from conftest import NAMES, assert_same_predictions, toy_examples, toy_text
from spacy.tokens import Span

from multibert_spacy.errors import AdapterError, ConfigError, MultibertError

TEXTS = [toy_text(domain, seed=4) for domain in sorted(NAMES)]
ODD = ["", " ", "\t", "\u00a0", "\u200b", " PER", "PER ", "\0", "a\ud800", "x" * 101]


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


# Before training


@pytest.mark.parametrize("label", ODD)
def test_odd_labels_are_refused(trained, label):
    tagger = trained.get_pipe("multibert_ner")
    with pytest.raises(ConfigError, match="Illegal label"):
        tagger.model.add_domain("law", head="law", labels=["LAW", label])
    examples = toy_examples(trained, "news", 2)
    with pytest.raises(ConfigError, match="Illegal label"):
        tagger.initialize(lambda: examples, domain="law", head="law", labels=["LAW", label])
    assert sorted(tagger.domains) == sorted(NAMES)
    assert sorted(tagger.model.module.heads) == ["formal", "social"]
    detector = trained.get_pipe("domain_detector")
    with pytest.raises(ConfigError, match="Illegal label"):
        detector.initialize(lambda: examples, labels=["news", label])


@pytest.mark.parametrize("label", [" ", "\u200b", "x" * 101])
def test_odd_labels_of_examples_are_refused(trained, label):
    examples = toy_examples(trained, "news", 2)
    for eg in examples:
        eg.reference.ents = [Span(eg.reference, 0, 1, label=label)]
    with pytest.raises(ConfigError, match="Illegal label"):
        trained.get_pipe("multibert_ner").initialize(lambda: examples, domain="law", head="law")


def test_labels_that_are_one_text(trained):
    with pytest.raises(ConfigError, match="labels must be a list"):
        trained.get_pipe("multibert_ner").model.add_domain("law", head="law", labels="PER")


@pytest.mark.parametrize("name", ["語" * 84, "x" * 101, "a/b"])
def test_a_name_is_refused_before_training(trained, name):
    tagger = trained.get_pipe("multibert_ner")
    examples = toy_examples(trained, "news", 2)
    with pytest.raises(ConfigError, match="Illegal domain name"):
        tagger.initialize(lambda: examples, domain=name, head="law")
    with pytest.raises(ConfigError, match="Illegal domain name"):
        tagger.model.add_domain(name, head="law", labels=["LAW"])
    assert sorted(tagger.model.module.heads) == ["formal", "social"]


# Before the old save is touched


def poison(nlp, what, value):
    model = nlp.get_pipe("multibert_ner").model
    tensor = {
        "adapter": lambda: next(model.module.adapter_of("sports").parameters()),
        "head": lambda: model.module.heads["formal"].linear.weight,
        "transitions": lambda: model.module.heads["social"].transitions,
        "detector": lambda: nlp.get_pipe("domain_detector").model.module.linear.bias,
        "core": lambda: next(nlp.get_pipe("transformer").core.model.parameters()),
    }[what]()
    with torch.no_grad():
        tensor.view(-1)[1] = value


@pytest.mark.parametrize("what", ["adapter", "head", "transitions", "detector", "core"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_saved(trained, trained_folder, tmp_path, what, value):
    shutil.copytree(trained_folder, tmp_path / "fa")
    poison(trained, what, value)
    name = {"core": "transformer", "detector": "domain_detector"}.get(what, "multibert_ner")
    before = files(tmp_path / "fa" / name)
    with pytest.raises(ConfigError, match="not saved.*not finite"):
        trained.get_pipe(name).to_disk(tmp_path / "fa" / name)
    with pytest.raises(ConfigError, match="not saved"):
        trained.to_disk(tmp_path / "fa")
    with pytest.raises(ConfigError, match="not saved"):
        trained.to_bytes()
    assert files(tmp_path / "fa" / name) == before
    if what in ("adapter", "head", "transitions"):
        domain = "news" if what == "head" else "sports"
        domains = tmp_path / "fa" / "multibert_ner" / "domains"
        with pytest.raises(ConfigError, match="not saved"):
            trained.get_pipe("multibert_ner").model.write_domain(domain, domains / domain)
        assert files(tmp_path / "fa" / name) == before


@pytest.mark.parametrize("what", ["head", "detector"])
def test_the_old_save_survives_though_the_rest_has_changed(trained, tmp_path, what):
    """Found before the first file is written, spaCy's own among them."""
    trained.to_disk(tmp_path / "fa")
    before = files(tmp_path / "fa")
    trained.meta["version"] = "9"
    poison(trained, "detector", 1.0)
    poison(trained, what, float("nan"))
    with pytest.raises(ConfigError, match="not saved"):
        trained.to_disk(tmp_path / "fa")
    assert files(tmp_path / "fa") == before
    spacy.load(tmp_path / "fa")


# A load that fails


@pytest.mark.parametrize("domain", sorted(NAMES))
def test_one_damaged_domain_leaves_all_as_they_are(trained, trained_folder, tmp_path, domain):
    shutil.copytree(trained_folder, tmp_path / "fa")
    tagger = trained.get_pipe("multibert_ner")
    tagger.cfg["default_domain"] = "news"
    graph = tagger.model.module.graph
    head = tmp_path / "fa" / "multibert_ner" / "domains" / domain / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-1])
    expected = list(trained.pipe(TEXTS))
    for load in (
        lambda: tagger.from_disk(tmp_path / "fa" / "multibert_ner"),
        lambda: trained.from_disk(tmp_path / "fa"),
        lambda: tagger.initialize(
            lambda: [], adapters=str(tmp_path / "fa" / "multibert_ner" / "domains")
        ),
    ):
        with pytest.raises(AdapterError, match=domain):
            load()
        assert sorted(tagger.domains) == sorted(NAMES)
        assert tagger.cfg["default_domain"] == "news" and tagger.model.module.graph == graph
        assert_same_predictions(trained.pipe(TEXTS), expected)


@pytest.mark.parametrize(
    "name",
    [
        *("transformer/model/model.safetensors", "transformer/model/tokenizer.json"),
        *("domain_detector/cfg", "domain_detector/adapter/head.safetensors"),
        "multibert_ner/cfg",
    ],
)
def test_a_damaged_part_leaves_all_as_they_are(trained, trained_folder, tmp_path, name):
    shutil.copytree(trained_folder, tmp_path / "fa")
    path = tmp_path / "fa" / name
    path.write_bytes(path.read_bytes()[:-9])
    expected = list(trained.pipe(TEXTS))
    component = name.split("/")[0]
    with pytest.raises(MultibertError):
        trained.get_pipe(component).from_disk(tmp_path / "fa" / component)
    assert_same_predictions(trained.pipe(TEXTS), expected)
    with pytest.raises(MultibertError):
        trained.from_disk(tmp_path / "fa")
    assert_same_predictions(trained.pipe(TEXTS), expected)


def test_a_stock_detector_that_cannot_be_read(tmp_path):
    bow = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "ngram_size": 1}
    bow |= {"length": 64, "no_output_layer": False}

    def make(labels):
        nlp = spacy.blank("fa")
        detector = nlp.add_pipe("domain_detector", config={"model": bow})
        for label in labels:
            detector.add_label(label)
        nlp.initialize()
        return detector

    own, other = make(["news", "travel"]), make(["news", "travel", "sports"])
    before = own.model.to_bytes()
    other.to_disk(tmp_path / "other")
    for _ in range(2):
        with pytest.raises(AdapterError, match="model is missing or damaged"):
            own.from_disk(tmp_path / "other")
        assert own.model.to_bytes() == before and list(own.labels) == ["news", "travel"]
    for node in other.model.walk():
        for name in node.param_names:
            if node.has_param(name):
                node.set_param(name, node.get_param(name) * float("nan"))
    kept = files(tmp_path / "other")
    with pytest.raises(ConfigError, match="not saved"):
        other.to_disk(tmp_path / "other")
    assert files(tmp_path / "other") == kept
