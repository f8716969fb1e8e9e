"""A detector that ours is compared with."""

import random

import pytest
import spacy
from conftest import NAMES, toy_doc
from spacy.tokens import DocBin

from scripts.build import train
from scripts.build.evaluate import evaluate

DOMAINS = sorted(NAMES)


def toy_docs(n, seed):
    nlp, rng = spacy.blank("fa"), random.Random(seed)
    return [toy_doc(nlp, domain, rng) for domain in DOMAINS for _ in range(n)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora") / "toy"
    for seed, (part, n) in enumerate({"train": 40, "dev": 8, "test": 9}.items()):
        (folder / part).mkdir(parents=True)
        doc_bin = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True)
        for i, doc in enumerate(toy_docs(n, seed)):
            doc._.thread = f"{doc._.domain}/{i // 3}"
            doc_bin.add(doc)
        doc_bin.to_disk(folder / part / "toy.spacy")
    return folder


def test_a_bag_of_words_is_trained_and_scored_as_ours(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "DOMAINS", DOMAINS)
    (tmp_path / "run.cfg").write_text("[bow]\nvars.max_steps = 20\n")
    args = ["detector", tmp_path / "run.cfg", "--section", "bow", "--stage", "detector_bow"]
    args += ["--corpus", corpus, "--out", tmp_path]
    train.app([str(arg) for arg in args], standalone_mode=False)
    nlp = spacy.load(tmp_path / "detector_bow" / "model-best")
    assert evaluate(nlp, toy_docs(9, 2))["detector"]["raw"]["8"]["accuracy"] == 1.0
