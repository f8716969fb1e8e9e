"""Invented names, and what they cost a toy pipeline."""

import json
import random

import pytest
import spacy
from conftest import NAMES, toy_doc
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from scripts.build.evaluate import evaluate
from scripts.experiments.masked_names import Inventor, app, evaluate_masked

VOCAB = Vocab()


def is_persian(text):
    return all("\u0600" <= char <= "\u06ff" for char in text)


def test_the_shape_stays():
    inventor = Inventor([], seed=1)
    for text in ("تهران", "خیابان", "ا"):
        word = inventor.word(text)
        assert word != text and len(word) == len(text) and is_persian(word)
    word = inventor.word("اسلام‌آباد")
    assert word.index("\u200c") == 5 and is_persian(word.replace("\u200c", ""))
    word = inventor.word("#جناب_خان")
    assert (word[0], word[5], len(word)) == ("#", "_", 9)
    word = inventor.word("SamSung")
    assert word != "SamSung" and word.isascii()
    assert [char.isupper() for char in word] == [char.isupper() for char in "SamSung"]
    word = inventor.word("۱۳۹۷")
    assert len(word) == 4 and all(char in "۰۱۲۳۴۵۶۷۸۹" for char in word)
    word = inventor.word("☎021")
    assert word[0] == "☎" and word[1:].isdecimal() and word.isascii() is False
    assert sum(inventor.counts.values()) == inventor.counts["replaced"] == 8


@pytest.mark.parametrize("text", ["و", "در", "«", "👇", "", "\u200c", "²"])
def test_what_is_kept(text):
    inventor = Inventor([])
    assert inventor.word(text) == text
    assert dict(inventor.counts) == {"kept": 1}


def test_an_ending_after_a_zwnj_stays():
    inventor = Inventor([])
    assert inventor.word("پرسپولیسی\u200cها").endswith("\u200cها")
    assert not inventor.word("خرم\u200cآباد").endswith("آباد")


def test_one_word_is_one_word_everywhere():
    one, two = Inventor([], seed=1), Inventor([], seed=1)
    assert one.word("سفر") != two.word("تهران")
    assert one.word("تهران") == two.word("تهران")
    assert one.word("علي") == two.word("علی")  # an Arabic ي
    assert one.word("تهران") != Inventor([], seed=2).word("تهران")


def test_known_words_do_not_come_out():
    first = Inventor([], seed=1).word("تهران")
    inventor = Inventor([first], seed=1)
    assert inventor.word("تهران") not in (first, "تهران")
    everything = [a + b for a in "بپتجچخدرزژسشصفقکگلمنهاوی" for b in "بپتجچخدرزژسشفقکگلمنهاوی"]
    inventor = Inventor(everything)
    assert len(inventor.word("قم")) == 2
    assert dict(inventor.counts) == {"replaced by a known word": 1}


def test_invented_words_can_be_read():
    for i in range(50):
        word = Inventor([], seed=i).word("خیابانها")
        assert any(char in "اوی" for char in word)
        assert not any(a in "اوی" and b in "اوی" for a, b in zip(word, word[1:], strict=False))


def test_a_doc():
    words = ["سفر", "به", "بندر", "و", "انزلی", "تهران"]
    tags = ["O", "O", "B-LOC", "I-LOC", "I-LOC", "O"]
    doc = Doc(VOCAB, words=words, spaces=[True] * 5 + [False], ents=tags)
    doc._.domain, doc._.thread = "travel", 3
    masked = Inventor([]).doc(doc)
    assert [word.text for word in masked][:2] == ["سفر", "به"]
    assert (masked[3].text, masked[5].text) == ("و", "تهران")
    assert masked[2].text != "بندر" and masked[4].text != "انزلی"
    assert [(e.start, e.end, e.label_) for e in masked.ents] == [(2, 5, "LOC")]
    assert (masked._.domain, masked._.thread) == ("travel", 3)
    assert len(masked.text) == len(doc.text) and doc[2].text == "بندر"


# Pipelines


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora") / "toy"
    nlp, rng = spacy.blank("fa"), random.Random(0)
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
        docs = [toy_doc(nlp, domain, rng) for domain in sorted(NAMES) for _ in range(9)]
        doc_bin = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=docs, store_user_data=True)
        doc_bin.to_disk(folder / part / "toy.spacy")
    return folder


def test_a_pipeline_that_remembers_names(trained, corpus):
    path = corpus / "test"
    report = evaluate_masked(trained, path, Inventor([]), n_resamples=20, n_draws=50)
    assert list(report) == ["names", "before", "after", "difference", "doc_counts"]
    assert report["before"]["micro"]["f"] > 0.9 > report["after"]["micro"]["f"]
    assert report["names"] == {"replaced": report["after"]["micro"]["n_entities"]}
    drop = report["difference"]["macro"]["all"]
    assert drop["difference"] == pytest.approx(
        report["after"]["macro"]["f"] - report["before"]["macro"]["f"]
    )
    assert drop["interval"][1] < 0
    assert report["doc_counts"].keys() == {"before", "after"}
    assert trained.pipe_names == ["transformer", "domain_detector", "multibert_ner"]


@pytest.fixture
def single_folder(make_nlp, tmp_path):
    nlp = make_nlp(detector=False)
    nlp.get_pipe("multibert_ner").cfg["default_domain"] = "sports"
    nlp.to_disk(tmp_path / "social")
    return tmp_path / "social"


def test_single_models(single_folder, corpus):
    models = {"social": str(single_folder)}
    report = evaluate_masked(models, corpus / "test", Inventor([]), n_resamples=9, n_draws=9)
    assert report["models"]["social"]["domains"] == ["sports", "travel"]
    assert report["after"]["per_domain"].keys() == {"sports", "travel"}
    assert report["doc_counts"]["after"].keys() == {"sports", "travel"}


def run(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_command(trained_folder, trained, corpus, tmp_path):
    path = tmp_path / "masked.json"
    result = run(trained_folder, "--corpus", corpus, "--metrics", path, "--limit-groups", 1)
    assert result.exit_code == 0, result.output
    for word in ("before", "after", "macro, all (3)", "words replaced"):
        assert word in result.output
    text = path.read_text(encoding="utf8")
    assert str(tmp_path) not in text
    report = json.loads(text)
    assert report["model"]["source"] == "fa_toy"
    assert report["before"]["micro"]["n_docs"] == report["after"]["micro"]["n_docs"] == 24
    vocab = trained.vocab
    docs = list(DocBin().from_disk(corpus / "test" / "toy.spacy").get_docs(vocab))
    given = evaluate(trained, docs, limit_groups=1)["given"]
    assert report["before"]["micro"]["f"] == pytest.approx(given["micro"]["f"], abs=1e-4)


def test_command_with_single_models(single_folder, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("--models", f"sports={single_folder}", "--corpus", corpus)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "metrics/toy/masked_names.json").read_text(encoding="utf8"))
    assert report["models"]["sports"]["domains"] == ["sports"]


def test_usage_and_errors(trained_folder, tmp_path):
    assert run().exit_code == 2
    assert run("a", "--models", "news=b").exit_code == 2
    result = run(trained_folder, "--corpus", tmp_path / "no", "--metrics", tmp_path / "a.json")
    assert result.exit_code == 1
    assert "is missing" in result.stderr
