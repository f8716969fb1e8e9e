"""Figure 4 (what a word is in each domain), masked names, and speed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..benchmark.table import text_counts
from . import draw
from .data import Metrics, f1, percent, points
from .page import Figure, Missing, Part, Section, Table, sources

__all__ = ["section"]

COLORS = {
    "O": "#f4f4f4",
    "LOC": "#9fd3a8",
    "ORG": "#9cc3e6",
    "POG": "#c9b1e0",
    "PER": "#f6c79b",
    "FAC": "#d8d38b",
    "PRO": "#f0a8b9",
    "EVE": "#8fd6d2",
    "NAT": "#e6e06f",
    "MISC": "#c8c8c8",
}


def _ambiguity(metrics: Metrics, out: Path) -> list[Part]:
    report = metrics.read("ambiguity")
    if report is None:
        return [Missing("Figure 4", "python -m spacy project run analyse")]
    own, gold = report["own"], report["gold"]
    rows = [(f"{row['word']}: {row['text']}", row["labels"]) for row in own["sentences"]]
    draw.label_map(out, "ambiguity", rows, COLORS)
    caption = (
        f"Figure 4. {len(rows)} sentences of our own, each tagged under every domain: the label "
        f"of the word in front of the colon. In {own['divided']} of them the domains disagree."
    )
    labels = sorted({label for counts in own["labels"].values() for label in counts})
    counts = [
        [domain, *(str(found.get(label, "")) for label in labels)]
        for domain, found in own["labels"].items()
    ]
    columns = ("mentions", "dominant", "right", "other", "missed")
    names = [
        [domain, *(str(row[column]) for column in columns)]
        for domain, row in {**gold["per_domain"], "all": gold["all"]}.items()
    ]
    return [
        Figure("ambiguity", caption, sources(report)),
        Table(
            "In how many of these sentences each domain says what",
            ["domain", *labels],
            counts,
            sources(report),
        ),
        Table(
            f"{gold['names']} names of the test part that have two or more types in gold: "
            "mentions; how many have the commonest type of their name in their domain; and what "
            "the pipeline, told the domain, says (the right type, another one, not this span)",
            ["domain", *columns],
            names,
            sources(report),
        ),
    ]


def _masked(metrics: Metrics) -> list[Part]:
    systems = {
        "shipped": ("masked_names", "python -m spacy project run analyse"),
        "general": ("masked_names_general", "python -m spacy project run general-masked"),
    }
    parts: list[Part] = []
    rows: list[list[str]] = []
    reports = []
    for title, (name, command) in systems.items():
        report = metrics.read(name)
        if report is None:
            parts.append(Missing(f"masked names of {title} ({name}.json)", command))
            continue
        reports.append(report)
        difference = report["difference"]
        for domain, after in report["after"]["per_domain"].items():
            entry = difference["per_domain"][domain]
            rows.append([title, domain, f1(report["before"]["per_domain"][domain]), f1(after)])
            rows[-1].append(_change(entry))
        for macro, entry in difference["macro"].items():
            cells = [percent(entry["b"]), percent(entry["a"]), _change(entry)]
            rows.append([title, f"macro, {macro}", *cells])
    if rows:
        columns = ["system", "domain", "names as they are", "invented names", "difference"]
        title = (
            "Masked names: test F1 before and after every word of every entity is replaced by an "
            "invented one of the same shape; what is lost was memory of names, not context"
        )
        parts.insert(0, Table(title, columns, rows, sources(*reports)))
    return parts


def _change(entry: Mapping[str, Any]) -> str:
    if entry["difference"] is None or not entry["interval"]:
        return "–"
    low, high = entry["interval"]
    return f"{points(entry['difference'])} ({points(low)} to {points(high)})"


def _speed(root: Metrics) -> list[Part]:
    report = root.read("speed")
    if report is None or "systems" not in report:
        return [Missing("speed", "python -m spacy project run benchmark")]
    rows = [
        [
            name,
            own["note"],
            f"{own['texts_per_second']:.1f}",
            f"{own['pieces_per_second']:,.0f}",
            f"{own['ratio']:.2f}",
        ]
        for name, own in report["systems"].items()
    ]
    n, _ = text_counts(report)
    title = (
        f"Speed on {n} texts, {report['threads']} threads, medians of "
        f"{report['rounds']} rounds; the last column is time over that of the bare core in bf16"
    )
    columns = ["system", "what it does", "texts/s", "pieces/s", "time"]
    return [Table(title, columns, rows, sources(report))]


def section(metrics: Metrics, root: Metrics, out: Path) -> list[Section]:
    """metrics, root (Metrics): Of a corpus; of none, as metrics/speed.json.
    RETURNS (list[Section]): Figure 4, masked names, speed.
    """
    return [
        Section("Figure 4: one word, many labels", _ambiguity(metrics, out)),
        Section("Masked names", _masked(metrics)),
        Section("Speed", _speed(root)),
    ]
