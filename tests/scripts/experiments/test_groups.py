"""F1 with domains given and detected, with a tagger that knows the toy language and a detector
that is wrong about groups of one text.
"""

import json

import pytest
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from multibert_spacy.text.threads import apply_context
from scripts.experiments.groups import app, score_groups


class WrongAboutOne:
    """A group of one text is sports, every larger one travel."""

    def pipe(self, stream, batch_size=1):
        docs = list(stream)
        for doc in docs:
            apply_context(doc)
        threads = [doc._.thread for doc in docs]
        for doc in docs:
            if doc._.domain is None:
                doc._.domain = "sports" if threads.count(doc._.thread) == 1 else "travel"
        yield from docs

    def __call__(self, doc):
        return next(self.pipe([doc]))


@Language.factory("wrong_about_one")
def make_wrong_about_one(nlp, name):
    return WrongAboutOne()


@pytest.fixture
def nlp(trained):
    trained.remove_pipe("domain_detector")
    trained.add_pipe("wrong_about_one", name="domain_detector", before="multibert_ner")
    return trained


def travel(vocab, n=4):
    """«تبریز» is a place here; in sports it is a club."""
    docs = []
    for _ in range(n):
        doc = Doc(vocab, words=["هتل", "تبریز", "سفر"], ents=["O", "B-LOC", "O"])
        doc._.domain = "travel"
        docs.append(doc)
    return docs


def test_a_wrong_domain_costs_what_its_labels_cost(nlp):
    report = score_groups(nlp, travel(nlp.vocab), sizes=[1, 2], n_resamples=20, n_draws=50)
    assert report["given"]["micro"]["f"] == 1.0
    found = {
        size: (own["domain_acc"], own["micro"]["f"]) for size, own in report["detected"].items()
    }
    assert found == {"1": (0.0, 0.0), "2": (1.0, 1.0)}
    differences = {s: own["macro"]["all"]["difference"] for s, own in report["difference"].items()}
    assert differences == {"1": -1.0, "2": 0.0}


def test_raw_text_is_in_the_largest_groups(nlp):
    report = score_groups(nlp, travel(nlp.vocab), sizes=[1, 2], n_resamples=20, n_draws=50)
    assert report["raw_detected"]["domain_acc"] == 1.0
    assert report["raw_detected"]["micro"]["f"] == report["raw_given"]["micro"]["f"] == 1.0
    assert report["raw_difference"]["macro"]["all"]["difference"] == 0.0
    assert report["tokenizer"]["macro"]["all"]["difference"] == 0.0
    alone = score_groups(nlp, travel(nlp.vocab), sizes=[1], n_resamples=20, n_draws=50)
    assert alone["raw_detected"]["micro"]["f"] == 0.0
    assert alone["raw_difference"]["macro"]["all"]["difference"] == -1.0


def test_a_limit_takes_the_same_docs_for_all(nlp):
    docs = travel(nlp.vocab, 7)
    given = {"sizes": [1, 2], "limit_groups": 2, "n_resamples": 20, "n_draws": 50}
    report = score_groups(nlp, docs, **given)
    scores = [report["given"], *report["detected"].values(), report["raw_given"]]
    assert [own["micro"]["n_docs"] for own in scores] == [4, 4, 4, 4]


def test_command(trained_folder, trained, tmp_path):
    (tmp_path / "toy" / "test").mkdir(parents=True)
    doc_bin = DocBin(docs=travel(trained.vocab), store_user_data=True)
    doc_bin.to_disk(tmp_path / "toy" / "test" / "toy.spacy")
    path = tmp_path / "groups.json"
    args = [trained_folder, "--corpus", tmp_path / "toy", "--metrics", path]
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text(encoding="utf8"))
    assert list(report["detected"]) == ["1", "2", "4", "8"]
    assert report["domains"] == {"travel": {"docs": 4, "entities": 4}}
    assert "F1 of entities" in result.output


def test_a_pipeline_without_a_detector_is_a_message(trained, tmp_path):
    trained.remove_pipe("domain_detector")
    trained.to_disk(tmp_path / "model")
    result = CliRunner().invoke(app, [str(tmp_path / "model")])
    assert result.exit_code == 1
    assert "no domain_detector" in " ".join(result.stderr.split())
