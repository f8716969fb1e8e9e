"""What a result says of its origin, and how a command says what went wrong."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from multibert_spacy.errors import MultibertError

__all__ = [
    "cite",
    "command_line",
    "commit",
    "plain_path",
    "readable_errors",
    "run_app",
    "running_module",
]


def commit() -> str:
    """RETURNS (str): The commit of the checkout, with + if it has changes; "" outside of one."""
    call = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
    result = subprocess.run(call, capture_output=True, text=True, check=False)
    return result.stdout.strip()


def plain_path(path: str) -> str:
    """RETURNS (str): The path from the current folder if it lies in it, else only its name: a
    report should not tell whose machine it was made on.
    """
    if not Path(path).is_absolute():
        return path
    try:
        return Path(path).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return Path(path).name


def running_module(default: str) -> str:
    """RETURNS (str): The script that `python -m` runs, when one calls another; the default if it
    is none of ours.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec else ""
    return name if name.startswith("scripts.") else default


def command_line(module: str) -> str:
    """RETURNS (str): The running command as one would type it, with plain paths."""
    args = [
        re.sub(r"(^|[=,])(/[^,]*)", lambda match: match[1] + plain_path(match[2]), arg)
        for arg in sys.argv[1:]
    ]
    return shlex.join(["python", "-m", module, *args])


def cite(report: Mapping[str, Any]) -> str:
    """RETURNS (str): Where a report's figures are from: command, commit, seed, split."""
    return (
        f"`{report['command']}`, commit {report['commit']}, seed {report['seed']}, "
        f"{report['split']}"
    )


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
