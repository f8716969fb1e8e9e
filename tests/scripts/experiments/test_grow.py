"""The table of few examples: which cells are made, from what, and that one is made once."""

import json

import pytest
import spacy
from conftest import write_toy_corpus
from typer.testing import CliRunner

from multibert_spacy import remove_domain
from scripts.experiments import grow

LABELS = {"LOC": "PLACE", "ORG": "BODY"}


@pytest.fixture
def shared(trained_folder, tmp_path, monkeypatch):
    """A pipeline of one domain, a corpus that has another, and short trainings."""
    nlp = spacy.load(trained_folder, exclude=["domain_detector"])
    for name in ("sports", "news"):
        remove_domain(nlp, name)
    nlp.to_disk(tmp_path / "shared")
    write_toy_corpus(tmp_path / "toy", ("train", "dev"))
    add = grow.add_domain
    monkeypatch.setattr(grow, "add_domain", lambda *a, **given: add(*a, steps=2, **given))
    monkeypatch.setattr(grow, "OWN", LABELS)
    monkeypatch.setattr(grow, "DRAWS", 1)
    return tmp_path


def run(folder, *args):
    given = ["--corpus", folder / "toy", "--metrics", folder / "grow.json", "--domains", "sports"]
    done = CliRunner().invoke(grow.app, [str(own) for own in (folder / "shared", *given, *args)])
    assert done.exit_code == 0, done.output
    return json.loads((folder / "grow.json").read_text(encoding="utf8")), done.output


def test_cells_of_all_ways(shared):
    run(shared, "--ways", "suggest", "--sizes", "3")
    report, _ = run(shared, "--ways", "added,own,crf,scratch", "--sizes", "0,3,-1")
    cells = report["cells"]["sports"]
    assert {way: list(own) for way, own in cells.items()} == {
        "added": ["0", "3", "all"],
        **{way: ["3", "all"] for way in ("own", "crf", "scratch")},
        "suggest": ["3"],
    }
    for way in cells:
        assert cells[way]["3"]["0"]["words"] < cells["added"]["all"]["0"]["words"]
        assert 0 <= cells[way]["3"]["0"]["f"] <= 1
    assert cells["added"]["0"]["0"]["words"] == 0
    assert report["split"] == "dev"


def test_a_cell_is_made_once(shared, monkeypatch):
    first, said = run(shared, "--ways", "crf", "--sizes", "4")
    assert "sports crf 4: " in said
    monkeypatch.setattr(grow, "DRAWS", 2)
    again, said = run(shared, "--ways", "crf", "--sizes", "4")
    assert said.count("sports crf 4: ") == 1
    cells = [own["cells"]["sports"]["crf"]["4"] for own in (first, again)]
    assert cells[1]["0"] == cells[0]["0"]
    assert list(cells[1]) == ["0", "1"]
    assert len(again["commands"]) == 1  # of the tests: whatever runs them
