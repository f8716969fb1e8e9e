"""Write the table of what is installed and under which licence into LICENCES.md.

python -m scripts.checks.licences           # after a change of constraints.txt
python -m scripts.checks.licences --check   # whether the table has every pinned package
"""

import importlib.metadata
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["licence_of", "main", "pinned", "table"]

START, END = "<!-- PACKAGES START (written by scripts/licences.py) -->", "<!-- PACKAGES END -->"
LONGEST = 80


def pinned(constraints: Path) -> list[str]:
    """RETURNS (list): Names of the pinned packages, in order."""
    lines = constraints.read_text(encoding="utf8").splitlines()
    return sorted(
        (re.split("[=;]", line)[0].strip() for line in lines if "==" in line), key=str.lower
    )


def licence_of(name: str) -> str:
    """RETURNS (str): What an installed package says of its licence."""
    data = importlib.metadata.metadata(name)
    classifiers = [
        line.split("::")[-1].strip()
        for line in data.get_all("Classifier") or []
        if line.startswith("License")
    ]
    text = data.get("License-Expression") or "; ".join(classifiers) or data.get("License") or "?"
    return text.splitlines()[0][:LONGEST]


def table(names: list[str]) -> str:
    """names (list[str]): Installed packages. RETURNS (str): Markdown."""
    rows = [
        f"| {name} | {importlib.metadata.version(name).split('+')[0]} | {licence_of(name)} |"
        for name in names
    ]
    return "\n".join(["| package | version | licence |", "|---|---|---|", *rows])


def main(
    constraints: Path = Path("constraints.txt"),
    document: Path = Path("LICENCES.md"),
    check: Annotated[bool, typer.Option(help="Only look whether a package is missing")] = False,
) -> None:
    """Write or check the table."""
    text = document.read_text(encoding="utf8")
    names = pinned(constraints)
    if check:
        missing = [name for name in names if f"| {name} |" not in text]
        if missing:
            Console(stderr=True).print(f"{document} lacks {', '.join(missing)}", style="red")
            raise typer.Exit(1)
        return
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    document.write_text(f"{before}{START}\n\n{table(names)}\n\n{END}{after}", encoding="utf8")


if __name__ == "__main__":
    typer.run(main)
