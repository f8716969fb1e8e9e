"""Ways to an adapter, on a toy core: what each is trained on, and that nothing is done twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import write_toy_corpus
from typer.testing import CliRunner

from multibert_spacy.errors import DomainError
from scripts.build import train
from scripts.build.toy_core import build_toy_core
from scripts.experiments.recipe.__main__ import app, summarise
from scripts.experiments.recipe.ways import Recipe


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A core and a corpus of two domains with one head."""
    monkeypatch.setattr(train, "HEADS", {"social": ["sports", "travel"]})
    write_toy_corpus(tmp_path / "toy", ("train", "dev", "test"))
    build_toy_core(tmp_path / "core")
    places = {"corpus": "toy", "out": "out", "metrics": "metrics"}
    return {
        **{name: tmp_path / own for name, own in places.items()},
        "core": str(tmp_path / "core"),
    }


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What would be trained, which is not."""
    found: list[dict[str, Any]] = []

    def pretend(run: Any, out: Path, metrics: Path) -> Path:
        (out / run.name).mkdir(parents=True, exist_ok=True)
        record = {"epochs": run.epochs, "overrides": run.overrides, "seed": 0}
        (out / run.name / "done.json").write_text(json.dumps(record), encoding="utf8")
        found.append({"name": run.name, "domains": run.domains, **record["overrides"]})
        found[-1]["epochs"] = run.epochs
        return out / run.name / "model-best"

    monkeypatch.setattr(train, "train", pretend)
    return found


def test_what_each_way_is_trained_on(toy: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    recipe = Recipe(**toy, pretrain_epochs=3, tune_epochs=2)
    for way in ("tuned", "head", "scratch", "excluded"):
        recipe._train(way, "travel", f"recipe/{way}/travel")
    assert [(run["name"], run["domains"], run["epochs"]) for run in runs] == [
        ("pretrain/social", ["sports", "travel"], 3),
        ("recipe/tuned/travel", ["travel"], 2),
        ("pretrain/social", ["sports", "travel"], 3),
        ("recipe/head/travel", ["travel"], 2),
        ("recipe/scratch/travel", ["travel"], 5),
        ("recipe/without/travel", ["sports"], 3),
        ("recipe/excluded/travel", ["travel"], 2),
    ]
    tuned, head, excluded = runs[1], runs[3], runs[6]
    assert (tuned["vars.freeze_head"], head["vars.freeze_head"]) == (True, False)
    out = toy["out"]
    assert tuned["paths.pretrained"] == str(out / "pretrain" / "social" / "model-best")
    assert excluded["paths.pretrained"] == str(out / "recipe" / "without" / "travel/model-best")
    # sports has no LOC, but the head has it all the same
    assert runs[5]["initialize.components.multibert_ner.labels"] == ["LOC", "ORG"]


def test_a_shared_adapter_of_another_budget_is_not_taken(
    toy: dict[str, Any], runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Recipe(**toy, pretrain_epochs=3)._train("shared", "travel", "recipe/shared/travel")
    monkeypatch.setattr(train, "train", lambda run, out, metrics: out / run.name)
    with pytest.raises(ValueError, match="trained with epochs, rate and seed"):
        Recipe(**toy, pretrain_epochs=4)._train("shared", "travel", "recipe/shared/travel")


def test_an_unknown_target(toy: dict[str, Any]) -> None:
    with pytest.raises(DomainError, match="'opera'; there are: sports, travel"):
        Recipe(**toy).head_of("opera")


def scored(dev: float, counts: list[list[int]]) -> dict[str, Any]:
    tp, fp, fn = map(sum, zip(*counts, strict=True))
    own = {"f": 2 * tp / (2 * tp + fp + fn), "f_interval": [0, 1], "n_docs": 2, "n_entities": 4}
    scores = {"single": {"per_domain": {"travel": own}}}
    return {
        "best_dev_score": dev,
        "scored": {**scores, "doc_counts": {"single": {"travel": counts}}},
    }


def test_ways_are_compared_on_the_same_docs(toy: dict[str, Any]) -> None:
    found = {
        "travel": {
            "shared": scored(0.5, [[1, 1, 1], [0, 2, 2]]),
            "tuned": scored(0.6, [[2, 0, 0], [2, 0, 0]]),
        }
    }
    report = summarise(Recipe(**toy), found, n_resamples=50)
    assert report["mean"] == {"shared": 0.25, "tuned": 1.0}
    assert list(report["ways"]) == ["shared", "tuned"]
    shared = report["targets"]["travel"]["shared"]
    assert shared["dev_f"] == 0.5
    assert shared["against_tuned"]["difference"] == -0.75
    assert shared["against_tuned"]["p"] < 0.05
    assert "against_tuned" not in report["targets"]["travel"]["tuned"]


def test_command(toy: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = [part for name, own in toy.items() for part in (f"--{name}", str(own))]
    args += ["--targets", "travel", "--ways", "excluded,tuned", "--evaluations", "1"]
    args += ["--pretrain-epochs", "1", "--tune-epochs", "1", "--set", "adapters.lora.rank=2"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "metrics" / "recipe.json").read_text(encoding="utf8"))
    assert report["targets"]["travel"].keys() == {"excluded", "tuned"}
    assert report["settings"]["settings"] == ["adapters.lora.rank=2"]
    own = json.loads((tmp_path / "metrics/recipe/tuned_travel.json").read_text(encoding="utf8"))
    assert own["domains"] == ["travel"]
    assert own["scored"]["single"]["per_domain"].keys() == {"travel"}
    assert own["scored"]["split"] == "test"
    # weights of the target are gone, the shared adapter is left
    left = {path.parent.name for path in (tmp_path / "out").rglob("model-best")}
    assert left == {"social"}

    def trained_again(*args: object, **kwargs: object) -> None:
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr("scripts.build.runs.spacy_train", trained_again)
    assert CliRunner().invoke(app, args).exit_code == 0
    result = CliRunner().invoke(app, [*args, "--tune-rate", "1e-4"])
    assert result.exit_code == 1
    assert "choose another --out" in " ".join(result.stderr.split())
    result = CliRunner().invoke(app, [*args, "--ways", "magic"])
    assert "Unknown way 'magic'" in result.stderr
