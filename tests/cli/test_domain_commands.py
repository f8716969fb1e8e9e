"""Commands that handle a pipeline's domains: what they write, and what a mistake says."""

import os
from pathlib import Path
from typing import Any

import pytest
import spacy
from click.testing import Result
from spacy.cli._util import app
from typer.testing import CliRunner

import multibert_spacy.cli  # noqa: F401  (spaCy imports it through its entry point)

CORE = "transformer/model/model.safetensors"


def run(*args: Any) -> Result:
    return CliRunner().invoke(app, ["multibert", *map(str, args)])


def domains_of(folder: Path) -> tuple[list[str], list[str]]:
    nlp = spacy.load(folder)
    tagger, detector = nlp.get_pipe("multibert_ner"), nlp.get_pipe("domain_detector")
    return sorted(tagger.domains), sorted(detector.labels)


def test_remove_and_rename(trained_folder: Path, tmp_path: Path) -> None:
    done = run("remove", trained_folder, "news", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert domains_of(tmp_path / "out") == (["sports", "travel"],) * 2
    assert os.path.samefile(trained_folder / CORE, tmp_path / "out" / CORE)
    done = run("rename", tmp_path / "out", "travel", "trips", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert domains_of(tmp_path / "out") == (["sports", "trips"],) * 2
    assert os.path.samefile(trained_folder / CORE, tmp_path / "out" / CORE)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_export(mixed_folder: Path, tmp_path: Path) -> None:
    assert run("export", mixed_folder, "news", tmp_path / "news").exit_code == 0
    assert {"adapter_config.json", "multibert.json", "README.md"} <= {
        path.name for path in (tmp_path / "news").iterdir()
    }


@pytest.mark.parametrize(
    "args, said",
    [
        (["remove", "{model}", "law", "{out}"], "Unknown domain 'law'; the pipeline has: news"),
        (["rename", "{model}", "news", "../../x", "{out}"], "Illegal domain name '../../x'"),
        (["rename", "{model}", "news", "travel", "{out}"], "There is a domain 'travel' already"),
        (["remove", "{model}", "news", "{here}"], "is there and no pipeline"),
        (["remove", "{here}/none", "news", "{out}"], "none"),
        (["export", "{model}", "law", "{out}"], "Unknown domain 'law'"),
        (["export", "{model}", "news", "{here}"], "no adapter's folder"),
    ],
)
def test_a_mistake_is_one_line(
    trained_folder: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf8")
    places = {"model": trained_folder, "out": tmp_path / "out", "here": tmp_path}
    done = run(*(arg.format(**places) for arg in args))
    assert done.exit_code == 1
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
