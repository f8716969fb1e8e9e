"""Bring README and docs up to date, or check that they are: results and speed, which come from
metrics/; domains, labels and their licences, which come from configs/domains.yml; the commands of
the project. A file gets what it has the marks of.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scripts.report.render import filled


def documented(project: Path, path: Path) -> str:
    """RETURNS (str): A Markdown file as it should be."""
    return filled(path.read_text(encoding="utf8"), project / "metrics")


def main(
    check: Annotated[bool, typer.Option("--check", help="Fail if a file differs")] = False,
    project: Annotated[Path, typer.Option(help="Folder of metrics, README and docs")] = Path(),
) -> None:
    """Bring README and docs up to date, or check them."""
    for path in [project / "README.md", *sorted((project / "docs").rglob("*.md"))]:
        text = documented(project, path)
        if text == path.read_text(encoding="utf8"):
            continue
        if check:
            typer.echo(f"{path} is out of date: run python -m scripts.document", err=True)
            sys.exit(1)
        path.write_text(text, encoding="utf8")


if __name__ == "__main__":
    typer.run(main)
