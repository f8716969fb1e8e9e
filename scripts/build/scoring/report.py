"""The scores of entities and detectors as tables for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from ...record import table


def _f(scores: Mapping[str, Any] | None) -> str:
    if scores is None or scores["f"] is None:
        return "-"
    low, high = scores["f_interval"]
    return f"{100 * scores['f']:.1f} [dim]({100 * low:.1f}-{100 * high:.1f})[/dim]"


def entity_table(modes: Mapping[str, Mapping[str, Any]]) -> Table:
    """F1 of each domain and type, with intervals."""
    rows = []
    for kind in ("per_domain", "per_type"):
        for name in dict.fromkeys(name for own in modes.values() for name in own[kind]):
            found = {title: own[kind].get(name) for title, own in modes.items()}
            some = next(own for own in found.values() if own)
            counts = {"docs": some.get("n_docs", ""), "entities": some.get("n_entities", "")}
            rows.append({"": name, **counts, **{title: _f(own) for title, own in found.items()}})
    for name in ("micro", "macro"):
        rows.append({"": name, **{title: _f(own[name]) for title, own in modes.items()}})
    by_head = {title: own.get("macro_by_head", {}) for title, own in modes.items()}
    for name in dict.fromkeys(name for own in by_head.values() for name in own):
        cells = {title: _f(own.get(name)) for title, own in by_head.items()}
        rows.append({"": f"macro, {name}", **cells})
    return table("F1 of entities (95% interval)", rows)


def detector_table(detectors: Mapping[str, Mapping[str, Any]]) -> Table:
    """Accuracy by size of groups."""
    rows = [
        {
            "": f"{title}, {how}",
            **{
                name: f"{100 * own['accuracy']:.1f} ({100 * own['macro_accuracy']:.1f})"
                for name, own in scores[how].items()
                if name != "confusion"
            },
            "ms": scores[how]["8"]["ms_per_group"] if "8" in scores[how] else None,
        }
        for title, scores in detectors.items()
        for how in ("raw", "masked")
    ]
    title = "Accuracy of the domain (mean of domains), by texts in a group; ms per group of 8"
    return table(title, rows)
