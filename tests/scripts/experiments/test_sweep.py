"""The sweep: settings, which are tried, and what is on record, on a toy core and without one."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import write_toy_corpus
from typer.testing import CliRunner

from multibert_spacy.errors import ConfigError
from scripts.build.toy_core import build_toy_core
from scripts.experiments.sizes import PAPER_TARGETS, Shape
from scripts.experiments.sweep import Setting, Sweep, app, knee_of, setting_of_share
from scripts.record import running_module

SHAPE = Shape(layers=12, width=384, inner=1536, vocabulary=30824)


class Scored(Sweep):
    """Scores without training: the closer to the best setting, the better."""

    def score(self, setting: Setting) -> float:
        self.runs.setdefault(setting, {})
        return -abs(setting.length - 22) - abs(setting.rank - 8) - abs(setting.alpha - 24) / 10


@pytest.fixture
def scored() -> Scored:
    return Scored(Path("run.cfg"), ["tweet"], SHAPE, "core", Path("corpus"), Path("out"))


def test_a_prefix_is_searched_in_steps_then_beside_the_best(scored: Scored) -> None:
    assert scored.search_prefix([4, 12, 20, 28]) == Setting("prefix", length=22)
    assert [own.length for own in scored.runs] == [4, 12, 20, 28, 16, 18, 22, 24]


def test_a_short_prefix_has_no_shorter_neighbours_than_one(scored: Scored) -> None:
    scored.search_prefix([4])
    assert sorted(own.length for own in scored.runs) == [2, 4, 6, 8]


def test_lora_is_searched_on_a_grid_then_beside_the_best(scored: Scored) -> None:
    assert scored.search_lora([4, 8], [16, 32]) == Setting("lora", rank=8, alpha=24)
    tried = [(own.rank, own.alpha) for own in scored.runs]
    assert tried == [(4, 16), (4, 32), (8, 16), (8, 32), (8, 24), (8, 11), (12, 24), (5, 11)]


@pytest.mark.parametrize(
    "kind, share, expected",
    [
        ("prefix", 0.001, Setting("prefix", length=4)),
        ("prefix", 0.05, Setting("prefix", length=181)),
        ("lora", 0.05, Setting("lora", rank=20, alpha=40)),
        ("lora", 0.0025, Setting("lora", rank=1, alpha=2)),
        ("lora", 0.001, Setting("lora", rank=2, alpha=4, targets=PAPER_TARGETS)),
        ("lora", 0.0, Setting("lora", rank=1, alpha=2, targets=PAPER_TARGETS)),
    ],
)
def test_settings_of_a_share(kind: str, share: float, expected: Setting) -> None:
    assert setting_of_share(kind, share, SHAPE, 2.0) == expected


def test_equal_settings_of_the_curve_are_one(scored: Scored) -> None:
    curve = scored.curve("prefix", [0.05, 0.001, 0.0011])
    assert [own["length"] for own in curve["points"]] == [4, 181]


def test_the_knee_is_the_smallest_within_the_tolerance() -> None:
    points = [{"parameters": n, "dev_f1": f} for n, f in ((9, 71.0), (3, 70.2), (1, 69.0))]
    assert knee_of(points, 1.0) == points[1]
    assert knee_of(points, 0.5) == points[0]
    assert knee_of(points, 2.0) == points[2]
    assert knee_of([], 1.0) is None


def test_domains_of_two_heads_are_an_error() -> None:
    sweep = Sweep(Path("run.cfg"), ["tweet", "art"], SHAPE, "core", Path("corpus"), Path("out"))
    with pytest.raises(ConfigError, match="domains of one head, got tweet, art"):
        sweep.score(Setting("prefix", length=2))


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
    args = [str(tmp_path / "run.cfg"), *args, "--domains", "travel", "--shares", "0.1"]
    args += ["--lengths", "2", "--ranks", "2", "--alphas", "4"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "sweep.json").read_text(encoding="utf8"))
    assert report["budget"]["domains"] == ["travel"]
    assert report["split"] == "train, scored on dev"
    shape = Shape.from_config(tmp_path / "core" / "config.json")
    by_setting = {run["setting"]: run for run in report["runs"]}
    prefix = by_setting["prefix of 4"]  # beside the only length that is asked for
    assert (prefix["search"], prefix["parameters"]) == (True, shape.prefix(4))
    (lora,) = report["curves"]["lora"]["points"]
    assert lora["share"] == pytest.approx(0.1, abs=0.02)
    assert not list((tmp_path / "out").rglob("*.safetensors"))
    record = json.loads((tmp_path / "out/sweep/prefix_4/done.json").read_text("utf8"))
    assert record["overrides"]["adapters.prefix.n_virtual"] == 4
    assert record["overrides"]["vars.learn_rate"] == 2e-2

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
