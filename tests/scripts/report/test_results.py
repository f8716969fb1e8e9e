"""README's tables, from JSON files written by hand."""

import json
from pathlib import Path
from typing import Any

from scripts.report.results import END, START, results, with_results

ORIGIN = {"command": "python -m x", "commit": "abc", "seed": 0, "split": "test"}


def write(metrics: Path, name: str, report: dict[str, Any]) -> None:
    path = metrics / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**ORIGIN, **report}), encoding="utf8")


def entities(f: float, **more: float) -> dict[str, Any]:
    own = {"f": f, "f_interval": [f - 0.1, f + 0.1]}
    return {
        "micro": own,
        "macro": own,
        "macro_by_head": {"social": own},
        "per_domain": {"tweet": own},
        **more,
    }


def test_nothing_measured(tmp_path: Path) -> None:
    assert results(tmp_path) == ""
    readme = f"before\n{START}\nold\n{END}\nafter\n"
    assert with_results(readme, tmp_path) == f"before\n{START}\n\n\n\n{END}\nafter\n"


def test_systems_that_are_there_stand_side_by_side(tmp_path: Path) -> None:
    accuracy = dict.fromkeys("1248", {"accuracy": 0.9})
    report = {mode: entities(0.7) for mode in ("given", "detected")}
    report["detector"] = {"raw": accuracy, "masked": accuracy}
    write(tmp_path, "persian/pretrained", report)
    write(tmp_path, "persian/crf", {"single": entities(0.5)})
    write(tmp_path, "persian/special", {"single": entities(0.6)})
    write(tmp_path, "persian/multi_prefix", {"given": entities(0.4)})
    text = results(tmp_path)
    assert "| | shipped | shipped, detected | `special` | prefix | CRF |" in text
    row = ["70.0 (60.0-80.0)"] * 2 + ["60.0 (50.0-70.0)", "40.0 (30.0-50.0)", "50.0 (40.0-60.0)"]
    assert f"| tweet | {' | '.join(row)} |" in text
    assert f"| macro of the ten channels | {' | '.join(row)} |" in text
    assert "| adapter on the core | 90.0 | 90.0 | 90.0 | 90.0 | 90.0 |" in text
    assert "`python -m x`, commit abc, seed 0, test" in text


def test_groups(tmp_path: Path) -> None:
    report = {
        "given": entities(0.7),
        "detected": {"1": entities(0.6, domain_acc=0.9)},
        "raw_given": entities(0.5),
        "raw_detected": entities(0.4, domain_acc=0.8),
    }
    write(tmp_path, "persian/groups", report)
    lines = results(tmp_path).splitlines()
    cells = " | ".join(["60.0 (50.0-70.0)"] * 2)
    assert f"| detected, groups of 1 | 90.0 | {cells} |" in lines
    assert [line.split(" | ")[1] for line in lines if line.startswith("| raw")] == ["", "80.0"]


def test_sizes(tmp_path: Path) -> None:
    own = {
        "parameters": 2e6,
        "parameters_for_domains": 3e6,
        "trained_share": 0.5,
        "megabytes_per_further_domain": 1.234,
    }
    core = {"title": "toy", "systems": {"special": own}}
    write(tmp_path, "sizes", {"n_domains": 12, "cores": {"toy": core}})
    assert "| toy | special | 2.0 | 3.0 | 50.00 | 1.23 |" in results(tmp_path)
