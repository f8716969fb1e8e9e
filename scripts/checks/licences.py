"""Write the table of what is installed and under which licence into LICENCES.md.

python -m scripts.checks.licences           # after a change of constraints.txt
python -m scripts.checks.licences --check   # whether the table has every pinned package
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

START = "<!-- PACKAGES START (written by scripts/checks/licences.py) -->"
END = "<!-- PACKAGES END -->"


def pinned(constraints: Path) -> list[str]:
    """RETURNS (list): Names of the pinned packages, in order."""
    lines = constraints.read_text(encoding="utf8").splitlines()
    return sorted(
        (re.split("[=;]", line)[0].strip() for line in lines if "==" in line), key=str.lower
    )


def table(names: list[str]) -> str:
    """names (list[str]): Installed packages.
    RETURNS (str): Markdown, by pip-licenses.
    """
    command = [sys.executable, "-m", "piplicenses", "--format=markdown", "--with-system"]
    command += ["--from=mixed", "--packages", *names]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main(
    constraints: Path = Path("constraints.txt"),
    document: Path = Path("LICENCES.md"),
    check: Annotated[bool, typer.Option(help="Only look whether a package is missing")] = False,
) -> None:
    """Write or check the table."""
    text = document.read_text(encoding="utf8")
    names = pinned(constraints)
    if not check:
        before, _, rest = text.partition(START)
        after = rest.partition(END)[2]
        document.write_text(f"{before}{START}\n\n{table(names)}\n\n{END}{after}", encoding="utf8")
        return
    known = {row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| ")}
    if missing := [name for name in names if name not in known]:
        Console(stderr=True).print(f"{document} lacks {', '.join(missing)}", style="red")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
