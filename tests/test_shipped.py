"""What stands in assets/adapters: complete, of one core, small, and as the config expects it."""

import json
from pathlib import Path

import pytest
from spacy.util import load_config

from multibert_spacy.adapters.storage import read_manifest
from multibert_spacy.errors import AdapterError
from multibert_spacy.serialization.manifest import verify_files
from scripts.domains import DOMAINS as EVERY

ROOT = Path(__file__).parents[1]
DOMAINS = ROOT / "assets" / "adapters" / "domains"
DETECTOR = ROOT / "assets" / "adapters" / "detector"
FORMAL = ["EVE", "FAC", "LOC", "NAT", "ORG", "PER", "POG", "PRO"]
SOCIAL = ["LOC", "MISC", "ORG", "PER"]
NAMES = {
    **dict.fromkeys(["news", "tweet"], ("formal", FORMAL)),
    **dict.fromkeys(
        ["academic", "art", "economic", "fun", "game", "general_news"]
        + ["health", "it_news", "press", "sports", "travel", "wiki"],
        ("social", SOCIAL),
    ),
}


def test_all_domains_are_there():
    assert sorted(path.name for path in DOMAINS.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_domain(name):
    manifest = read_manifest(DOMAINS / name)
    files = dict(manifest["files"])
    weights = "adapter_model.safetensors"
    owner = DOMAINS / manifest.get("weights_of", name)
    verify_files(owner, {weights: files.pop(weights)}, AdapterError)
    verify_files(DOMAINS / name, files, AdapterError)
    assert (manifest["head"], sorted(manifest["labels"])) == NAMES[name]
    assert manifest["core"] == read_manifest(DETECTOR / "adapter")["core"]
    assert sum(path.stat().st_size for path in (DOMAINS / name).iterdir()) < 3e6
    assert manifest["description"] == EVERY[name].description
    assert "Test F1" in (DOMAINS / name / "README.md").read_text("utf8")


def test_equal_adapters_are_stored_once():
    hashes = [read_manifest(DOMAINS / n)["files"]["adapter_model.safetensors"] for n in NAMES]
    assert len(list(DOMAINS.glob("*/adapter_model.safetensors"))) == len(set(hashes)) < len(NAMES)


def test_the_detector():
    manifest = read_manifest(DETECTOR / "adapter")
    verify_files(DETECTOR / "adapter", manifest["files"], AdapterError)
    assert sorted(manifest["labels"]) == sorted(EVERY)
    assert json.loads((DETECTOR / "cfg").read_text("utf8"))["labels"] == manifest["labels"]
    config = load_config(ROOT / "configs" / "pretrained.cfg")
    model = config["components"]["domain_detector"]["model"]
    assert model["@architectures"] == "multibert_spacy.DomainMixture.v1"
    assert model.get("layers", 0) == manifest["layers"]
    assert model.get("pieces", 50) == manifest["pieces"]
    told = {name: own.description for name, own in EVERY.items()}
    assert manifest["mixture"]["descriptions"] == told
    assert manifest["mixture"]["columns"] == list(range(len(EVERY)))
    assert manifest["mixture"]["elsewhere"] is True
    assert sum(path.stat().st_size for path in (DETECTOR / "adapter").iterdir()) < 1.5e6
