"""Bring README and docs up to date, or check that they are: the table of project commands, which
is `spacy project document`'s; results and speed, which come from metrics/; domains, labels and
their licences, which come from configs/domains.yml. A file gets what it has the marks of.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from weasel.cli.document import MARKER_START, project_document

from scripts.report.render import filled


def documented(project: Path, path: Path) -> str:
    """RETURNS (str): A Markdown file as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        shutil.copy(path, draft)
        if MARKER_START in draft.read_text(encoding="utf8"):
            project_document(project, draft)
        text = draft.read_text(encoding="utf8")
    return filled(text, project / "metrics")


def main(
    check: Annotated[bool, typer.Option("--check", help="Fail if a file differs")] = False,
    project: Annotated[Path, typer.Option(help="Folder of project.yml")] = Path(),
) -> None:
    """Bring README and docs up to date, or check them."""
    for path in [project / "README.md", *sorted((project / "docs").rglob("*.md"))]:
        text = documented(project, path)
        if text == path.read_text(encoding="utf8"):
            continue
        if check:
            typer.echo(
                f"{path} differs from project.yml or metrics: run python -m scripts.document",
                err=True,
            )
            sys.exit(1)
        path.write_text(text, encoding="utf8")


if __name__ == "__main__":
    typer.run(main)
