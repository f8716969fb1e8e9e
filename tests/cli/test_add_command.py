"""`multibert add`: what it writes, and what a mistake says."""

import os
from pathlib import Path
from typing import Any

import pytest
import spacy
from click.testing import Result
from conftest import toy_examples
from spacy.cli._util import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

import multibert_spacy.cli  # noqa: F401  (spaCy imports it through its entry point)
from multibert_spacy.pipeline.multibert_ner import MultibertNER

CORE = "transformer/model/model.safetensors"


def run(*args: Any) -> Result:
    return CliRunner().invoke(app, ["multibert", "add", *map(str, args)])


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Annotated texts of sports, of no domain."""
    docs = [eg.reference for eg in toy_examples(spacy.blank("fa"), "sports", 10)]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    return tmp_path / "train.spacy"


def test_a_whole_pipeline_that_shares_its_core(mixed_folder, texts, tmp_path) -> None:
    out = tmp_path / "out"
    done = run(mixed_folder, "matches", texts, out, "--steps", 2, "--dev", texts)
    assert done.exit_code == 0, done.output
    assert "head social (LOC ORG), start sports" in " ".join(done.output.split())
    nlp = spacy.load(out)
    assert "matches" in nlp.get_pipe("multibert_ner").domains
    assert "matches" in nlp.get_pipe("domain_detector").labels
    assert "matches" in nlp.meta["performance"]["ents_per_domain"]
    assert os.path.samefile(mixed_folder / CORE, out / CORE)


def test_labels_and_a_start_that_are_given(mixed_folder, texts, tmp_path) -> None:
    labels = ["--labels", "ORG, CLUB", "--start", "news", "--no-detect", "--steps", 1]
    described = ["--description", "تیم و گل"]
    done = run(mixed_folder, "matches", texts, tmp_path / "out", *labels, *described)
    assert done.exit_code == 0, done.output
    nlp = spacy.load(tmp_path / "out")
    tagger = nlp.get_pipe("multibert_ner")
    assert tagger.labels_of("matches") == ("ORG", "CLUB")
    assert tagger.model.descriptions["matches"] == "تیم و گل"
    assert "matches" not in nlp.get_pipe("domain_detector").labels


def test_a_training_that_was_stopped_says_so(mixed_folder, texts, tmp_path, monkeypatch) -> None:
    n, update = iter(range(100)), MultibertNER.update

    def stop(self, *args, **kwargs):
        if next(n) == 2:
            raise KeyboardInterrupt
        return update(self, *args, **kwargs)

    monkeypatch.setattr(MultibertNER, "update", stop)
    done = run(mixed_folder, "matches", texts, tmp_path / "out", "--steps", 9)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "Stopped at step 2: what was best so far is kept, that of step 2" in said
    assert "matches" in spacy.load(tmp_path / "out").get_pipe("multibert_ner").domains


@pytest.mark.parametrize(
    "args, said",
    [
        (["sports", "{texts}", "{out}"], "There is a domain 'sports' already"),
        (["matches", "none.spacy", "{out}"], "none.spacy is missing"),
        (["matches", "{texts}", "{texts}/out"], "No pipeline can be written to"),
        (["matches", "{texts}", "{here}"], "is there and no pipeline"),
        (["matches", "{texts}", "{out}", "--labels", "CLUB"], "label 'ORG' that the head lacks"),
        (["matches", "{texts}", "{out}", "--start", "law"], "Unknown domain 'law'"),
    ],
)
def test_a_mistake_is_one_line(mixed_folder, texts, tmp_path, args, said) -> None:
    before = sorted(tmp_path.iterdir())
    places = {"texts": texts, "out": tmp_path / "out", "here": tmp_path}
    done = run(mixed_folder, *(arg.format(**places) for arg in args))
    assert done.exit_code == 1
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
