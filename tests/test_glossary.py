"""`spacy.explain` knows the labels, with what the corpora mean by them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.glossary import GLOSSARY

from multibert_spacy.colors import COLORS
from multibert_spacy.glossary import MEANINGS, install_glossary

ADAPTERS = Path(__file__).parents[1] / "assets" / "adapters" / "domains"


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("EVE", ["Events", "wars", "elections"]),
        ("PRO", ["Products", "newspapers"]),
        ("NAT", ["Nationalities"]),
        ("POG", ["Political groups"]),
        ("FAC", ["Buildings, airports, highways, bridges, etc", "universities"]),
        ("PER", ["Named person or family"]),
        ("ORG", ["Companies, agencies, institutions, etc", "clubs"]),
        ("LOC", ["mountain ranges", "countries, provinces and cities"]),
        ("MISC", ["Miscellaneous entities", "numbers, dates, durations and money", "ParsNER"]),
    ],
)
def test_a_label_is_explained(label: str, words: list[str]) -> None:
    for word in words:
        assert word in spacy.explain(label)


def test_every_label_that_is_shipped_has_a_meaning_and_a_colour() -> None:
    manifests = [json.loads(p.read_text("utf8")) for p in ADAPTERS.glob("*/multibert.json")]
    labels = {label for manifest in manifests for label in manifest["labels"]}
    assert labels == MEANINGS.keys() == COLORS.keys()


def test_installing_twice_changes_nothing() -> None:
    before = dict(GLOSSARY)
    install_glossary()
    assert before == GLOSSARY


def test_loading_a_component_is_enough() -> None:
    """Nobody has to import the package: spaCy does, for the factory of a pipeline's component."""
    code = (
        "import sys, spacy; assert 'multibert_spacy' not in sys.modules; "
        "spacy.blank('fa').get_factory_meta('multibert_ner'); print(spacy.explain('POG'))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == MEANINGS["POG"]
