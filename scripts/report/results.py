"""The README's results: tables made from the JSON files in metrics/ alone."""

import json
from pathlib import Path
from typing import Any

from ..benchmark.table import readme_tables
from ..record import cite

SYSTEMS = {
    "`general`": "general",
    "`special`": "special",
    "LoRA": "multi_lora",
    "prefix": "multi_prefix",
}
"""Title -> file of the other systems."""

START, END = "<!-- RESULTS START (do not remove) -->", "<!-- RESULTS END (do not remove) -->"

__all__ = ["results", "with_results"]


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf8")) if path.exists() else None


def _f(scores: dict[str, Any]) -> str:
    low, high = scores["f_interval"]
    return f"{100 * scores['f']:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _source(*reports: dict[str, Any] | None) -> str:
    """What stands under a table: command, commit, seed and split of each report."""
    lines = [cite(report) for report in reports if report is not None]
    return "From " + "; ".join(lines) + "."


def _ours(metrics: Path) -> dict[str, Any] | None:
    """The pipeline that is shipped, or else the one that was trained."""
    return _read(metrics / "pretrained.json") or _read(metrics / "evaluate.json")


def _domains(metrics: Path) -> list[str]:
    """F1 of each domain of the real corpora, beside the CRF and one model for all."""
    ours, crf = _ours(metrics), _read(metrics / "crf.json")
    if ours is None or crf is None:
        return []
    systems = {"shipped": ours["given"], "shipped, detected": ours["detected"]}
    others = {
        title: report
        for title, name in SYSTEMS.items()
        if (report := _read(metrics / f"{name}.json")) is not None
    }
    systems |= {title: report.get("given") or report["single"] for title, report in others.items()}
    if (groups := _read(metrics / "groups.json")) is not None:
        systems["shipped, detected, raw text"] = groups["raw_detected"]
    systems["CRF"] = crf["single"]
    if (whole := _read(metrics / "crf_refit.json")) is not None:
        systems["CRF, with dev"] = whole["single"]
    lines = ["| | " + " | ".join(systems) + " |", "|---" * (len(systems) + 1) + "|"]
    for name in ours["given"]["per_domain"]:
        cells = [
            _f(scores["per_domain"][name]) if name in scores["per_domain"] else "-"
            for scores in systems.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    cells = [_f(scores["macro_by_head"]["social"]) for scores in systems.values()]
    lines.append("| macro of the ten channels | " + " | ".join(cells) + " |")
    return [
        "Test F1 by domain, strict spans on the corpora's own words, 95 % bootstrap intervals "
        "over texts (`news` is ARMAN fold 1, `tweet` ParsTwiNER's own test part). The shipped "
        "adapters were trained on train and dev in the end, the others have chosen on dev:",
        "",
        *lines,
        "",
        _source(ours, crf, whole, *others.values(), groups),
        "",
    ]


def _entities(metrics: Path) -> list[str]:
    """F1 of the entities: ours with domains given and detected, beside one model for all."""
    ours, general = _ours(metrics), _read(metrics / "general.json")
    if ours is None:
        return []
    systems = {"adapters, domain given": ours["given"], "adapters, detected": ours["detected"]}
    if general is not None and general["single"]["per_domain"].keys() != (
        ours["given"]["per_domain"].keys()
    ):
        general = None  # a mean of other domains is no comparison
    if general is not None:
        systems["`general`: one model per head"] = general["single"]
    if (lora := _read(metrics / "multi_lora.json")) is not None:
        systems["adapters of the train part alone, domain given"] = lora["given"]
    lines = ["| system | micro F1 | macro F1 |", "|---|---|---|"]
    lines += [f"| {name} | {_f(s['micro'])} | {_f(s['macro'])} |" for name, s in systems.items()]
    return [
        "Entities, strict spans, 95 % bootstrap intervals over texts:",
        "",
        *lines,
        "",
        _source(ours, general, lora),
        "",
    ]


def _detection(metrics: Path) -> list[str]:
    """Accuracy of the detector by size of group, beside TF-IDF."""
    ours, baseline = _ours(metrics), _read(metrics / "baseline.json")
    if ours is None:
        return []
    systems = {"adapter on the core": ours["detector"]}
    if baseline is not None:
        systems |= {
            name: baseline[name]
            for name in ("tfidf", "bow")
            if isinstance(baseline.get(name), dict)
        }
    lines = ["| detector | 1 text | 2 | 4 | 8 | 8, masked |", "|---|---|---|---|---|---|"]
    for name, scores in systems.items():
        cells = [scores["raw"][size]["accuracy"] for size in "1248"]
        cells.append(scores["masked"]["8"]["accuracy"])
        lines.append(f"| {name} | " + " | ".join(f"{100 * cell:.1f}" for cell in cells) + " |")
    return [
        "Accuracy of the domain, by texts in a group; masked is without Latin words, digits, "
        "hashtags, mentions and URLs:",
        "",
        *lines,
        "",
        _source(ours, baseline),
        "",
    ]


def _groups(metrics: Path) -> list[str]:
    """F1 of the whole pipeline with domains given and detected, by size of group."""
    report = _read(metrics / "groups.json")
    if report is None:
        return []
    lines = ["| domains | right | micro F1 | macro F1 |", "|---|---|---|---|"]
    modes = {"given": report["given"]}
    modes |= {f"detected, groups of {size}": own for size, own in report["detected"].items()}
    modes |= {"raw text, given": report["raw_given"]}
    modes |= {"raw text, detected, groups of 8": report["raw_detected"]}
    for name, own in modes.items():
        right = f"{100 * own['domain_acc']:.1f}" if "domain_acc" in own else ""
        lines.append(f"| {name} | {right} | {_f(own['micro'])} | {_f(own['macro'])} |")
    return [
        "The whole pipeline by texts in a group, in % of the texts with the right domain, and F1 "
        "of the entities; raw text is joined as a writer would and cut by our own tokenizer:",
        "",
        *lines,
        "",
        _source(report),
        "",
    ]


def _runs(metrics: Path) -> list[str]:
    """Dev scores of single trainings on one domain."""
    reports = [_read(path) for path in sorted(metrics.glob("parstwiner_*.json"))]
    runs = [report for report in reports if report is not None]
    if not runs:
        return []
    lines = ["| run | dev F1 | epochs | minutes | pieces/s |", "|---|---|---|---|---|"]
    lines += [
        f"| {r['run']} | {100 * r['best_dev_score']:.1f} | {r['epochs']:g} | "
        f"{r['minutes_with_evaluation']:.1f} | {r['pieces_per_second_with_evaluation']} |"
        for r in runs
    ]
    return [
        "One head and one adapter, on the embedded core and two busy CPU cores; "
        "time and speed include scoring:",
        "",
        *lines,
        "",
        _source(*runs),
        "",
    ]


def _sizes(metrics: Path) -> list[str]:
    """Parameters and megabytes of each system."""
    report = _read(metrics / "sizes.json")
    if report is None:
        return []
    lines = ["| core | system | one domain | all | trained | MB |", "|---|---|---|---|---|---|"]
    for core in report["cores"].values():
        for name, own in core["systems"].items():
            lines.append(
                f"| {core['title']} | {name} | {own['parameters'] / 1e6:.1f} | "
                f"{own['parameters_for_domains'] / 1e6:,.1f} | {100 * own['trained_share']:.2f} | "
                f"{own['megabytes_per_further_domain']:.2f} |"
            )
    return [
        "### Sizes",
        "",
        f"Millions of parameters of one domain and of {report['n_domains']}, how much in % is "
        "trained for a domain, and megabytes on disk of a further domain in fp16:",
        "",
        *lines,
        "",
        _source(report),
        "",
    ]


def results(metrics: Path) -> str:
    """RETURNS (str): Markdown, from the files in a metrics folder that are there."""
    parts = []
    titles = {"sample": "Sample corpus (ours, synthetic)", "persian": "Real corpora"}
    for corpus, title in titles.items():
        body = [
            line
            for part in (_domains, _entities, _detection, _groups, _runs)
            for line in part(metrics / corpus)
        ]
        if body:
            parts += [f"### {title}", "", *body]
    parts += _sizes(metrics)
    if (speed := _read(metrics / "speed.json")) is not None and "systems" in speed:
        parts += ["", "### Speed", "", readme_tables(speed)]
    return "\n".join(parts).rstrip()


def with_results(readme: str, metrics: Path) -> str:
    """RETURNS (str): The README's text with its results brought up to date."""
    before, rest = readme.split(START)
    return f"{before}{START}\n\n{results(metrics)}\n\n{END}{rest.split(END)[1]}"
