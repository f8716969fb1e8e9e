"""The sweep: settings, and what is on record, on a toy core and against the kept figures."""

import json
from pathlib import Path

import pytest
import srsly
from conftest import write_toy_corpus
from typer.testing import CliRunner

from scripts.build.toy_core import build_toy_core
from scripts.experiments.sizes import Shape
from scripts.experiments.sweep import SETTINGS, app, knee_of, parameters, title

ROOT = Path(__file__).resolve().parents[3]
SHAPE = Shape(layers=12, width=384, inner=1536, vocabulary=30824)


def test_the_kept_figures_are_of_these_settings() -> None:
    report = json.loads((ROOT / "metrics/persian/sweep.json").read_text(encoding="utf8"))
    asked = srsly.read_yaml(SETTINGS)
    for kind, settings in asked["curves"].items():
        points = report["curves"][kind]["points"]
        assert [title(setting) for setting in settings] == [own["setting"] for own in points]
        for setting, point in zip(settings, points, strict=True):
            assert point["parameters"] == parameters(setting, SHAPE)
    searched = [title(setting) for own in asked["searched"].values() for setting in own]
    assert searched == [run["setting"] for run in report["runs"] if run["search"]]
    assert report["budget"]["domains"] == asked["domains"]


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
FEW = {
    "domains": ["travel"],
    "searched": {"lora": [{"rank": 2, "alpha": 4}]},
    "curves": {"lora": [{"rank": 2, "alpha": 4}], "prefix": [{"n_virtual": 3}]},
}


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy_corpus(tmp_path / "toy", ("train", "dev"))
    build_toy_core(tmp_path / "core")
    (tmp_path / "run.cfg").write_text(RUN, encoding="utf8")
    srsly.write_yaml(tmp_path / "few.yml", FEW)
    places = {"corpus": "toy", "core": "core", "out": "out", "metrics": "sweep.json"}
    args = [part for name, own in places.items() for part in (f"--{name}", str(tmp_path / own))]
    args = [str(tmp_path / "run.cfg"), str(tmp_path / "few.yml"), *args]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "sweep.json").read_text(encoding="utf8"))
    assert report["budget"]["domains"] == ["travel"]
    assert report["split"] == "train, scored on dev"
    assert [(run["kind"], run["search"]) for run in report["runs"]] == [
        ("lora", True),
        ("prefix", False),
    ]
    (prefix,) = report["curves"]["prefix"]["points"]
    shape = Shape.from_config(tmp_path / "core" / "config.json")
    assert prefix["length"] == 3 and prefix["parameters"] == shape.prefix(3)
    assert prefix["share"] == pytest.approx(shape.prefix(3) / shape.core, abs=1e-4)
    assert report["curves"]["prefix"]["knee"] == prefix
    assert not list((tmp_path / "out").rglob("*.safetensors"))
    overrides = srsly.read_json(tmp_path / "out/sweep/prefixof3/done.json")["overrides"]
    assert overrides["adapters.prefix.n_virtual"] == 3
    assert overrides["vars.learn_rate"] == 2e-2

    def trained_again(*args: object, **kwargs: object) -> None:
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr("scripts.build.runs.spacy_train", trained_again)
    assert CliRunner().invoke(app, args).exit_code == 0
    # a run with another budget is not taken for one with this
    result = CliRunner().invoke(app, [*args, "--seed", "1"])
    assert result.exit_code == 1
    assert "choose another --out" in " ".join(result.stderr.split())
