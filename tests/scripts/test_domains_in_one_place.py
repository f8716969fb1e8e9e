"""configs/domains.yml, which all others read."""

import re
from pathlib import Path

import pytest

from multibert_spacy.colors import COLORS
from multibert_spacy.glossary import MEANINGS
from scripts.corpora.publishers import read_parsner_social
from scripts.corpora.sentence import SPLITS
from scripts.domains import CORPORA, DOMAINS, HEADS, LABELS, domains_of

ROOT = Path(__file__).resolve().parents[2]


def test_heads_labels_and_corpora_are_whole():
    assert HEADS.keys() == LABELS.keys()
    assert [domain for names in HEADS.values() for domain in names] == list(DOMAINS)
    assert {domain.corpus.key for domain in DOMAINS.values()} == CORPORA.keys()
    for labels in LABELS.values():
        assert labels.keys() <= COLORS.keys() and all(labels.values())
    assert {label for labels in LABELS.values() for label in labels} == MEANINGS.keys()
    assert "numbers, dates, durations and money" in LABELS["social"]["MISC"]


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=lambda domain: domain.name)
def test_a_domain_is_described_in_persian(domain):
    assert len(set(re.findall(r"[ء-ی\u200c]+", domain.description))) > 20
    assert not re.search("[A-Za-zيك]", domain.description)
    assert domain.description.endswith(".")


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_reads_its_own_domains(name, monkeypatch):
    """Through the reader that its entry names, whatever fold and seed."""
    module, _, function = CORPORA[name].reader.partition(":")
    monkeypatch.setattr(f"{module}.{function}", lambda source, **given: (source, given))
    assert CORPORA[name].read("here", fold=2, seed=1) == ("here", {"fold": 2, "seed": 1})
    assert domains_of(name)


def test_domains_of_a_channel_corpus_are_those_of_the_file(tmp_path):
    rows = "\n\n\n\n".join(f"تیم{i}\tN\tB-ORG\nبرد\tN\tO" for i in range(10))
    for domain in domains_of("parsner_social"):
        (tmp_path / f"{domain}.pos").write_text(f"{rows}\n", encoding="utf8")
    corpus = read_parsner_social(tmp_path)
    for split in SPLITS:
        found = dict.fromkeys(sentence.domain for sentence in corpus.splits[split])
        assert tuple(found) == domains_of("parsner_social")


def test_names_of_domains_stand_once():
    """No other list of them in the project's code: who needs one, reads the file."""
    for path in [*(ROOT / "scripts").rglob("*.py"), ROOT / "project.yml"]:
        text = path.read_text(encoding="utf8")
        listed = [name for name in DOMAINS if re.search(rf"""["']{name}["'./]""", text)]
        assert len(listed) < 3, (path, listed)
