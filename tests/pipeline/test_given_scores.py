"""What `spacy evaluate` says of domains: which was used, and what is right where it is given."""

import random

import pytest
import spacy
import srsly
from conftest import NAMES, toy_doc
from spacy.cli.evaluate import evaluate
from spacy.tokens import Doc, DocBin
from spacy.training import Example

TEAMS = ["تبریز", "گل", "ایران", "لیگ"]


def gold(nlp, words, tags, domain):
    doc = Doc(nlp.vocab, words=words, ents=tags)
    doc._.domain = domain
    return doc


@pytest.fixture
def docs(trained):
    """Two of sports; one of travel that reads as sports, which has other labels there."""
    teams = ["B-ORG", "O", "B-ORG", "O"]
    places = trained(gold(trained, TEAMS, ["O"] * 4, "travel"))
    assert {ent.label_ for ent in places.ents} >= {"LOC"}
    tags = [f"{word.ent_iob_}-{word.ent_type_}".strip("-") for word in places]
    return [gold(trained, TEAMS, teams, "sports") for _ in range(2)] + [
        gold(trained, TEAMS, tags, "travel")
    ]


def scored(nlp, docs):
    nlp.get_pipe("domain_detector").group_size = 1
    return nlp.evaluate([Example(nlp.make_doc(doc.text), doc) for doc in docs])


def test_both_figures(trained, docs):
    scores = scored(trained, docs)
    assert scores["domain_acc"] == pytest.approx(2 / 3)
    travel, sports = scores["ents_per_domain"]["travel"], scores["ents_per_domain"]["sports"]
    assert (sports["f"], sports["used"]) == (1.0, {"sports": 2})
    assert travel["f"] < 1.0
    assert travel["used"] == {"sports": 1}
    given = scores["ents_given_per_domain"]
    assert (given["sports"]["f"], given["sports"]["used"]) == (1.0, {"sports": 2})
    assert (given["travel"]["f"], given["travel"]["used"]) == (1.0, {"travel": 1})
    assert scores["ents_f"] < 1.0
    assert (scores["ents_given_f"], scores["ents_given_macro_f"]) == (1.0, 1.0)
    assert scores["ents_given_per_type"]["LOC"]["f"] == 1.0


def test_scoring_changes_no_doc(trained, docs):
    examples = [Example(trained(doc.text), doc) for doc in docs]
    before = [eg.predicted.to_bytes() for eg in examples]
    trained.get_pipe("multibert_ner").score(examples)
    assert [eg.predicted.to_bytes() for eg in examples] == before


def test_only_what_was_tagged_otherwise_is_tagged_again(trained, docs, monkeypatch):
    tagger, again = trained.get_pipe("multibert_ner"), []
    examples = [Example(trained(doc.text), doc) for doc in docs]
    predict = tagger.predict
    monkeypatch.setattr(tagger, "predict", lambda docs: again.extend(docs) or predict(docs))
    tagger.score(examples)
    assert [doc._.domain for doc in again] == ["travel"]


def test_without_gold_domains_there_is_nothing_to_give(trained, docs):
    for doc, domain in zip(docs, [None, None, "nowhere"], strict=True):
        doc._.domain = domain
    scores = scored(trained, docs)
    assert not [name for name in scores if "given" in name]
    assert scores["ents_per_domain"]["nowhere"]["used"] == {"sports": 1}
    trained.get_pipe("multibert_ner").scorer = None
    assert "ents_f" not in scored(trained, docs)


def test_the_table_of_spacy_evaluate(trained_folder, docs, tmp_path, capsys):
    path = tmp_path / "dev.spacy"
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    nlp = spacy.load(trained_folder)
    nlp.get_pipe_config("domain_detector")["group_size"] = 1
    nlp.to_disk(tmp_path / "model")
    data = evaluate(str(tmp_path / "model"), path, silent=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["TEXTCAT", "(domain_acc)", "66.67"] in lines
    assert ["sports", "66.67", "100.00", "80.00"] in lines
    assert data["cats_score"] == pytest.approx(2 / 3)
    output = tmp_path / "scores.json"
    evaluate(str(tmp_path / "model"), path, output=output, per_component=True)
    scores = srsly.read_json(output)["multibert_ner"]
    assert scores["ents_per_domain"]["travel"]["used"] == {"sports": 1}
    assert scores["ents_given_f"] == 1.0


@pytest.mark.parametrize("place", [{"first": True}, {"last": True}])
def test_a_classifier_of_the_user_s_keeps_its_row(trained, place):
    model = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "ngram_size": 1}
    model.update({"no_output_layer": False, "length": 64})
    textcat = trained.add_pipe("textcat", config={"model": model}, **place)
    examples = []
    for domain in sorted(NAMES):
        doc = toy_doc(trained, domain, random.Random(0))
        doc.cats = {"angry": 1.0, "calm": 0.0}
        examples.append(Example(trained.make_doc(doc.text), doc))
    textcat.initialize(lambda: examples, nlp=trained)
    scores = trained.evaluate(examples)
    assert scores["cats_score_desc"] == "macro F"
    assert set(scores["cats_f_per_type"]) == {"angry", "calm"}
    assert 0 < scores["domain_acc"] <= 1
    assert set(trained(examples[0].text).cats) == {"angry", "calm", *NAMES}
