"""What a result says of its origin, how it is written and shown; what a failed command says."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc

from multibert_spacy.errors import MultibertError

from .corpora.docbin import write_atomically


def commit() -> str:
    """RETURNS (str): The commit of the checkout, with + if it has changes; "" outside of one."""
    call = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
    result = subprocess.run(call, capture_output=True, text=True, check=False)
    return result.stdout.strip()


def plain_path(path: str) -> str:
    """RETURNS (str): The path from the current folder if it lies in it, else only its name: a
    report should not tell whose machine it was made on.
    """
    own, here = Path(path), Path.cwd()
    if not own.is_absolute():
        return path
    return own.relative_to(here).as_posix() if own.is_relative_to(here) else own.name


def running_module(default: str) -> str:
    """RETURNS (str): The script that `python -m` runs, when one calls another; the default if it
    is none of ours.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec else ""
    return name if name.startswith("scripts.") else default


def command_line(module: str) -> str:
    """module (str): What the command is, if it is none of ours that is running.
    RETURNS (str): The running command as one would type it, with plain paths.
    """
    args = [
        re.sub(r"(^|[=,])(/[^,]*)", lambda match: match[1] + plain_path(match[2]), arg)
        for arg in sys.argv[1:]
    ]
    return shlex.join(["python", "-m", running_module(module), *args])


def cite(report: Mapping[str, Any]) -> str:
    """RETURNS (str): Where a report's figures are from: command, commit, seed, split."""
    return (
        f"`{report['command']}`, commit {report['commit']}, seed {report['seed']}, "
        f"{report['split']}"
    )


def build_header(
    module: str,
    docs: Sequence[Doc],
    *,
    corpus: Path,
    split: str = "test",
    seed: int,
    limit_groups: int = 0,
) -> dict[str, Any]:
    """Say what was run on what.

    module (str): What is run, if none of our scripts is.
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


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Write a folder beside the one that it takes the place of when all is written.
    YIELDS (Path): The draft, an empty folder; gone at the end.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def save(report: Mapping[str, Any], path: Path) -> None:
    """Write a report as JSON, floats with four decimals, a list of lists (the counts of the docs
    of a domain) on one line.
    """
    rounded = json.loads(json.dumps(report), parse_float=lambda text: round(float(text), 4))
    write_atomically(path, f"{_to_json(rounded)}\n".encode())


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


def percent(share: float | None, digits: int = 1) -> str:
    """RETURNS (str): As 71.3, or a dash for what is not known."""
    return "–" if share is None else f"{100 * share:.{digits}f}"


def points(difference: float | None) -> str:
    """RETURNS (str): As +1.3 or −0.4."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def span(entry: Mapping[str, Any], key: str = "interval") -> str:
    """RETURNS (str): The interval of a difference, as −0.4 to +1.3."""
    return " to ".join(map(points, entry[key])) if entry[key] else "–"


def f1(scores: Mapping[str, Any] | None) -> str:
    """RETURNS (str): F1 and its interval, as 71.3 (65.0-76.8)."""
    if scores is None or scores["f"] is None:
        return "–"
    if not scores.get("f_interval"):
        return percent(scores["f"])
    low, high = scores["f_interval"]
    return f"{percent(scores['f'])} ({percent(low)}-{percent(high)})"


def table(title: str, rows: Iterable[Mapping[str, Any]]) -> Table:
    """Make a table for the terminal.
    rows (Iterable[Mapping]): Column -> text or number; what is neither is not shown.
    """
    rows = list(rows) or [{"": "nothing"}]
    result = Table(title=title)
    every = dict.fromkeys(column for row in rows for column in row)
    columns = [name for name in every if any(_cell(row.get(name)) != "-" for row in rows)]
    for column in columns:
        text = all(isinstance(row.get(column, ""), str) for row in rows)
        result.add_column(column, justify="left" if text else "right")
    for row in rows:
        result.add_row(*(_cell(row.get(column, "")) for column in columns))
    return result


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value) if isinstance(value, str | int) else "-"


@contextmanager
def readable_errors(*more: type[Exception]) -> Iterator[None]:
    """End the command with a message, not a traceback.

    more (type[Exception]): Errors on purpose, beside the package's own.
    """
    try:
        yield
    except (MultibertError, *more) as err:
        Console(stderr=True, soft_wrap=True).print(str(err), style="red", markup=False)
        raise typer.Exit(1) from err


def run_app(app: typer.Typer) -> None:
    """Run an app whose commands are functions that other scripts call, and so raise errors."""
    try:
        with readable_errors():
            app()
    except typer.Exit as err:
        raise SystemExit(err.exit_code) from err
