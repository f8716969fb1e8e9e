"""Shipped adapters: fp16, read back by `configs/pretrained.cfg`, with a card each."""

import json
from pathlib import Path

import pytest
import spacy
import torch
from safetensors.torch import load_file
from spacy.util import load_config, load_model_from_config

from multibert_spacy.errors import AdapterError
from scripts.build.ship import detector_card, round_to_half, ship, write_cards

TEXTS = ["بازی تبریز و سپاهان", "هتل ایران در تبریز", "گل گل گل"]
CONFIG = Path(__file__).parents[3] / "configs" / "pretrained.cfg"


@pytest.fixture
def shipped(make_nlp, bert_folder, tmp_path):
    """The pipeline whose adapters were shipped, and the folder."""
    model = {
        "@architectures": "multibert_spacy.DomainMixture.v1",
        "core": {"@architectures": "multibert_spacy.CoreListener.v1"},
        "normalizer": {"@misc": "multibert_spacy.HazmNormalizer.v1"},
    }
    nlp = make_nlp(detector={"model": model})
    for parameter in nlp.get_pipe("multibert_ner").model.module.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    ship(nlp, tmp_path / "adapters")
    return nlp, tmp_path / "adapters"


def test_what_is_assembled_from_them_answers_the_same(shipped, bert_folder, tmp_path):
    nlp, folder = shipped
    overrides = {
        "components.transformer.precision": "fp32",
        "components.domain_detector.fallback_domain": "news",
        "components.domain_detector.threshold": 0.0,
        "paths.core": str(bert_folder),
        "paths.detector": str(folder / "detector"),
        "paths.adapters": str(folder / "domains"),
    }
    assembled = load_model_from_config(load_config(CONFIG, overrides=overrides), auto_fill=True)
    assembled.initialize()
    assembled.to_disk(tmp_path / "out")
    other = spacy.load(tmp_path / "out")
    assert other.pipe_names == ["transformer", "domain_detector", "multibert_ner"]
    for domain in (None, *nlp.get_pipe("multibert_ner").domains):
        ours, theirs = (
            [
                ([(e.text, e.label_) for e in doc.ents], pytest.approx(doc.cats, abs=1e-5))
                for doc, _ in p.pipe([(t, {"domain": domain}) for t in TEXTS], as_tuples=True)
            ]
            for p in (nlp, other)
        )
        assert [ents for ents, _ in ours] == [ents for ents, _ in theirs]
        assert [cats for _, cats in ours] == [cats.expected for _, cats in theirs]
    assert any(doc.ents for doc in nlp.pipe(TEXTS))


def test_everything_is_stored_in_half(shipped):
    _, folder = shipped
    files = sorted(folder.rglob("*.safetensors"))
    assert len(files) == 7
    for file in files:
        assert {tensor.dtype for tensor in load_file(file).values()} == {torch.float16}


def test_weights_that_half_would_change_keep_their_type(make_nlp, tmp_path):
    nlp = make_nlp()
    tagger = nlp.get_pipe("multibert_ner")
    name = tagger.domains[0]
    tagger.model.write_domain(name, tmp_path / name)
    tensors = load_file(tmp_path / name / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    round_to_half(nlp)
    tagger.model.write_domain(name, tmp_path / name)
    tensors = load_file(tmp_path / name / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}


def test_a_missing_detector_folder_is_named(make_nlp, tmp_path):
    detector = make_nlp().get_pipe("domain_detector")
    with pytest.raises(AdapterError, match="nowhere"):
        detector.initialize(lambda: [], folder=str(tmp_path / "nowhere"))


def test_cards(shipped):
    nlp, folder = shipped
    scores = {
        "f": 0.5,
        "f_interval": [0.4, 0.6],
        "p": 0.7,
        "r": 0.4,
        "per_type": {"LOC": {"f": 0.25}, "ORG": {"f": None}},
    }
    own = {"accuracy": 0.99, "calibration_error": 0.05, "n_right": 32, "n_groups": 36, "auroc": 1}
    scored = {name: {"8": own} for name in ("outside", "corpora", "none")}
    report = {
        "command": "python -m x",
        "commit": "abc",
        "seed": 3,
        "split": "test",
        "given": {"per_domain": dict.fromkeys(nlp.get_pipe("multibert_ner").domains, scores)},
    }
    detection = {**report, "command": "python -m y", "detectors": {"mixture": scored}}
    write_cards(report, detection, folder)
    text = (folder / "domains" / "sports" / "README.md").read_text("utf8")
    core = json.loads((folder / "domains" / "sports" / "multibert.json").read_text("utf8"))["core"]
    assert text.startswith("# sports\n\nA lora adapter with the head `social`")
    assert core[:16] in text
    assert "Test F1 (strict spans): 50.0 (95 % interval 40.0-60.0), P 70.0, R 40.0" in text
    assert "| LOC | 25.0 |\n| ORG | - |" in text
    assert "`python -m x`, commit abc, seed 3, test part" in text
    news = (folder / "domains" / "news" / "README.md").read_text("utf8")
    licence = "- Licence of these weights: research use only, as ARMAN"
    assert licence in news
    assert "ParsNER-social (ten Telegram channels; licence: none stated)" in text
    unstated = "ParsNER-social, ParsNER wiki, ParsNER press state none: ask their authors"
    assert f"{licence}; {unstated}" in text
    assert licence in (folder / "detector" / "README.md").read_text("utf8")
    assert (folder / "detector" / "README.md").read_text("utf8") == detector_card(
        ["news", "sports", "travel"],
        scored,
        "`python -m y`, commit abc, seed 3, test part",
    )
    row = "| 8 | 32 of 36 | 0.990 | 0.050 / 0.050 | 1.000 |"
    assert row in detector_card([], scored, "")
    nlp.get_pipe("multibert_ner").model.read_domain(folder / "domains" / "sports")
