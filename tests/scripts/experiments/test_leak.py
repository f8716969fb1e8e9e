"""The leaking split of ARMAN, from a folder of our own in its format."""

import json

import pytest
from spacy.vocab import Vocab
from typer.testing import CliRunner

from multibert_spacy.training.corpus import read_docs
from scripts.corpora import Sentence
from scripts.experiments.leak import app, join_folds, measure_leak, overlap

TESTS = {
    fold: [f"وزیر O\nشهر{fold}{i} B-loc\nآمد O\n" for i in range(10)] + ["خبر O\nمهم O\n"]
    for fold in (1, 2, 3)
}
"""Ten sentences of its own in each fold, and one that all folds have."""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "arman"
    folder.mkdir()
    for fold, own in TESTS.items():
        others = [s for other, sentences in TESTS.items() if other != fold for s in sentences]
        (folder / f"test_fold{fold}.txt").write_text("\n".join(own), encoding="utf8")
        (folder / f"train_fold{fold}.txt").write_text("\n".join(others), encoding="utf8")
    return folder


def sentence(*words, tags=None):
    return Sentence(words, tuple(tags or ["O"] * len(words)), "news")


def test_overlap():
    train = [sentence("تيم", "باخت"), sentence("گل")]
    test = [
        sentence("تيم", "باخت", tags=("B-ORG", "O")),
        sentence("تیم", "باخت"),  # another ی: the same text, not the same tokens
        sentence("دریا", tags=("B-LOC",)),
        sentence("سفر"),
    ]
    assert overlap(train, test) == {
        "sentences": 4,
        "same_tokens": 0.25,
        "same_text": 0.5,
        "entities": 0.5,
    }
    assert overlap(train, [sentence("گل")])["entities"] is None


def test_joined_folds(source):
    corpus, folds = join_folds(source)
    train, dev, test = (corpus.splits[split] for split in ("train", "dev", "test"))
    # Train lost what it has twice, test did not: the common sentence is there three times.
    assert len(train) == len({s.words for s in train}) == 31
    assert len(test) == 33
    assert sum(s.words == ("خبر", "مهم") for s in test) == 3
    assert {s.words for s in test} == {s.words for s in train}
    assert len(dev) == 3
    assert {s.words for s in dev} <= {s.words for s in test}
    # Within a fold only the common one is on both sides.
    assert folds.keys() == {"1", "2", "3"}
    assert folds["2"] == pytest.approx(
        {"sentences": 11, "same_tokens": 1 / 11, "same_text": 1 / 11, "entities": 0.0}
    )
    assert [s.words for s in join_folds(source)[0].splits["dev"]] == [s.words for s in dev]


def test_the_corpus_is_written(source, tmp_path):
    out = tmp_path / "out"
    report = measure_leak(source, out, seed=1)
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.spacy")) == [
        "dev/news.spacy",
        "test/news.spacy",
        "train/news.spacy",
    ]
    docs = {split: read_docs(out / split, Vocab()) for split in ("train", "dev", "test")}
    assert {split: len(part) for split, part in docs.items()} == report["sentences"]
    assert {doc._.domain for doc in docs["train"]} == {"news"}
    assert {ent.label_ for doc in docs["train"] for ent in doc.ents} == {"LOC"}
    assert report["joined"]["same_tokens"] == report["joined"]["entities"] == 1.0
    assert "train_fold3.txt" in report["inputs"]


def run(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_command(source, tmp_path):
    path = tmp_path / "leak.json"
    out = tmp_path / "leaky"
    result = run("--source", source, "--out", out, "--metrics", path, "--seed", 2)
    assert result.exit_code == 0, result.output
    for word in ("folds joined", "100.0%", "fold 3", "train 31, dev 3, test 33"):
        assert word in " ".join(result.output.split())
    text = path.read_text(encoding="utf8")
    assert str(tmp_path) not in text
    report = json.loads(text)
    assert (report["corpus"], report["split"], report["seed"]) == ("leaky", "test", 2)
    assert report["domains"] == {"news": {"docs": 33, "entities": 30}}


def test_a_missing_fold_is_a_message(source, tmp_path):
    (source / "test_fold2.txt").unlink()
    result = run("--source", source, "--out", tmp_path / "o", "--metrics", tmp_path / "m.json")
    assert result.exit_code == 1
    assert "test_fold2.txt" in " ".join(result.stderr.split())
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "m.json").exists()
