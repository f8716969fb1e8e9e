"""Ways to an adapter, on a toy core: what each is trained on, and that nothing is done twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import write_toy_corpus
from typer.testing import CliRunner

from scripts.build.toy_core import build_toy_core
from scripts.domains import DOMAINS, HEADS
from scripts.experiments import recipe as script
from scripts.experiments.recipe import Recipe, app, summarise

RUN = """
[recipe]
vars.epochs = 1
adapters.lora.rank = 2

[recipe_tune]
vars.epochs = 1
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A core and a corpus of two domains with one head."""
    monkeypatch.setitem(HEADS, "social", ["sports", "travel"])
    write_toy_corpus(tmp_path / "toy", ("train", "dev", "test"))
    build_toy_core(tmp_path / "core")
    (tmp_path / "run.cfg").write_text(RUN, encoding="utf8")
    return {
        "run": tmp_path / "run.cfg",
        "corpus": tmp_path / "toy",
        "core": str(tmp_path / "core"),
        "out": tmp_path / "out",
    }


def test_what_each_way_is_trained_on(toy: dict[str, Any], monkeypatch: Any) -> None:
    runs: list[Any] = []

    def pretend(run: Any, out: Path) -> Path:
        runs.append(run)
        return out / run.name / "model-best"

    monkeypatch.setattr(script, "train", pretend)
    recipe = Recipe(**toy)
    for way in ("tuned", "head", "scratch", "excluded"):
        recipe.train(way, "travel")
    assert [(run.name, run.domains, run.epochs) for run in runs] == [
        ("recipe/shared/social", ["sports", "travel"], 1),
        ("recipe/tuned/travel", ["travel"], 1),
        ("recipe/shared/social", ["sports", "travel"], 1),
        ("recipe/head/travel", ["travel"], 1),
        ("recipe/scratch/travel", ["travel"], 2),
        ("recipe/without/travel", ["sports"], 1),
        ("recipe/excluded/travel", ["travel"], 1),
    ]
    tuned, head, excluded = (runs[i].overrides for i in (1, 3, 6))
    assert (tuned["vars.freeze_head"], head["vars.freeze_head"]) == (True, False)
    out = toy["out"]
    assert tuned["paths.pretrained"] == str(out / "recipe" / "shared" / "social" / "model-best")
    assert excluded["paths.pretrained"] == str(out / "recipe" / "without" / "travel/model-best")
    # sports has no LOC, but the head has it all the same
    assert runs[5].overrides["initialize.components.multibert_ner.labels"] == ["LOC", "ORG"]


def scored(dev: float, counts: list[list[int]]) -> dict[str, Any]:
    tp, fp, fn = map(sum, zip(*counts, strict=True))
    own = {"f": 2 * tp / (2 * tp + fp + fn), "f_interval": [0, 1], "n_docs": 2, "n_entities": 4}
    scores = {"single": {"per_domain": {"travel": own}}}
    return {
        "best_dev_score": dev,
        "scored": {**scores, "doc_counts": {"single": {"travel": counts}}},
    }


def test_ways_are_compared_on_the_same_docs() -> None:
    found = {
        "travel": {
            "shared": scored(0.5, [[1, 1, 1], [0, 2, 2]]),
            "tuned": scored(0.6, [[2, 0, 0], [2, 0, 0]]),
        }
    }
    report = summarise(found, n_resamples=50)
    assert report["mean"] == {"shared": 0.25, "tuned": 1.0}
    assert list(report["ways"]) == ["shared", "tuned"]
    shared = report["targets"]["travel"]["shared"]
    assert shared["dev_f"] == 0.5
    assert shared["against_tuned"]["difference"] == -0.75
    assert shared["against_tuned"]["p"] < 0.05
    assert "against_tuned" not in report["targets"]["travel"]["tuned"]


def test_command(toy: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: str(own) for name, own in toy.items() if name != "run"}
    places["metrics"] = str(tmp_path / "recipe.json")
    args = [part for name, own in places.items() for part in (f"--{name}", own)]
    args = [str(toy["run"]), *args, "--targets", "travel", "--ways", "excluded,tuned"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "recipe.json").read_text(encoding="utf8"))
    assert report["targets"]["travel"].keys() == {"excluded", "tuned"}
    assert report["settings"]["recipe"]["adapters.lora.rank"] == 2
    # weights of the target are gone, the shared adapter is left
    left = {path.parent.name for path in (tmp_path / "out").rglob("model-best")}
    assert left == {"social"}

    def trained_again(*args: object, **kwargs: object) -> None:
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr("scripts.build.runs.spacy_train", trained_again)
    assert CliRunner().invoke(app, args).exit_code == 0
    result = CliRunner().invoke(app, [*args, "--seed", "1"])
    assert result.exit_code == 1
    assert "choose another --out" in " ".join(result.stderr.split())
    result = CliRunner().invoke(app, [*args, "--ways", "magic"])
    assert "Unknown way 'magic'" in result.stderr
    result = CliRunner().invoke(app, [*args, "--targets", "opera"])
    assert f"'opera'; there are: {', '.join(DOMAINS)}" in " ".join(result.stderr.split())
