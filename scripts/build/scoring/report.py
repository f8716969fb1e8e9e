"""Head, file and tables of a report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc

from ...corpora.docbin import write_atomically
from ...record import command_line, commit, plain_path

__all__ = [
    "build_header",
    "confusion_table",
    "describe_model",
    "detector_table",
    "entity_table",
    "save",
]


def build_header(
    module: str, docs: Sequence[Doc], *, corpus: Path, split: str, seed: int, limit_groups: int
) -> dict[str, Any]:
    """Say what was run on what.

    module (str): The module that was run.
    docs (Sequence[Doc]): What is scored, if there is no limit.
    corpus (Path): Its folder. Only the name is kept.
    split (str): Its part.
    seed, limit_groups (int): As given.
    RETURNS (dict): command, commit and settings, and the numbers of docs and entities by domain.
    """
    domains = {name: {"docs": 0, "entities": 0} for name in sorted({doc._.domain for doc in docs})}
    for doc in docs:
        domains[doc._.domain]["docs"] += 1
        domains[doc._.domain]["entities"] += len(doc.ents)
    return {
        "command": command_line(module),
        "commit": commit(),
        "seed": seed,
        "corpus": corpus.name,
        "split": split,
        "limit_groups": limit_groups,
        "domains": domains,
    }


def describe_model(nlp: Language, source: str) -> dict[str, Any]:
    """RETURNS (dict): Name and version of a pipeline, and the folder or package it is from."""
    name = f"{nlp.meta['lang']}_{nlp.meta['name']}"
    return {"name": name, "version": nlp.meta["version"], "source": plain_path(source)}


def save(report: Mapping[str, Any], path: Path) -> None:
    """Write a report as JSON, floats with four decimals, a list of lists (the counts of the docs
    of a domain) on one line.
    """
    write_atomically(path, f"{_to_json(_rounded(report))}\n".encode())


def _to_json(value: Any, line: str = "\n") -> str:
    """RETURNS (str): As `json.dumps` with indent=1, but for lists of lists."""
    inner = f"{line} "
    if isinstance(value, dict) and value:
        items = [
            f"{json.dumps(key, ensure_ascii=False)}: {_to_json(item, inner)}"
            for key, item in value.items()
        ]
        return f"{{{inner}{f',{inner}'.join(items)}{line}}}"
    if isinstance(value, list) and value and not all(isinstance(item, list) for item in value):
        return f"[{inner}{f',{inner}'.join(_to_json(item, inner) for item in value)}{line}]"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def _f(scores: Mapping[str, Any]) -> str:
    if scores["f"] is None:
        return "-"
    low, high = scores["f_interval"]
    return f"{100 * scores['f']:.1f} [dim]({100 * low:.1f}-{100 * high:.1f})[/dim]"


def entity_table(modes: Mapping[str, Mapping[str, Any]]) -> Table:
    """F1 of each domain and type, with intervals.

    modes (Mapping): Title of a column -> scores of `score_entities`.
    """
    table = Table(title="F1 of entities (95% interval)")
    table.add_column("")
    for column in ("docs", "entities", *modes):
        table.add_column(column, justify="right")
    columns = list(modes.values())
    for name in dict.fromkeys(name for scores in columns for name in scores["per_domain"]):
        rows = [scores["per_domain"][name] for scores in columns]
        cells = [str(rows[0]["n_docs"]), str(rows[0]["n_entities"]), *map(_f, rows)]
        table.add_row(name, *cells)
    table.add_section()
    for name in sorted({name for scores in columns for name in scores["per_type"]}):
        cells = [_f(s["per_type"][name]) if name in s["per_type"] else "-" for s in columns]
        table.add_row(name, "", "", *cells)
    table.add_section()
    for name in ("micro", "macro"):
        table.add_row(name, "", "", *(_f(scores[name]) for scores in columns))
    by_head = [scores.get("macro_by_head", {}) for scores in columns]
    for name in dict.fromkeys(name for macros in by_head for name in macros):
        cells = [_f(macros[name]) if name in macros else "-" for macros in by_head]
        table.add_row(f"macro, {name}", "", "", *cells)
    return table


def detector_table(detectors: Mapping[str, Mapping[str, Any]]) -> Table:
    """Accuracy by size of groups.

    detectors (Mapping): Name -> scores of `score_detector`.
    """
    table = Table(
        title="Accuracy of the domain (mean of domains), by texts in a group; ms per group"
    )
    names = [n for n in next(iter(detectors.values()))["raw"] if n != "confusion"]
    for column in ("", "", *names, "ms"):
        table.add_column(column, justify="right" if column else "left")
    for title, scores in detectors.items():
        for how, by_size in scores.items():
            if how not in ("raw", "masked"):
                continue
            cells = [
                f"{100 * by_size[n]['accuracy']:.1f} ({100 * by_size[n]['macro_accuracy']:.1f})"
                for n in names
            ]
            sizes = [n for n in names if n != "threads"]
            times = (
                f"{by_size[sizes[0]]['ms_per_group']:.1f}-{by_size[sizes[-1]]['ms_per_group']:.1f}"
            )
            table.add_row(title, how, *cells, times)
    return table


def confusion_table(confusion: Mapping[str, Mapping[str, int]], title: str) -> Table:
    """Truth in rows, answers in columns."""
    answers = sorted({*confusion, *(name for row in confusion.values() for name in row)})
    table = Table(title=title)
    table.add_column("")
    for number, _ in enumerate(answers, 1):
        table.add_column(str(number), justify="right")
    for number, truth in enumerate(answers, 1):
        if truth in confusion:
            row = confusion[truth]
            table.add_row(f"{number} {truth}", *(str(row.get(name, "")) for name in answers))
    return table
