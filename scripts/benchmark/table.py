"""Tables of a report: Markdown for the README, and rich ones for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

__all__ = ["print_report", "readme_tables", "text_counts"]


class _Rows(NamedTuple):
    title: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]


def text_counts(report: Mapping[str, Any]) -> tuple[int, int]:
    """RETURNS (tuple): Texts that each system of a report tagged, and their pieces."""
    some = next(iter(report["systems"].values()))
    rates = some["texts_per_second"], some["pieces_per_second"]
    n_texts, n_pieces = (round(rate * some["seconds"]) for rate in rates)
    return n_texts, n_pieces


def _speed(report: Mapping[str, Any]) -> _Rows:
    cells = [
        [
            name,
            own["note"],
            f"{own['texts_per_second']:.1f}",
            f"{own['pieces_per_second']:,.0f}",
            f"{own['ratio']:.2f} ({own['ratio_range'][0]:.2f}-{own['ratio_range'][1]:.2f})",
        ]
        for name, own in report["systems"].items()
    ]
    n, pieces = text_counts(report)
    title = (
        f"{n} texts of {pieces / n:.0f} pieces in the mean, {report['threads']} threads, "
        f"medians of {report['rounds']} rounds in turn in one process; time is divided by that of "
        "the bare core in bf16, timed before and after"
    )
    return _Rows(title, ["system", "what it does", "texts/s", "pieces/s", "time"], cells)


def _memory(report: Mapping[str, Any]) -> _Rows:
    cells = []
    for adapter, measured in report["memory"].items():
        for n, own in measured["by_domains"].items():
            seconds, resident = own["seconds"], own["resident_mb"]
            cells.append(
                [
                    f"{adapter} {n}",
                    f"{seconds['import']:.1f} + {seconds['blank']:.1f} + {seconds['load']:.1f}",
                    f"{resident['load']:,.0f}",
                    f"{resident['tag']:,.0f}",
                    f"{own['peak_mb']:,.0f}",
                    f"{own['disk_mb']:,.1f}",
                    f"{measured.get('disk_mb_per_domain', 0):.2f}",
                ]
            )
    title = (
        "Memory in a process of its own, in MB; seconds to import spaCy and torch, to make the "
        "first empty pipeline (spaCy then imports spacy-transformers), and to load ours"
    )
    columns = ["adapter, domains", "import + blank + load, s", "loaded", "after tagging", "peak"]
    return _Rows(title, [*columns, "on disk", "per further domain"], cells)


def _stages(report: Mapping[str, Any]) -> _Rows:
    measured = report["stages"]
    stages = dict.fromkeys(stage for own in measured.values() for stage in own["shares"])
    cells = [
        [stage, *(f"{100 * own['shares'].get(stage, 0):.1f}" for own in measured.values())]
        for stage in stages
    ]
    return _Rows("Where the time goes, in %", ["stage", *measured], cells)


def _training(report: Mapping[str, Any]) -> _Rows:
    found = report["training"]
    names = {
        "ours": "ours, batches of texts of one length",
        "peft": "PEFT and torch.autocast, the same batches",
        "ours_shuffled": "ours, batches of texts of any lengths",
        "peft_shuffled": "PEFT and torch.autocast, the same batches",
    }
    cells = [
        [
            title,
            f"{found[name]['pieces_per_second']:,.0f}",
            f"{found[name]['peak_mb']:,.0f}",
            f"{100 * found[name].get('padding', 0):.0f} %",
            f"{found[name]['first_loss']:.3f} → {found[name]['last_loss']:.3f}",
        ]
        for name, title in names.items()
    ]
    title = (
        "Training a LoRA adapter (r=16, all linear layers). On the same batches ours is "
        f"{found['ratio_shuffled']:.2f} times as fast as PEFT where they are of texts of any "
        f"lengths, as transformers' Trainer makes them, and {found['ratio']:.2f} times where they "
        "are of texts of one length, as spaCy makes them"
    )
    return _Rows(title, ["", "pieces/s", "peak MB", "padding", "loss"], cells)


PARTS = {"systems": _speed, "memory": _memory, "stages": _stages, "training": _training}


def _tables(report: Mapping[str, Any]) -> list[_Rows]:
    return [make(report) for part, make in PARTS.items() if report.get(part)]


def readme_tables(report: Mapping[str, Any]) -> str:
    """Render a report for the README.

    report (Mapping): What `scripts.benchmark` wrote; parts that were not measured are left out.
    RETURNS (str): Markdown.
    """
    lines: list[str] = []
    for rows in _tables(report):
        rule = ["---", *("---:" for _ in rows.columns[1:])]
        if "what it does" in rows.columns:
            rule[1] = "---"
        lines += [f"{rows.title}:", ""]
        lines += [f"| {' | '.join(cells)} |" for cells in (rows.columns, rule, *rows.cells)]
        lines.append("")
    equal = report["equality"]
    checked = sum(own["entities"] for own in equal["pipelines"].values())
    lines += [
        f"In the same run {checked:,} entities of {equal['texts']} texts are the same with batch "
        "sizes 1 and 64, in another order, and with each domain alone (fp32).",
        "",
        f"From `{report['command']}`, commit {report['commit']}, seed {report['seed']}, "
        f"{report['machine']['cpu']}.",
    ]
    return "\n".join(lines)


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a report."""
    for rows in _tables(report):
        table = Table(title=rows.title)
        for i, column in enumerate(rows.columns):
            left = i == 0 or column == "what it does"
            table.add_column(column, justify="left" if left else "right")
        for cells in rows.cells:
            table.add_row(*cells)
        console.print(table)
