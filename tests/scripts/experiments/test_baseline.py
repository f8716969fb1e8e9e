"""The detectors that ours is compared with."""

import json
import random

import pytest
import spacy
from conftest import NAMES, toy_doc
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from scripts.build import train
from scripts.build.evaluate import evaluate
from scripts.build.scoring.detection import make_groups
from scripts.experiments.baseline import app, fit_tfidf, group_text

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


def test_text_of_a_group_is_what_the_network_sees():
    vocab = Vocab()
    docs = [Doc(vocab, words=["تيم", "۱۲", "."], spaces=[True, False, False])]
    docs.append(Doc(vocab, words=["گل"]))
    assert group_text(docs) == "تیم 12 . گل"
    assert group_text([Doc(vocab)]) == ""


def test_tfidf_tells_domains_apart():
    detect, settings = fit_tfidf(toy_docs(40, 0), toy_docs(8, 1), strengths=(10.0, 100.0))
    groups = make_groups(toy_docs(9, 2), 4)
    assert detect(groups) == [group[0]._.domain for group in groups]
    assert detect([[Doc(Vocab(), words=["گل"])]]) == ["sports"]
    assert detect([[Doc(Vocab())]])[0] in DOMAINS  # a text without words
    assert settings["C"] in (10.0, 100.0)
    assert settings["dev_accuracy"].keys() == {"10", "100"}
    assert settings["dev_accuracy"][f"{settings['C']:g}"] == max(settings["dev_accuracy"].values())


def test_the_strength_is_chosen_on_dev(monkeypatch):
    # So strong a penalty that all texts look alike, against one that lets it learn.
    train, dev = toy_docs(40, 0) + toy_docs(2, 3)[:2], toy_docs(8, 1)
    for strengths in ((1e-9, 100.0), (100.0, 1e-9)):
        _, settings = fit_tfidf(train, dev, strengths=strengths)
        assert settings["C"] == 100.0
        assert settings["dev_accuracy"]["100"] > 0.9 > settings["dev_accuracy"]["1e-09"]


def test_tfidf_features():
    docs = [Doc(Vocab(), words=[word]) for word in ("گل", "گل", "سفر", "سفر")]
    for doc, domain in zip(docs, ("sports", "sports", "travel", "travel"), strict=True):
        doc._.domain = domain
    _, settings = fit_tfidf(docs, docs, strengths=(1.0,))
    # " گل ": 3 characters, 3 pairs, 2 triples, 1 of four; " سفر ": 4, 4, 3, 2; the space once.
    assert settings["features"] == 9 + 13 - 1


def run(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_command(corpus, tmp_path):
    path = tmp_path / "baseline.json"
    result = run("--corpus", corpus, "--metrics", path, "--seed", 1, "--limit-groups", 1)
    assert result.exit_code == 0, result.output
    assert "tfidf" in result.output
    text = path.read_text(encoding="utf8")
    assert str(tmp_path) not in text
    report = json.loads(text)
    assert (report["corpus"], report["split"], report["seed"]) == ("toy", "test", 1)
    assert report["domains"]["news"]["docs"] == 9
    assert "bow" not in report
    for how in ("raw", "masked"):
        scores = report["tfidf"][how]
        sizes = {name: scores[name]["n_groups"] for name in ("1", "2", "4", "8", "threads")}
        assert sizes == {"1": 24, "2": 12, "4": 6, "8": 3, "threads": 3}
        assert scores["8"]["accuracy"] == 1.0
        assert scores["8"]["ms_per_group"] > 0
        assert scores["confusion"] == {domain: {domain: 1} for domain in DOMAINS}


def test_a_bag_of_words_is_trained_and_scored_as_ours(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "DOMAINS", DOMAINS)
    (tmp_path / "run.cfg").write_text("[bow]\nvars.max_steps = 20\n")
    args = ["detector", tmp_path / "run.cfg", "--section", "bow", "--stage", "detector_bow"]
    args += ["--corpus", corpus, "--out", tmp_path]
    train.app([str(arg) for arg in args], standalone_mode=False)
    nlp = spacy.load(tmp_path / "detector_bow" / "model-best")
    assert evaluate(nlp, toy_docs(9, 2))["detector"]["raw"]["8"]["accuracy"] == 1.0


def test_an_error_on_purpose_is_a_message(tmp_path):
    result = run("--corpus", tmp_path / "no", "--metrics", tmp_path / "a.json")
    assert result.exit_code == 1
    assert "is missing" in result.stderr
