"""Commands that handle a pipeline's domains: what they write, and what a mistake says."""

import os
from pathlib import Path
from typing import Any

import pytest
import spacy
from click.testing import Result
from peft import LoraConfig, get_peft_model
from spacy.cli._util import app
from transformers import AutoModel
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


def test_a_domain_goes_from_pipeline_to_pipeline(mixed_folder: Path, tmp_path: Path) -> None:
    assert run("export", mixed_folder, "news", tmp_path / "news").exit_code == 0
    done = run("import", mixed_folder, tmp_path / "news", "press", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert domains_of(tmp_path / "out") == (["news", "press", "sports", "travel"],) * 2
    assert os.path.samefile(mixed_folder / CORE, tmp_path / "out" / CORE)


def test_an_adapter_of_peft_s(trained_folder: Path, tmp_path: Path) -> None:
    core = AutoModel.from_pretrained(trained_folder / "transformer" / "model")
    config = LoraConfig(task_type="FEATURE_EXTRACTION", target_modules=["query"], r=2)
    get_peft_model(core, config).save_pretrained(tmp_path / "foreign")
    where = ("import", trained_folder, tmp_path / "foreign", "law", tmp_path / "out")
    done = run(*where, "--head-from", "news")
    assert done.exit_code == 0, done.output  # the core's folder is where PEFT says
    change = tmp_path / "foreign" / "adapter_config.json"
    change.write_text(change.read_text("utf8").replace(str(trained_folder), "elsewhere"), "utf8")
    done = run(*where, "--labels", "A, B", "--trust-core")
    assert done.exit_code == 1 and "has no classifier" in done.output
    done = run(*where, "--head-from", "news")
    assert done.exit_code == 1 and "--trust-core" in done.output
    assert run(*where, "--head-from", "news", "--trust-core").exit_code == 0
    assert domains_of(tmp_path / "out")[0] == ["law", "news", "sports", "travel"]


def test_package(mixed_folder: Path, tmp_path: Path) -> None:
    done = run("package", mixed_folder, "news", tmp_path / "dist", "--version", "0.3")
    assert done.exit_code == 0, done.output
    (wheel,) = (tmp_path / "dist").iterdir()
    assert wheel.name == "fa_multibert_news-0.3-py3-none-any.whl"


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
        (["import", "{model}", "{here}", "law", "{out}"], "adapter_config.json cannot be read"),
        (["import", "{model}", "nowhere", "law", "{out}"], "no installed add-on"),
        (["package", "{model}", "law", "{out}"], "Unknown domain 'law'"),
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
