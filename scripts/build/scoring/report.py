"""The scores of entities and detectors as tables for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from ...record import f1, percent, table


def entity_table(modes: Mapping[str, Mapping[str, Any]]) -> Table:
    """F1 of each domain and type, with intervals."""
    rows = []
    for kind in ("per_domain", "per_type", "per_style"):
        for name in dict.fromkeys(name for own in modes.values() for name in own.get(kind, ())):
            found = {title: own[kind].get(name) for title, own in modes.items()}
            some = next(own for own in found.values() if own)
            counts = {"docs": some.get("n_docs", ""), "entities": some.get("n_entities", "")}
            rows.append({"": name, **counts, **{title: f1(own) for title, own in found.items()}})
    for name in ("micro", "macro"):
        rows.append({"": name, **{title: f1(own.get(name)) for title, own in modes.items()}})
    by_head = {title: own.get("macro_by_head", {}) for title, own in modes.items()}
    for name in dict.fromkeys(name for own in by_head.values() for name in own):
        cells = {title: f1(own.get(name)) for title, own in by_head.items()}
        rows.append({"": f"macro, {name}", **cells})
    return table("F1 of entities (95% interval)", rows)


def detector_table(scores: Mapping[str, Any]) -> Table:
    """Accuracy by size of groups. scores (Mapping): Those of `score_detector`."""
    rows = [
        {"": how}
        | {
            name: f"{percent(own['accuracy'])} ({percent(own['macro_accuracy'])})"
            for name, own in scores[how].items()
            if name != "confusion"
        }
        for how in ("raw", "masked")
    ]
    return table("Accuracy of the domain (mean of domains), by texts in a group", rows)
