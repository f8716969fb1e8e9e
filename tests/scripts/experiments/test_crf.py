"""The CRF, on a toy corpus whose names are known by their neighbours."""

import json
import random

import pytest
import spacy
from conftest import NAMES, toy_doc
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from multibert_spacy.errors import ConfigError
from multibert_spacy.training.scorers import score_ner
from scripts.experiments import crf as script
from scripts.experiments.compare import compare
from scripts.experiments.crf import Crf, app, evaluate_crf, fit_crf, strengths_of
from scripts.experiments.crf_features import word_features

GRID = ((0.01, 0.01), (5.0, 5.0))


def toy_docs(n, seed, domains=tuple(NAMES)):
    nlp, rng = spacy.blank("fa"), random.Random(seed)
    return [toy_doc(nlp, domain, rng) for domain in sorted(domains) for _ in range(n)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora") / "toy"
    for seed, (part, n) in enumerate({"train": 60, "dev": 9, "test": 10}.items()):
        (folder / part).mkdir(parents=True)
        doc_bin = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True)
        for doc in toy_docs(n, seed):
            doc_bin.add(doc)
        doc_bin.to_disk(folder / part / "toy.spacy")
    return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crf") / "news"
    train, dev = toy_docs(60, 0, ["news"]), toy_docs(9, 1, ["news"])
    return fit_crf(train, dev, folder, grid=GRID), folder


def test_features_of_a_word():
    (row,) = word_features(["تيم"])  # an Arabic ي
    assert row == [
        *("bias", "-2:outside", "-1:outside", "0:w=تیم", "0:shape=xxx"),
        *("0:p=ت", "0:p=تی", "0:p=تیم", "0:s=م", "0:s=یم", "0:s=تیم"),
        *("1:outside", "2:outside"),
    ]


def test_features_of_neighbours():
    rows = word_features(["الف", "در", "ب", "و", "پ"])
    middle = set(rows[2])
    assert {"-2:w=الف", "-1:w=در", "0:w=ب", "1:w=و", "2:w=پ"} <= middle
    assert {"-1:s=ر", "1:shape=x", "-1:w|w=در|ب", "0:w|w=ب|و"} <= middle
    assert not any(feature.startswith(("-2:s", "2:p", "2:shape")) for feature in middle)
    assert "-1:outside" in rows[0] and "2:outside" in rows[3]
    assert word_features([]) == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("۱۳۹۷", {"0:is=digits", "0:is=digit", "0:shape=ddd"}),
        ("3شب", {"0:is=digit", "0:shape=dxx"}),
        ("#سفر", {"0:is=hashtag", "0:shape=#xxx"}),
        ("@aB", {"0:is=mention", "0:is=latin", "0:shape=@xX"}),
        ("Samsung", {"0:is=Latin", "0:is=latin", "0:shape=Xxxx"}),
        ("t.me/x", {"0:is=latin", "0:is=link", "0:shape=x.xx/x"}),
        ("می‌رود", {"0:is=joined", "0:shape=xx\u200cxxx"}),
        ("!!", {"0:is=punctuation", "0:shape=!!"}),
        ("", {"0:shape=", "0:w="}),
    ],
)
def test_kinds_of_words(word, expected):
    (row,) = word_features([word])
    assert expected <= set(row)
    assert {f for f in row if "is=" in f} == {f for f in expected if "is=" in f}


def test_affixes_have_four_letters_at_most():
    (row,) = word_features(["تهران"])
    affixes = [f for f in row if f.startswith(("0:p=", "0:s="))]
    assert affixes == [
        *("0:p=ت", "0:p=ته", "0:p=تهر", "0:p=تهرا"),
        *("0:s=ن", "0:s=ان", "0:s=ران", "0:s=هران"),
    ]


def test_the_strengths_are_chosen_on_dev(fitted):
    (model, settings), folder = fitted
    assert (settings["c1"], settings["c2"]) == GRID[0]
    assert list(settings["dev_f"]) == ["c1=0.01,c2=0.01", "c1=5,c2=5"]
    assert settings["dev_f"]["c1=0.01,c2=0.01"] > 0.95
    assert settings["attributes"] > 0
    assert model.labels == ["LOC", "ORG", "POG"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "c1=0.01,c2=0.01.crfsuite",
        "c1=5,c2=5.crfsuite",
    ]


def test_names_are_found(fitted):
    (model, _), _ = fitted
    docs = toy_docs(10, 2, ["news"])
    assert score_ner(model.examples(docs, "test"))["ents_f"] > 0.95
    doc = model.tag(Doc(Vocab(), words=["خبر", "ایران", "وزیر"]))
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == [(1, 2, "POG")]
    assert model.tag(Doc(Vocab())).ents == ()


def test_what_is_there_is_not_trained_again(fitted, monkeypatch):
    (_, settings), folder = fitted
    monkeypatch.setattr(script, "_load", None)
    dev = toy_docs(9, 1, ["news"])
    assert fit_crf([], dev, folder, grid=GRID)[1] == settings


def test_illegal_tags_are_repaired_and_counted(fitted):
    model = Crf(fitted[1] / "c1=0.01,c2=0.01.crfsuite")

    class Illegal:
        def tag(self, features):
            return ["I-LOC", "I-LOC", "I-ORG", "O", "B-POG", "I-POG"]

    model.tagger = Illegal()
    doc = model.tag(Doc(Vocab(), words=["خبر"] * 6))
    found = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
    assert found == [(0, 2, "LOC"), (2, 3, "ORG"), (4, 6, "POG")]
    assert model.illegal == 2


def test_models_are_scored_together(corpus, tmp_path):
    report = evaluate_crf(corpus, tmp_path, grid=GRID[:1], n_resamples=20)
    domains = {name: model["domains"] for name, model in report["models"].items()}
    assert domains == {"news": ["news"], "social": ["sports", "travel"]}
    assert report["models"]["news"]["settings"]["repaired_tags"] == 0
    assert report["single"]["per_domain"].keys() == {"news", "sports", "travel"}
    assert report["single"]["macro_by_head"].keys() == {"formal", "social"}
    assert report["single"]["per_domain"]["news"]["f"] > 0.95
    counts = report["doc_counts"]["single"]
    assert {name: len(rows) for name, rows in counts.items()} == {
        "news": 10,
        "sports": 10,
        "travel": 10,
    }
    assert compare(counts, counts, n_resamples=5)["macro"]["all"]["difference"] == 0.0
    with pytest.raises(ConfigError, match="has none of these domains: tweet"):
        evaluate_crf(corpus, tmp_path, models={"tweet": ["tweet"]})


def test_command(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = ["--corpus", str(corpus), "--seed", "1", "--limit-groups", "1"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    assert "macro, social" in result.output
    text = (tmp_path / "metrics/toy/crf.json").read_text(encoding="utf8")
    assert str(tmp_path) not in text
    report = json.loads(text)
    assert (report["corpus"], report["split"], report["seed"]) == ("toy", "test", 1)
    assert report["single"]["micro"]["n_docs"] == 24
    assert len(list((tmp_path / "training/toy/crf/social").glob("*.crfsuite"))) == 4


def test_an_error_on_purpose_is_a_message(tmp_path):
    result = CliRunner().invoke(app, ["--corpus", str(tmp_path / "no")])
    assert result.exit_code == 1
    assert "is missing" in result.stderr


def test_strengths_that_are_given_are_not_chosen(corpus, tmp_path):
    names = {name: (5.0, 0.5) for name in script.MODELS}
    report = evaluate_crf(corpus, tmp_path, chosen=names, n_resamples=20)
    settings = [own["settings"] for own in report["models"].values()]
    assert {(own["c1"], own["c2"]) for own in settings} == {(5.0, 0.5)}
    assert [list(own["dev_f"]) for own in settings] == [["c1=5,c2=0.5"]] * len(settings)


def test_strengths_of_a_former_report(tmp_path):
    report = {"models": {"social": {"settings": {"c1": 0.2, "c2": 0.01, "dev_f": {}}}}}
    path = tmp_path / "crf.json"
    path.write_text(json.dumps(report))
    assert strengths_of(path) == {"social": (0.2, 0.01)}
    path.write_text("{}")
    with pytest.raises(ConfigError, match="no report of"):
        strengths_of(path)
