"""Tables 1 and 3: entity F1 of every system by domain, which differences are real, what others
have published, and the leak of ARMAN.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from . import draw
from .data import CHANNELS, Metrics, f1, mode_of, percent, points, scores_of
from .page import Figure, Missing, Part, Section, Table, Text, sources

__all__ = ["PUBLISHED", "SYSTEMS", "section"]

Report = Mapping[str, Any]

SYSTEMS = {
    "general": ("general", "", "python -m spacy project run general . --vars.corpus persian"),
    "special": ("special", "", "python -m spacy project run special . --vars.corpus persian"),
    "multi-lora": (
        "multi_lora",
        "",
        "python -m spacy project run multi-lora . --vars.corpus persian",
    ),
    "multi-prefix": (
        "multi_prefix",
        "",
        "python -m spacy project run multi-prefix . --vars.corpus persian",
    ),
    "CRF": ("crf", "", "python -m spacy project run crf"),
    "CRF, with dev": ("crf_refit", "", "python -m spacy project run crf"),
    "shipped (with dev), domain given": (
        "pretrained",
        "given",
        "python -m spacy project run evaluate-pretrained",
    ),
    "shipped, detected": (
        "pretrained",
        "detected",
        "python -m spacy project run evaluate-pretrained",
    ),
    "shipped, raw text, given": ("groups", "raw_given", "python -m spacy project run groups"),
    "shipped, raw text, detected": (
        "groups",
        "raw_detected",
        "python -m spacy project run groups",
    ),
}
"""Title -> file, mode, command that makes the file."""

PUBLISHED = (
    ("ARMAN", "65.1", "folds; metric and details of the split not stated in what we have"),
    ("ARMAN, BiLSTM-CRF", "77.5", "folds; metric not stated in what we have"),
    ("ARMAN, Beheshti-NER", "84.0", "split not stated in what we have"),
    ("ARMAN, two further systems", "84.2 and 89.9", "split not stated in what we have"),
    (
        "ARMAN, several systems",
        "near 99",
        "folds joined: every test sentence is also in train (see the leak below)",
    ),
    ("ParsTwiNER, fine-tuned BERT", "81.5 to 82", "the corpus's own test part, 768-wide core"),
    ("ParsTwiNER, the paper's general", "75.4", "the corpus's own test part, ParsBERT"),
    ("ParsTwiNER, the paper's prefix", "83.1", "the corpus's own test part, ParsBERT"),
    (
        "ParsNER-social, Stanford CRF",
        "61.9 to 69.2",
        "three folds over all channels, not by channel; there is no official split by domain",
    ),
)
"""What, F1, what is known of metric and split (from the project's facts)."""


def _systems(metrics: Metrics) -> tuple[dict[str, tuple[Report, dict[str, Any]]], list[Part]]:
    """RETURNS (tuple): Title -> scores and report, of what is there; and what is not."""
    found: dict[str, tuple[Report, dict[str, Any]]] = {}
    missing: list[Part] = []
    for title, (name, wanted, command) in SYSTEMS.items():
        report = metrics.read(name)
        if report is None or mode_of(report, wanted) not in report:
            missing.append(Missing(f"{title} ({name}.json)", command))
        else:
            found[title] = (scores_of(report, wanted), report)
    return found, missing


def _domain_table(found: Mapping[str, tuple[Report, dict[str, Any]]]) -> Table:
    rows = []
    for domain in dict.fromkeys(d for scores, _ in found.values() for d in scores["per_domain"]):
        counts = next(
            s["per_domain"][domain] for s, _ in found.values() if domain in s["per_domain"]
        )
        cells = [f1(scores["per_domain"].get(domain)) for scores, _ in found.values()]
        size = f"{counts['n_docs']} / {counts['n_entities']}"
        rows.append([domain, size, *cells])
    for title, key in (
        ("macro of the ten channels", "social"),
        ("macro of news, tweet", "formal"),
    ):
        cells = [f1(s.get("macro_by_head", {}).get(key)) for s, _ in found.values()]
        rows.append([title, "", *cells])
    rows.append(["macro of all", "", *(f1(scores["macro"]) for scores, _ in found.values())])
    rows.append(["micro of all", "", *(f1(scores["micro"]) for scores, _ in found.values())])
    title = (
        "Tables 1 and 3. Test F1, strict spans, micro over a domain's entities, 95 % bootstrap "
        "intervals over texts. news is ARMAN fold 1, tweet ParsTwiNER's own test part, the ten "
        "channels our split by posts; words are the corpora's own but for raw text. What is "
        "shipped was trained on train and dev; the others chose their checkpoint on dev"
    )
    columns = ["domain", "texts / entities", *found]
    return Table(title, columns, rows, sources(*(report for _, report in found.values())))


def _domain_plot(found: Mapping[str, tuple[Report, dict[str, Any]]], out: Path) -> Figure:
    def interval(scores: Report | None) -> draw.Interval | None:
        if scores is None or scores["f"] is None or not scores["f_interval"]:
            return None
        low, high = scores["f_interval"]
        return scores["f"], low, high

    shown = {title: own for title, own in found.items() if "raw text" not in title}
    series = {
        title: {
            **{domain: interval(own) for domain, own in scores["per_domain"].items()},
            "ten channels": interval(scores.get("macro_by_head", {}).get("social")),
        }
        for title, (scores, _) in shown.items()
    }
    draw.dots(out, "domains", series, label="test F1, 95 % interval")
    caption = "Test F1 by domain with 95 % intervals."
    return Figure("domains", caption, sources(*(report for _, report in shown.values())))


def _seeds(metrics: Metrics) -> list[Part]:
    """One setting, trained from nothing with several seeds."""
    reports = metrics.find("seed[0-9]")
    if len(reports) < 2:
        command = "python -m spacy project run seeds . --vars.corpus persian"
        return [Missing("three seeds of one setting (seed*.json)", command)]
    scores = [scores_of(report) for report in reports.values()]
    rows = []
    for domain in scores[0]["per_domain"]:
        if all(domain in own["per_domain"] for own in scores):
            rows.append(_spread(domain, [own["per_domain"][domain]["f"] for own in scores]))
    rows.append(
        _spread("macro of the ten channels", [s["macro_by_head"]["social"]["f"] for s in scores])
    )
    title = (
        "The kind of adapter that is shipped, trained once and from nothing with several seeds, "
        "each domain with its head's adapter: test F1, domain given"
    )
    columns = ["domain", *reports, "mean", "standard deviation"]
    return [Table(title, columns, rows, sources(*reports.values()))]


def _spread(name: str, values: list[float]) -> list[str]:
    return [name, *map(percent, values), percent(mean(values)), percent(stdev(values))]


def _folds(metrics: Metrics) -> list[Part]:
    reports = metrics.find("fold[123]")
    if not reports:
        command = "python -m spacy project run folds"
        return [Missing("ARMAN's folds 2 and 3 for the winning kind (fold*.json)", command)]
    if "fold1" not in reports and (same := metrics.read("leak_honest")) is not None:
        reports = {"fold1 (leak_honest)": same, **reports}
    rows = [[name, f1(scores_of(r)["per_domain"]["news"])] for name, r in reports.items()]
    values = [scores_of(r)["per_domain"]["news"]["f"] for r in reports.values()]
    rows.append(["mean", percent(mean(values))])
    return [
        Table(
            "ARMAN by fold, trained on each alone: test F1",
            ["fold", "F1"],
            rows,
            sources(*reports.values()),
        )
    ]


def _comparisons(metrics: Metrics) -> list[Part]:
    reports = metrics.find("compare_*")
    if not reports:
        command = "python -m spacy project run compare-systems"
        return [Missing("paired bootstraps (compare_*.json)", command)]
    rows = []
    for report in reports.values():
        entries = {
            **{d: report["per_domain"][d] for d in ("news", "tweet") if d in report["per_domain"]},
            **{f"macro, {name}": entry for name, entry in report["macro"].items()},
        }
        real = [
            f"{domain} {points(entry['difference'])}"
            for domain, entry in report["per_domain"].items()
            if domain in CHANNELS and entry["p"] is not None and entry["p"] < 0.05
        ]
        for name, entry in entries.items():
            if entry["difference"] is None or not entry["interval"]:
                continue
            low, high = entry["interval"]
            rows.append(
                [
                    f"{_system(report['a'])} − {_system(report['b'])}",
                    name,
                    percent(entry["a"]),
                    percent(entry["b"]),
                    points(entry["difference"]),
                    f"{points(low)} to {points(high)}",
                    f"{entry['p']:.4f}",
                    ", ".join(real) if name == "macro, social" else "",
                ]
            )
    title = (
        "Which differences are real: paired bootstrap over texts, A − B in points of F1 with its "
        "95 % interval; the last column has the single channels with p < 0.05"
    )
    columns = ["A − B", "of", "A", "B", "difference", "interval", "p", "channels"]
    return [Table(title, columns, rows, sources(*reports.values()))]


def _system(own: Report) -> str:
    """RETURNS (str): As pretrained (given)."""
    stem = own["source"].rpartition("/")[2].partition(".json")[0]
    return f"{stem} ({own['mode']})"


def _leak(metrics: Metrics) -> list[Part]:
    leak = metrics.read("arman_leak")
    if leak is None:
        return [Missing("the leak of ARMAN", "python -m spacy project run leak")]
    scored = {"joined": metrics.read("leak_joined"), "honest": metrics.read("leak_honest")}

    def news(which: str) -> str:
        report = scored[which]
        return "not trained yet" if report is None else f1(scores_of(report)["per_domain"]["news"])

    honest = leak["folds"]["1"]
    rows = [
        [
            "folds joined",
            str(leak["joined"]["sentences"]),
            percent(leak["joined"]["same_tokens"]),
            percent(leak["joined"]["entities"]),
            news("joined"),
        ],
        [
            "fold 1, honest",
            str(honest["sentences"]),
            percent(honest["same_tokens"]),
            percent(honest["entities"]),
            news("honest"),
        ],
    ]
    title = "The ARMAN leak: test sentences that are also in train, and the same model on both"
    columns = ["split", "test sentences", "in train, %", "entities in them, %", "test F1"]
    parts: list[Part] = [Table(title, columns, rows, sources(leak, *scored.values()))]
    if None in scored.values():
        parts.append(
            Missing("the same model on both splits", "python -m spacy project run leak-train")
        )
    return parts


def section(metrics: Metrics, out: Path) -> list[Section]:
    """RETURNS (list[Section]): The systems, and the leak."""
    found, missing = _systems(metrics)
    parts: list[Part] = []
    if found:
        parts += [_domain_table(found), _domain_plot(found, out)]
    parts += [*missing, *_seeds(metrics), *_folds(metrics), *_comparisons(metrics)]
    rows = [list(row) for row in PUBLISHED]
    parts += [
        Table("Published F1", ["corpus and system", "F1", "metric and split"], rows, []),
        Text(
            "Published scores are not on our parts: a part of ARMAN's and ParsNER-social's "
            "sentences and of ParsTwiNER's train part is kept back from us for a blind test "
            "(ParsTwiNER's dev and test parts are whole), and the cores are wider than ours (768 "
            "against 384)."
        ),
    ]
    return [
        Section("Tables 1 and 3: systems and domains", parts),
        Section("The ARMAN leak", _leak(metrics)),
    ]
