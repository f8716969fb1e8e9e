"""The sweep: settings, which are tried, and what is on record, on a toy core and without one."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import write_toy_corpus
from typer.testing import CliRunner

from scripts.build.toy_core import build_toy_core
from scripts.experiments.sizes import PAPER_TARGETS, Shape
from scripts.experiments.sweep import Setting, app, knee_of, setting_of_share
from scripts.record import running_module

SHAPE = Shape(layers=12, width=384, inner=1536, vocabulary=30824)


@pytest.mark.parametrize(
    "kind, share, expected",
    [
        ("prefix", 0.001, Setting("prefix", length=4)),
        ("prefix", 0.05, Setting("prefix", length=181)),
        ("lora", 0.05, Setting("lora", rank=20, alpha=38)),
        ("lora", 0.0025, Setting("lora", rank=1, alpha=2)),
        ("lora", 0.001, Setting("lora", rank=2, alpha=4, targets=PAPER_TARGETS)),
        ("lora", 0.0, Setting("lora", rank=1, alpha=2, targets=PAPER_TARGETS)),
    ],
)
def test_settings_of_a_share(kind: str, share: float, expected: Setting) -> None:
    assert setting_of_share(kind, share, SHAPE) == expected


def test_the_knee_is_the_smallest_within_the_tolerance() -> None:
    points = [{"parameters": n, "dev_f1": f} for n, f in ((9, 71.0), (3, 70.2), (1, 69.0))]
    assert knee_of(points, 1.0) == points[1]
    assert knee_of(points, 0.5) == points[0]
    assert knee_of(points, 2.0) == points[2]
    assert knee_of([], 1.0) is None


RUN = """
[sweep]
vars.epochs = 1

[sweep_prefix]
vars.epochs = 1
vars.learn_rate = 0.02
adapters.prefix.projection = false
components.multibert_ner.model.adapter = ${adapters.prefix}
"""


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy_corpus(tmp_path / "toy", ("train", "dev"))
    build_toy_core(tmp_path / "core")
    (tmp_path / "run.cfg").write_text(RUN, encoding="utf8")
    places = {"corpus": "toy", "core": "core", "out": "out", "metrics": "sweep.json"}
    args = [part for name, own in places.items() for part in (f"--{name}", str(tmp_path / own))]
    args = [str(tmp_path / "run.cfg"), *args, "--domains", "travel"]
    args += ["--shares", "0.1", "--no-search"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "sweep.json").read_text(encoding="utf8"))
    assert report["budget"]["domains"] == ["travel"]
    assert report["split"] == "train, scored on dev"
    shape = Shape.from_config(tmp_path / "core" / "config.json")
    assert [run["kind"] for run in report["runs"]] == ["lora", "prefix"]
    (lora,), (prefix,) = (report["curves"][kind]["points"] for kind in ("lora", "prefix"))
    assert lora["share"] == pytest.approx(0.1, abs=0.02)
    assert prefix["parameters"] == shape.prefix(prefix["length"])
    assert not list((tmp_path / "out").rglob("*.safetensors"))
    (record,) = (tmp_path / "out/sweep").glob("prefix*/done.json")
    overrides = json.loads(record.read_text("utf8"))["overrides"]
    assert overrides["adapters.prefix.n_virtual"] == prefix["length"]
    assert overrides["vars.learn_rate"] == 2e-2

    def trained_again(*args: object, **kwargs: object) -> None:
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr("scripts.build.runs.spacy_train", trained_again)
    assert CliRunner().invoke(app, args).exit_code == 0
    # a run with another budget is not taken for one with this
    result = CliRunner().invoke(app, [*args, "--seed", "1"])
    assert result.exit_code == 1
    assert "choose another --out" in " ".join(result.stderr.split())


def test_a_record_names_the_script_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def module_when(name: str | None) -> str:
        spec = None if name is None else SimpleNamespace(name=name)
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec, raising=False)
        return running_module("scripts.build.train")

    assert module_when("scripts.experiments.sweep.__main__") == "scripts.experiments.sweep"
    assert module_when("scripts.experiments.recipe") == "scripts.experiments.recipe"
    assert module_when("pytest.__main__") == module_when(None) == "scripts.build.train"
