"""The report of sizes, sweep, recipe and groups, from what their own scripts write."""

import json
from pathlib import Path
from typing import Any

import pytest
import srsly

from scripts.experiments.recipe.__main__ import summarise as summarise_recipe
from scripts.experiments.recipe.ways import Recipe
from scripts.experiments.sizes import Shape, measure_sizes
from scripts.experiments.sweep.__main__ import summarise as summarise_sweep
from scripts.experiments.sweep.search import Budget, Sweep
from scripts.experiments.sweep.setting import Setting
from scripts.report import claims, detection, settings
from scripts.report.__main__ import build_sections
from scripts.report.data import Metrics
from scripts.report.page import Figure, Missing, Section, Table

ORIGIN = {"command": "python -m x", "commit": "abc", "seed": 0, "split": "test"}
SHAPE = Shape(layers=12, width=384, inner=1536, vocabulary=30824)


def write(folder: Path, name: str, report: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**ORIGIN, **report}), encoding="utf8")


def parts(sections: list[Section], kind: type) -> list[Any]:
    return [part for section in sections for part in section.parts if isinstance(part, kind)]


def table(sections: list[Section], title: str) -> Table:
    (found,) = [t for t in parts(sections, Table) if title in t.title]
    return found


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(tmp_path / "toy")


def test_sizes(metrics: Metrics, tmp_path: Path) -> None:
    core = {
        "num_hidden_layers": 12,
        "hidden_size": 384,
        "intermediate_size": 1536,
        "vocab_size": 30824,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    }
    (tmp_path / "config.json").write_text(json.dumps(core), encoding="utf8")
    write(tmp_path, "sizes", measure_sizes(tmp_path, tmp_path / "none"))
    own = table(settings.section(metrics, Metrics(tmp_path), tmp_path), "Table 2")
    by_system = {(row[0], row[1]): row for row in own.rows}
    assert by_system["embedded core", "multi-lora, r = 16"][4:6] == ["3.83", "2.67"]
    assert by_system["ParsBERT (the paper's)", "special"][2] == "162.26"


def sweep_of(scores: dict[Setting, float], searched: set[Setting]) -> dict[str, Any]:
    budget = Budget(("tweet",), 1, {"lora": 1e-3, "prefix": 1e-2})
    sweep = Sweep(budget, SHAPE, "core", Path("toy"), Path("out"), Path("metrics"))
    for setting, score in scores.items():
        sweep.runs[setting] = {
            "run": f"sweep/{setting.name}",
            "best_dev_score": score,
            "minutes_with_evaluation": 1.5,
        }
    sweep.searched = searched
    curves = {kind: [s for s in scores if s.kind == kind] for kind in ("lora", "prefix")}
    return summarise_sweep(sweep, curves, 1.0)


def test_sweep(metrics: Metrics, tmp_path: Path) -> None:
    prefix, long = Setting("prefix", length=4), Setting("prefix", length=12)
    lora, large = Setting("lora", rank=8, alpha=16), Setting("lora", rank=20, alpha=40)
    scores = {prefix: 0.60, long: 0.65, lora: 0.70, large: 0.705}
    write(metrics.folder, "sweep", sweep_of(scores, {prefix, long, lora}))
    sections = settings.section(metrics, Metrics(tmp_path), tmp_path / "out")
    names = [figure.name for figure in parts(sections, Figure)]
    assert names == ["sweep_prefix", "sweep_lora", "sweep_size"]
    assert all((tmp_path / "out" / f"{name}.svg").exists() for name in names)
    rows = table(sections, "All runs").rows
    assert ["LoRA r = 8, alpha = 16", "663,552", "1.99", "70.0", "1.5", "dev"] in rows
    assert rows[-1][-1] == "dev, curve"
    said = {claim.paper: claim.ours for claim in claims.claims(metrics)}
    assert (
        "is prefix of 12 (dev 65.0). The knee of the curve is prefix of 12."
        in (said["A prefix of 22 is best."])
    )
    # the larger adapter is within a point of the best one, and was not searched
    assert (
        "is LoRA r = 8, alpha = 16 (dev 70.0). The knee of the curve is LoRA r = 8"
        in (said["LoRA with r = 3, alpha = 1 is best."])
    )


def scored(counts: list[list[int]]) -> dict[str, Any]:
    tp, fp, fn = map(sum, zip(*counts, strict=True))
    own = {"f": 2 * tp / (2 * tp + fp + fn), "f_interval": [0, 1], "n_docs": 2, "n_entities": 4}
    single = {"per_domain": {"travel": own}}
    scored = {"single": single, "doc_counts": {"single": {"travel": counts}}}
    return {"best_dev_score": 0.5, "scored": scored}


def test_recipe(metrics: Metrics, tmp_path: Path) -> None:
    recipe = Recipe(Path("toy"), "core", Path("out"), Path("metrics"))
    found = {
        "travel": {"shared": scored([[1, 1, 1], [0, 2, 2]]), "tuned": scored([[2, 0, 0]] * 2)}
    }
    write(metrics.folder, "recipe", summarise_recipe(recipe, found, n_resamples=50))
    own = table(settings.section(metrics, Metrics(tmp_path), tmp_path), "recipe")
    assert own.columns == ["adapter", "travel", "mean"]
    shared, tuned = own.rows
    assert shared[1].startswith("25.0 (0.0–100.0) [−75.0, p 0.0")
    assert tuned[1:] == ["100.0 (0.0–100.0)", "100.0"]
    (claim,) = claims.claims(metrics)
    assert "shared adapter, not tuned: 25.0; tuned with the head frozen: 100.0" in claim.ours
    assert "in the mean of travel. 1 of 1 differences real" in claim.ours


def scores(f: float, **more: float) -> dict[str, Any]:
    own = {"f": f, "f_interval": [f, f]}
    return {"micro": own, "macro": own, "macro_by_head": {"social": own}, **more}


def test_groups_and_cost(metrics: Metrics, tmp_path: Path) -> None:
    macro = {"difference": -0.02, "interval": [-0.03, -0.01]}
    report = {
        "given": scores(0.7),
        "detected": {"1": scores(0.68, domain_acc=0.9)},
        "difference": {"1": {"macro": {"social": macro, "all": macro}}},
    }
    write(metrics.folder, "groups", report)
    cost = {"ms": 1.25, "range": [1, 2]}
    times = {"ours, 6 layers": dict.fromkeys("1248", cost)}
    write(
        metrics.folder, "detector_cost", {"detectors": times} | dict(rounds=5, groups=9, threads=2)
    )
    sections = detection.section(metrics, tmp_path)
    assert table(sections, "The whole pipeline").rows[1] == [
        "detected, groups of 1",
        "90.0",
        *["68.0 (68.0–68.0)"] * 3,
        *["−2.0 (−3.0 to −1.0)"] * 2,
    ]
    assert table(sections, "Cost").rows == [["ours, 6 layers", *["1.25"] * 4]]
    assert (tmp_path / "groups.png").exists()


def test_what_is_missing_names_commands_of_the_project(tmp_path: Path) -> None:
    project = srsly.read_yaml(Path(__file__).parents[3] / "project.yml")
    known = {command["name"] for command in project["commands"]} | project["workflows"].keys()
    missing = parts(build_sections(tmp_path, "toy", tmp_path / "out"), Missing)
    named = {part.command.split("project run ")[1].split()[0] for part in missing}
    assert named <= known
