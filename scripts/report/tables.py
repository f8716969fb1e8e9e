"""The tables, as frames of text, each with the files that it is from."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..domains import HEADS
from ..record import cite

__all__ = ["TABLES", "Metrics", "Table", "f1", "percent", "points", "span"]

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
    "shipped, detected, raw text": ("groups", "raw_detected"),
    "CRF": ("crf", "single"),
    "CRF, with dev": ("crf_refit", "single"),
}
"""Title -> file, and which of its scores."""


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

    def find(self, pattern: str) -> dict[str, dict[str, Any]]:
        """RETURNS (dict): Name -> report, of all files of a pattern, by name."""
        paths = sorted((self.folder / self.corpus).glob(f"{pattern}.json"))
        return {path.stem: json.loads(path.read_text(encoding="utf8")) for path in paths}

    def systems(self) -> dict[str, tuple[Scores, dict[str, Any]]]:
        """RETURNS (dict): Title of a system -> scores and report, of what is there."""
        reports = {title: self.read(name) for title, (name, _) in SYSTEMS.items()}
        return {
            title: (report[mode], report)
            for title, (_, mode) in SYSTEMS.items()
            if (report := reports[title]) is not None and mode in report
        }


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


def percent(share: float | None, digits: int = 1) -> str:
    """RETURNS (str): As 71.3, or a dash for what is not known."""
    return "–" if share is None else f"{100 * share:.{digits}f}"


def points(difference: float | None) -> str:
    """RETURNS (str): As +1.3 or −0.4."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def span(entry: Scores, key: str = "interval") -> str:
    """RETURNS (str): The interval of a difference, as −0.4 to +1.3."""
    return " to ".join(map(points, entry[key])) if entry[key] else "–"


def f1(scores: Scores | None) -> str:
    """RETURNS (str): F1 and its interval, as 71.3 (65.0-76.8)."""
    if scores is None or scores["f"] is None:
        return "–"
    if not scores.get("f_interval"):
        return percent(scores["f"])
    low, high = scores["f_interval"]
    return f"{percent(scores['f'])} ({percent(low)}-{percent(high)})"


def _single(report: Scores) -> Any:
    """The scores of a report that is told its domains."""
    return report["given" if "given" in report else "single"]


def _of_head(scores: Scores, head: str) -> Any:
    return scores.get("macro_by_head", {}).get(head)


def domains(m: Metrics) -> Table | None:
    """F1 of every system by domain."""
    systems = m.systems()
    if "shipped" not in systems:
        return None
    every = dict.fromkeys(name for own, _ in systems.values() for name in own["per_domain"])
    rows: list[Row] = [
        {
            "": name,
            **{title: f1(own["per_domain"].get(name)) for title, (own, _) in systems.items()},
        }
        for name in every
    ]
    for title, head in (
        ("macro of the ten channels", "social"),
        ("macro of news, tweet", "formal"),
    ):
        rows.append({"": title, **{t: f1(_of_head(own, head)) for t, (own, _) in systems.items()}})
    for key in ("macro", "micro"):
        rows.append({"": f"{key} of all", **{t: f1(own[key]) for t, (own, _) in systems.items()}})
    return Table(rows, *(report for _, report in systems.values()))


def entities(m: Metrics) -> Table | None:
    """Micro and macro F1: ours with domains given and detected, beside one model for all."""
    ours, general = m.read("pretrained") or m.read("evaluate"), m.read("general")
    if ours is None:
        return None
    systems = {"adapters, domain given": ours["given"], "adapters, detected": ours["detected"]}
    if general and general["single"]["per_domain"].keys() == ours["given"]["per_domain"].keys():
        systems["general: one model per head"] = general["single"]
    if (lora := m.read("multi_lora")) is not None:
        systems["adapters of the train part alone, domain given"] = lora["given"]
    rows = [
        {"system": name, "micro F1": f1(own["micro"]), "macro F1": f1(own["macro"])}
        for name, own in systems.items()
    ]
    return Table(rows, ours, general, lora)


def detectors(m: Metrics) -> tuple[dict[str, Scores], list[Any]]:
    """RETURNS (tuple): Detector -> scores; and the reports."""
    ours, baseline = m.read("pretrained") or m.read("evaluate"), m.read("baseline")
    found: dict[str, Scores] = {}
    if ours and "detector" in ours:
        found["adapter on the core"] = ours["detector"]
    if baseline:
        found["TF-IDF"] = baseline["tfidf"]
    bow = m.read("bow")
    if bow:
        found["bag of words"] = bow["detector"]
    return found, [ours, baseline, bow]


def detection(m: Metrics) -> Table | None:
    """Accuracy of the domain by size of group, raw and masked, and by the corpus's own threads."""
    found, reports = detectors(m)
    rows = []
    for title, scores in found.items():
        for how in ("raw", "masked"):
            own = scores[how]
            sizes = {f"{size} texts": percent(own[size]["accuracy"]) for size in SIZES}
            threads = percent(own["threads"]["accuracy"]) if "threads" in own else "–"
            rows.append({"detector": title, "texts are": how, **sizes, "threads": threads})
    return Table(rows, *reports) if rows else None


def groups(m: Metrics) -> Table | None:
    """F1 of the whole pipeline with domains given and detected, by size of group."""
    report = m.read("groups")
    if report is None:
        return None
    modes = {"given": report["given"]}
    modes |= {f"detected, groups of {size}": own for size, own in report["detected"].items()}
    modes |= {"raw text, given": report["raw_given"]}
    modes |= {"raw text, detected, groups of 8": report["raw_detected"]}
    rows = [
        {
            "domains": name,
            "right, %": percent(own["domain_acc"]) if "domain_acc" in own else "",
            "micro F1": f1(own["micro"]),
            "macro F1": f1(own["macro"]),
        }
        for name, own in modes.items()
    ]
    return Table(rows, report)


def seeds(m: Metrics) -> Table | None:
    """One setting, trained from nothing with several seeds."""
    reports = m.find("seed[0-9]")
    scores = {name: _single(report) for name, report in reports.items()}
    if len(scores) < 2:
        return None
    columns = {
        name: {d: own["f"] for d, own in scores_of["per_domain"].items()}
        | {"macro of the ten channels": scores_of["macro_by_head"]["social"]["f"]}
        for name, scores_of in scores.items()
    }
    frame = pd.DataFrame(columns).dropna()
    frame = frame.assign(mean=frame.mean(axis=1), deviation=frame.std(axis=1))
    rows = [{"domain": name, **own.map(percent)} for name, own in frame.iterrows()]
    return Table(rows, *reports.values())


def folds(m: Metrics) -> Table | None:
    """ARMAN by fold, each trained on alone."""
    reports = {f"fold {n}": m.read(f"fold{n}") for n in (1, 2, 3)}
    rows = [
        {"fold": name, "F1": f1(_single(report)["per_domain"]["news"])}
        for name, report in reports.items()
        if report is not None
    ]
    return Table(rows, *reports.values()) if rows else None


def comparisons(m: Metrics) -> Table | None:
    """Paired bootstraps."""
    reports = m.find("compare_*")
    rows = []
    for name, report in reports.items():
        macros = {f"macro, {key}": own for key, own in report["macro"].items()}
        formal = {key: own for key, own in report["per_domain"].items() if key in HEADS["formal"]}
        real = [
            f"{domain} {points(own['difference'])}"
            for domain, own in report["per_domain"].items()
            if domain in HEADS["social"] and own["p"] is not None and own["p"] < 0.05
        ]
        for what, own in {**formal, **macros}.items():
            rows.append(
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
            )
    return Table(rows, *reports.values()) if rows else None


def sizes(m: Metrics) -> Table | None:
    """Table 2: parameters and megabytes of each system."""
    report = m.read("sizes")
    if report is None:
        return None
    rows = [
        {
            "core": core["title"],
            "system": name,
            "one domain": f"{own['parameters'] / 1e6:.1f}",
            "all": f"{own['parameters_for_domains'] / 1e6:,.1f}",
            "trained": percent(own["trained_share"], 2),
            "MB": f"{own['megabytes_per_further_domain']:.2f}",
        }
        for core in report["cores"].values()
        for name, own in core["systems"].items()
    ]
    return Table(rows, report)


def ambiguity(m: Metrics) -> Table | None:
    """Names of two or more types in gold: what the pipeline makes of them."""
    report = m.read("ambiguity")
    if report is None:
        return None
    gold = report["gold"]
    rows = [{"domain": d, **own} for d, own in {**gold["per_domain"], "all": gold["all"]}.items()]
    return Table(rows, report)


def masked(m: Metrics) -> Table | None:
    """F1 before and after all names are invented ones."""
    files = {"shipped": "masked_names", "general": "masked_names_general"}
    reports = {title: own for title, name in files.items() if (own := m.read(name)) is not None}
    rows = [
        {
            "system": title,
            "domain": domain,
            "before": percent(own["b"]),
            "after": percent(own["a"]),
            "difference": f"{points(own['difference'])} ({span(own)})",
        }
        for title, report in reports.items()
        for domain, own in {
            **report["difference"]["per_domain"],
            "macro of all": report["difference"]["macro"]["all"],
        }.items()
    ]
    return Table(rows, *reports.values()) if rows else None


def speed(m: Metrics) -> Table | None:
    """Texts per second of every system, and time over the bare core's."""
    report = m.read("speed")
    if not report or "systems" not in report:
        return None
    rows = [
        {
            "system": name,
            "what it does": own["note"],
            "texts/s": f"{own['texts_per_second']:.1f}",
            "pieces/s": f"{own['pieces_per_second']:,.0f}",
            "time": "{:.2f} ({:.2f}-{:.2f})".format(own["ratio"], *own["ratio_range"]),
        }
        for name, own in report["systems"].items()
    ]
    return Table(rows, report)


def memory(m: Metrics) -> Table | None:
    """Megabytes and seconds to load, by adapter and number of domains."""
    report = m.read("speed")
    if not report or "memory" not in report:
        return None
    rows = [
        {
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
        for adapter, measured in report["memory"].items()
        for n, own in measured["by_domains"].items()
    ]
    return Table(rows, report)


MAKERS: tuple[Callable[[Metrics], Table | None], ...] = (
    domains, entities, detection, groups, seeds, folds, comparisons, sizes, ambiguity, masked,
    speed, memory,
)  # fmt: skip
TABLES = {make.__name__: make for make in MAKERS}
