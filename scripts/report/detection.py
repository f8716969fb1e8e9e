"""Section 5 of the paper: how often the domain is found, at what cost, and what it is worth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..domains import HEADS
from . import draw
from .data import Metrics, f1, percent, points
from .page import Figure, Missing, Part, Section, Table, sources

__all__ = ["detectors", "section"]

SIZES = ("1", "2", "4", "8")


def detectors(metrics: Metrics) -> tuple[dict[str, Mapping[str, Any]], list[dict[str, Any]]]:
    """RETURNS (tuple): Title -> scores by how and size; and the reports."""
    found: dict[str, Mapping[str, Any]] = {}
    reports = []
    ours, baseline = metrics.read("pretrained"), metrics.read("baseline")
    if ours is not None and "detector" in ours:
        found["ours"] = ours["detector"]
        reports.append(ours)
    if baseline is not None:
        reports.append(baseline)
        for name, title in (("tfidf", "tf-idf"), ("bow", "bag of words")):
            if isinstance(baseline.get(name), dict):
                found[title] = baseline[name]
    return found, reports


def _binary(confusion: Mapping[str, Mapping[str, int]]) -> float | None:
    """RETURNS (float): How often formal text (news) is told from informal (tweets): the share of
    their groups whose answer is not the other one of the two.
    """
    rows = {domain: confusion[domain] for domain in HEADS["formal"] if domain in confusion}
    total = sum(n for row in rows.values() for n in row.values())
    wrong = sum(row.get(other, 0) for own, row in rows.items() for other in rows if other != own)
    return 1 - wrong / total if total else None


def _accuracy(metrics: Metrics, out: Path) -> list[Part]:
    found, reports = detectors(metrics)
    parts: list[Part] = []
    if "ours" not in found:
        command = "python -m spacy project run evaluate-pretrained"
        parts.append(Missing("our detector (pretrained.json)", command))
    if "tf-idf" not in found:
        command = "python -m spacy project run baseline-persian"
        parts.append(Missing("tf-idf and bag of words (baseline.json)", command))
    if not found:
        return parts
    rows = []
    for title, scores in found.items():
        for how in ("raw", "masked"):
            own = scores[how]
            cells = [
                f"{percent(own[s]['accuracy'])} ({percent(own[s]['macro_accuracy'])})"
                for s in SIZES
            ]
            threads = percent(own["threads"]["accuracy"]) if "threads" in own else "–"
            rows.append([title, how, *cells, threads, percent(_binary(own["confusion"]))])
    title = (
        "Twelve domains: accuracy over groups of 1, 2, 4, 8 texts (mean of the domains in "
        "brackets), over the corpora's own threads, and of news against tweets (formal against "
        "informal) in groups of 8. Masked: Latin words, digits, hashtags, mentions and URLs are "
        "taken out"
    )
    columns = ["detector", "texts", *SIZES, "threads", "formal/informal, 8"]
    parts.append(Table(title, columns, rows, sources(*reports)))
    series = {
        f"{title}, {how}": {float(s): 100 * scores[how][s]["accuracy"] for s in SIZES}
        for title, scores in found.items()
        for how in ("raw", "masked")
    }
    draw.lines(out, "detection", series, x="texts in a group", y="accuracy, %", log=True)
    parts.append(Figure("detection", "Accuracy by size of the group.", sources(*reports)))
    if "ours" in found:
        for how, size in (("masked", "8"), ("raw", "8")):
            name = f"confusion_{how}"
            matrix = found["ours"][how]["confusion"]
            draw.heat_map(out, name, matrix, x="answer", y="truth")
            caption = f"Our detector, groups of {size}, {how}: numbers of groups."
            parts.append(Figure(name, caption, sources(reports[0])))
    return parts


def _cost(metrics: Metrics) -> list[Part]:
    report = metrics.read("detector_cost")
    if report is None:
        return [Missing("cost of detection", "python -m spacy project run groups")]
    rows = [
        [name, *(f"{own[size]['ms']:.2f}" for size in SIZES)]
        for name, own in report["detectors"].items()
    ]
    title = (
        f"Cost: milliseconds per group, medians of {report['rounds']} rounds in turn over the "
        f"same {report['groups']} groups, {report['threads']} threads"
    )
    columns = ["detector", *(f"{size} texts" for size in SIZES)]
    return [Table(title, columns, rows, sources(report))]


def _pipeline(metrics: Metrics, out: Path) -> list[Part]:
    report = metrics.read("groups")
    if report is None:
        command = "python -m spacy project run groups"
        return [Missing("F1 with detected domains by size of group", command)]
    names = {"micro": "micro", "social": "macro of the ten channels", "all": "macro of all"}
    given = report["given"]
    rows = [["given", "", *(f1(_score(given, name)) for name in names), "", ""]]
    series: dict[str, dict[float, float | None]] = {name: {} for name in names.values()}
    for size, own in report["detected"].items():
        macro = report["difference"][size]["macro"]
        cells = [
            f"{points(macro[key]['difference'])} ({points(macro[key]['interval'][0])} to "
            f"{points(macro[key]['interval'][1])})"
            for key in ("social", "all")
            if key in macro
        ]
        rows.append(
            [
                f"detected, groups of {size}",
                percent(own["domain_acc"]),
                *(f1(_score(own, name)) for name in names),
                *cells,
            ]
        )
        for name, title in names.items():
            series[title][float(size)] = 100 * _score(own, name)["f"]
    title = "The whole pipeline: test F1 with domains given and detected, by texts in a group"
    columns = ["domains", "texts with the right one, %", *names.values()]
    columns += ["detected − given, channels", "detected − given, all"]
    flat = {
        f"{title}, given": {
            float(size): 100 * _score(given, name)["f"] for size in report["detected"]
        }
        for name, title in names.items()
    }
    draw.lines(out, "groups", {**series, **flat}, x="texts in a group", y="test F1", log=True)
    caption = "F1 of the whole pipeline by size of the group, domains given and detected."
    return [
        Table(title, columns, rows, sources(report)),
        Figure("groups", caption, sources(report)),
    ]


def _score(scores: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if name == "social":
        found: Mapping[str, Any] = scores["macro_by_head"]["social"]
    else:
        found = scores["micro" if name == "micro" else "macro"]
    return found


def section(metrics: Metrics, out: Path) -> list[Section]:
    """RETURNS (list[Section]): Accuracy and cost; the whole pipeline."""
    return [
        Section("Domain detection", [*_accuracy(metrics, out), *_cost(metrics)]),
        Section("Detected against given domains", _pipeline(metrics, out)),
    ]
