"""The measurements of one corpus, and how their numbers are written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domains import HEADS

__all__ = ["CHANNELS", "Metrics", "f1", "mode_of", "percent", "points", "scores_of"]

CHANNELS = HEADS["social"]


@dataclass(frozen=True)
class Metrics:
    """A folder of JSON files.

    folder (Path): Of one corpus, as metrics/persian.
    """

    folder: Path

    def read(self, name: str) -> dict[str, Any] | None:
        """RETURNS (dict): What stands in name.json, None if there is no such file."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf8")) if path.is_file() else None

    def find(self, pattern: str) -> dict[str, dict[str, Any]]:
        """RETURNS (dict): Name without .json -> report, of all files of a pattern, by name."""
        paths = sorted(self.folder.glob(f"{pattern}.json"))
        return {path.stem: json.loads(path.read_text(encoding="utf8")) for path in paths}


def mode_of(report: Mapping[str, Any], wanted: str = "") -> str:
    """RETURNS (str): The mode of a report of entities that is wanted, or else the one that is
    told its domains: "given", or "single" for models that have only one.
    """
    return wanted or ("given" if "given" in report else "single")


def scores_of(report: Mapping[str, Any], wanted: str = "") -> Mapping[str, Any]:
    """RETURNS (Mapping): The scores of that mode."""
    scores: Mapping[str, Any] = report[mode_of(report, wanted)]
    return scores


def percent(share: float | None, digits: int = 1) -> str:
    """RETURNS (str): As 71.3, or a dash for what is not known."""
    return "–" if share is None else f"{100 * share:.{digits}f}"


def points(difference: float | None) -> str:
    """RETURNS (str): As +1.3 or −0.4."""
    if difference is None:
        return "–"
    return f"{100 * difference:+.1f}".replace("-", "−")


def f1(scores: Mapping[str, Any] | None) -> str:
    """RETURNS (str): F1 and its interval, as 71.3 (65.0–76.8)."""
    if scores is None or scores["f"] is None:
        return "–"
    if not scores.get("f_interval"):
        return percent(scores["f"])
    low, high = scores["f_interval"]
    return f"{percent(scores['f'])} ({percent(low)}–{percent(high)})"
