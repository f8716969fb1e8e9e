"""The tables, as frames of text, each with the files that it is from."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ..domains import HEADS
from ..record import cite, f1, percent, points, span

__all__ = ["TABLES", "Metrics", "Table"]

Scores = Mapping[str, Any]
Row = dict[str, Any]
SIZES = ("1", "2", "4", "8")
SYSTEMS = {
    "shipped": ("pretrained", "given"),
    "shipped, detected": ("pretrained", "detected"),
    "general": ("general", "single"),
    "special": ("special", "single"),
    "LoRA": ("multi_lora", "given"),
    "prefix": ("multi_prefix", "given"),
    "CRF": ("crf", "single"),
    "CRF, with dev": ("crf_refit", "single"),
    "chatbot": ("llm", "zero_shot"),
    "chatbot, few-shot": ("llm", "few_shot"),
}
"""Title -> file, and which of its scores."""


PUBLISHED = "67.8 and 55.7"
"""ChatGPT's F1 in table 3 of the paper."""
COUNTS = {
    "tokens in": "prompt_tokens",
    "tokens out": "completion_tokens",
    "unreadable": "unreadable",
}
"""Column -> what the command `llm` counts."""


@dataclass(frozen=True)
class Metrics:
    """A folder of JSON files; a corpus has a folder in it."""

    folder: Path
    corpus: str = "persian"

    def read(self, name: str) -> dict[str, Any] | None:
        """RETURNS (dict): What stands in the corpus's, or else the folder's own, name.json."""
        for path in (self.folder / self.corpus / f"{name}.json", self.folder / f"{name}.json"):
            if path.is_file():
                report: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
                return report
        return None

    def find(self, pattern: str, room: str | None = None) -> dict[str, dict[str, Any]]:
        """RETURNS (dict): Name -> report, by name. room (str): Folder; None is the corpus's."""
        paths = sorted((self.folder / (room or self.corpus)).glob(f"{pattern}.json"))
        return {path.stem: json.loads(path.read_text(encoding="utf8")) for path in paths}

    def some(self, names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """RETURNS (dict): Title -> report, of those that are there. names (Mapping): Title ->
        name.
        """
        found = {title: self.read(name) for title, name in names.items()}
        return {title: report for title, report in found.items() if report is not None}

    def systems(self) -> dict[str, tuple[Scores, dict[str, Any]]]:
        """RETURNS (dict): Title of a system -> scores and report, of what is there."""
        reports = self.some({title: name for title, (name, _) in SYSTEMS.items()})
        modes = {title: SYSTEMS[title][1] for title in reports}
        return {t: (own[modes[t]], own) for t, own in reports.items() if modes[t] in own}


class Table:
    """A frame of text, and where it is from."""

    def __init__(self, rows: list[Row], *reports: Mapping[str, Any] | None):
        self.frame = pd.DataFrame(rows).fillna("")
        self.sources = list(dict.fromkeys(cite(own) for own in reports if own is not None))

    def html(self) -> str:
        """RETURNS (str): For the page."""
        return str(self.frame.to_html(index=False, border=0))

    def markdown(self) -> str:
        """RETURNS (str): For README and docs."""
        rows = [list(self.frame.columns), ["---"] * self.frame.shape[1], *self.frame.to_numpy()]
        return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _single(report: Scores) -> Any:
    """The scores of a report that is told its domains."""
    return report["given" if "given" in report else "single"]


Made = tuple[list[Row], Sequence[Mapping[str, Any] | None]]
"""Rows and the reports that they are from; no rows where something was not measured."""


def domains(m: Metrics) -> Made:
    """F1 of every system by domain."""
    systems = m.systems()
    scores = {title: own for title, (own, _) in systems.items()} if "shipped" in systems else {}
    every = dict.fromkeys(name for own in scores.values() for name in own["per_domain"])
    rows = {name: {t: own["per_domain"].get(name) for t, own in scores.items()} for name in every}
    for title, head in (("the ten channels", "social"), ("news, tweet", "formal")):
        by_head = {t: own.get("macro_by_head", {}).get(head) for t, own in scores.items()}
        rows[f"macro of {title}"] = by_head
    for key in ("macro", "micro"):
        rows[f"{key} of all"] = {t: own[key] for t, own in scores.items()}
    made = [{"": name, **{t: f1(x) for t, x in own.items()}} for name, own in rows.items()]
    return made if scores else [], [report for _, report in systems.values()]


def entities(m: Metrics) -> Made:
    """Micro and macro F1: ours with domains given and detected, beside one model for all."""
    ours, general, lora = m.read("pretrained") or m.read("evaluate"), m.read("general"), None
    if ours is None:
        return [], []
    systems = {"adapters, domain given": ours["given"], "adapters, detected": ours["detected"]}
    if general and general["single"]["per_domain"].keys() == ours["given"]["per_domain"].keys():
        systems["general: one model per head"] = general["single"]
    if (lora := m.read("multi_lora")) is not None:
        systems["adapters of the train part alone, domain given"] = lora["given"]
    rows = [
        {"system": name, "micro F1": f1(own["micro"]), "macro F1": f1(own["macro"])}
        for name, own in systems.items()
    ]
    return rows, (ours, general, lora)


def chatbot(m: Metrics) -> Made:
    """A chatbot, zero-shot and few-shot, and what it cost, between ours and the published one."""
    if (ours := m.read("pretrained")) is None:
        return [], []
    report = m.read("llm")
    rows = [{"system": "adapters, domain given", **_by_head(ours["given"])}]
    for mode in ("zero-shot", "few-shot"):
        row = {"system": f"chatbot, {mode}", "F1": "not run here"}
        if report:
            own = report[mode.replace("-", "_")]
            row = {"system": f"{report['model']}, {mode}", **_by_head(own)}
            row |= {what: f"{own['counts'].get(key, 0):,}" for what, key in COUNTS.items()}
            row["no answer"] = f"{sum(own['failures'].values()):,}"
        rows.append(row)
    return [*rows, {"system": "ChatGPT, as published", "F1": PUBLISHED}], [ours, report]


def _by_head(scores: Scores) -> Row:
    macros = scores["macro_by_head"].items()
    return {"F1": f1(scores["micro"]), **{f"macro of {k}": f1(own) for k, own in macros}}


def detectors(m: Metrics) -> tuple[dict[str, Scores], list[Any]]:
    """RETURNS (tuple): Detector -> scores; and the reports."""
    ours, baseline, bow = (m.read(n) for n in ("pretrained", "baseline", "bow"))
    ours = ours or m.read("evaluate")
    found = {
        "adapter on the core": (ours or {}).get("detector"),
        "TF-IDF": (baseline or {}).get("tfidf"),
        "bag of words": (bow or {}).get("detector"),
    }
    return {title: own for title, own in found.items() if own}, [ours, baseline, bow]


def detection(m: Metrics) -> Made:
    """Accuracy of the domain by size of group, raw and masked, and by the corpus's own threads."""
    found, reports = detectors(m)
    sizes = {**{size: f"{size} texts" for size in SIZES}, "threads": "threads"}
    rows = [
        {
            "detector": title,
            "texts are": how,
            **{own: percent(scores[how].get(n, {}).get("accuracy")) for n, own in sizes.items()},
        }
        for title, scores in found.items()
        for how in ("raw", "masked")
    ]
    return rows, reports


def outside_domains(m: Metrics) -> Made:
    """Domains of texts that are of no corpus: the detector's beside the paper's, by style."""
    report = m.read("detection")
    kinds = {"mixture": "shipped", "classifier": "the paper's classifier"}
    rows = [
        {
            "detector": kinds[name],
            "texts in a group": size,
            "right": f"{own['n_right']} of {own['n_groups']}",
            "%": percent(own["accuracy"]),
            **own["right_by_style"],
            "calibration error": f"{own['calibration_error']:.3f}",
            "in the corpora, %": percent(scores["corpora"][size]["accuracy"]),
        }
        for name, scores in (report or {"detectors": {}})["detectors"].items()
        for size, own in scores["outside"].items()
    ]
    return rows, [report]


def _tries(m: Metrics) -> dict[str, Any]:
    """RETURNS (dict): Name -> row of what was tried for names outside."""
    rows = (m.read("outside") or {}).get("rows", {})
    return {name: {"split": "outside dev", **own} for name, own in rows.items()}


def outside_names(m: Metrics) -> Made:
    """F1 of people, places and organisations of no corpus, by type, style and domain."""
    if (report := _tries(m).get("shipped")) is None:
        return [], []
    modes = {"domain given": report["given"], "domain detected": report["detected"]}
    rows = [{"": "all", **{mode: f1(own["micro"]) for mode, own in modes.items()}}]
    for key in ("per_type", "per_style", "per_domain"):
        for name in report["given"][key]:
            rows.append({"": name, **{mode: f1(own[key][name]) for mode, own in modes.items()}})
    return rows, [report]


def outside_tries(m: Metrics) -> Made:
    """What was tried for names outside."""
    rows = [
        {"adapters": own["what"]}
        | {f"domain {k}": f1(own[k]["micro"]) for k in ("given", "detected") if k in own}
        for own in _tries(m).values()
    ]
    return rows, list(_tries(m).values())


def outside_errors(m: Metrics) -> Made:
    """Texts of no corpus in which what is shipped goes wrong."""
    report = _tries(m).get("shipped", {})
    rows = [
        {"domain, style": f"{own['domain']}, {own['style']}", "text": own["text"]}
        | {key: "، ".join(map(" ".join, own[key])) for key in ("missed", "wrong")}
        for own in report.get("errors", [])
    ]
    return rows, [report]


def seeds(m: Metrics) -> Made:
    """One setting, trained from nothing with several seeds."""
    reports = m.find("seed[0-9]")
    scores = {name: _single(report) for name, report in reports.items()}
    columns = {
        name: {d: own["f"] for d, own in scores_of["per_domain"].items()}
        | {"macro of the ten channels": scores_of["macro_by_head"]["social"]["f"]}
        for name, scores_of in scores.items()
    }
    frame = pd.DataFrame(columns).dropna()
    frame = frame.assign(mean=frame.mean(axis=1), deviation=frame.std(axis=1))
    rows = [{"domain": name, **own.map(percent)} for name, own in frame.iterrows()]
    return rows if len(scores) > 1 else [], list(reports.values())


def folds(m: Metrics) -> Made:
    """ARMAN by fold, each trained on alone."""
    reports = m.some({f"fold {n}": f"fold{n}" for n in (1, 2, 3)})
    news = {name: _single(report)["per_domain"]["news"] for name, report in reports.items()}
    return [{"fold": name, "F1": f1(own)} for name, own in news.items()], list(reports.values())


def comparisons(m: Metrics) -> Made:
    """Paired bootstraps."""
    reports = m.find("compare_*")
    rows = []
    for name, report in reports.items():
        formal = {key: own for key, own in report["per_domain"].items() if key in HEADS["formal"]}
        macros = {f"macro, {key}": own for key, own in report["macro"].items()}
        real = [
            f"{domain} {points(own['difference'])}"
            for domain, own in report["per_domain"].items()
            if domain in HEADS["social"] and own["p"] is not None and own["p"] < 0.05
        ]
        rows += [
            {
                "A − B": name.removeprefix("compare_").replace("_", " − "),
                "of": what,
                "A": percent(own["a"]),
                "B": percent(own["b"]),
                "difference": points(own["difference"]),
                "interval": span(own),
                "p": f"{own['p']:.4f}" if own["p"] is not None else "–",
                "channels, p < 0.05": ", ".join(real) if what == "macro, social" else "",
            }
            for what, own in {**formal, **macros}.items()
        ]
    return rows, list(reports.values())


def sizes(m: Metrics) -> Made:
    """Table 2: parameters and megabytes of each system."""
    report = m.read("sizes")
    rows = [
        {
            "core": core["title"],
            "system": name,
            "one domain": f"{own['parameters'] / 1e6:.1f}",
            "all": f"{own['parameters_for_domains'] / 1e6:,.1f}",
            "trained": percent(own["trained_share"], 2),
            "MB": f"{own['megabytes_per_further_domain']:.2f}",
        }
        for core in (report or {"cores": {}})["cores"].values()
        for name, own in core["systems"].items()
    ]
    return rows, [report]


def ambiguity(m: Metrics) -> Made:
    """Names of two or more types in gold: what the pipeline makes of them."""
    if (report := m.read("ambiguity")) is None:
        return [], []
    lines = {**report["gold"]["per_domain"], "all": report["gold"]["all"]}
    return [{"domain": name, **own} for name, own in lines.items()], [report]


def masked(m: Metrics) -> Made:
    """F1 before and after all names are invented ones."""
    reports = m.some({"shipped": "masked_names", "general": "masked_names_general"})
    rows = []
    for title, report in reports.items():
        found = report["difference"]
        lines = {**found["per_domain"], "macro of all": found["macro"]["all"]}
        rows += [
            {
                "system": title,
                "domain": domain,
                "before": percent(own["b"]),
                "after": percent(own["a"]),
                "difference": f"{points(own['difference'])} ({span(own)})",
            }
            for domain, own in lines.items()
        ]
    return rows, list(reports.values())


def speed(m: Metrics) -> Made:
    """Texts per second of every system on every processor, and time over the bare core's."""
    reports = m.find("*", "speed")
    rows: dict[str, Row] = {}
    for processor, report in reports.items():
        for name, own in report["systems"].items():
            row = rows.setdefault(name, {"system": name, "what it does": own["note"]})
            row[f"texts/s, {processor}"] = f"{own['texts_per_second']:.1f}"
            ratios = own["ratio"], *own["ratio_range"]
            row[f"time, {processor}"] = "{:.2f} ({:.2f}-{:.2f})".format(*ratios)
    return list(rows.values()), list(reports.values())


def latency(m: Metrics) -> Made:
    """Milliseconds of one text by itself, and texts per second by `batch_size`."""
    reports = m.find("*", "speed")
    rows = [
        {
            "processor": processor,
            "system": name,
            "p50, ms": f"{own['p50_ms']:.1f}",
            "p99, ms": f"{own['p99_ms']:.1f}",
            **{f"texts/s in {n}s": f"{x:.1f}" for n, x in own["texts_per_second"].items()},
        }
        for processor, report in reports.items()
        for name, own in report.get("latency", {}).items()
    ]
    return rows, [report for report in reports.values() if report.get("latency")]


def memory(m: Metrics) -> Made:
    """Megabytes and seconds to load, by processor, adapter and number of domains."""
    reports = m.find("*", "speed")
    rows = [
        {
            "processor": processor,
            "adapter, domains": f"{adapter} {n}",
            "import + blank + load, s": " + ".join(
                f"{own['seconds'][step]:.1f}" for step in ("import", "blank", "load")
            ),
            "loaded": f"{own['resident_mb']['load']:,.0f}",
            "after tagging": f"{own['resident_mb']['tag']:,.0f}",
            "peak": f"{own['peak_mb']:,.0f}",
            "on disk": f"{own['disk_mb']:,.1f}",
            "per further domain": f"{measured.get('disk_mb_per_domain', 0):.2f}",
        }
        for processor, report in reports.items()
        for adapter, measured in report.get("memory", {}).items()
        for n, own in measured["by_domains"].items()
    ]
    return rows, [report for report in reports.values() if report.get("memory")]


def _table(make: Callable[[Metrics], Made], m: Metrics) -> Table | None:
    rows, reports = make(m)
    return Table(rows, *reports) if rows else None


MAKERS: tuple[Callable[[Metrics], Made], ...] = (
    domains, entities, chatbot, detection, outside_domains, outside_names, outside_tries,
    outside_errors, seeds, folds, comparisons, sizes, ambiguity, masked, speed, latency, memory,
)  # fmt: skip
TABLES = {make.__name__: partial(_table, make) for make in MAKERS}
"""Name -> makes the table, or None where nothing was measured."""
