"""Bring the README up to date, or check that it is: the table of project commands, which is
`spacy project document`'s, and the results, which come from metrics/.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from weasel.cli.document import project_document

from scripts.report.results import with_results


def documented(project: Path) -> str:
    """RETURNS (str): README.md as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "README.md"
        shutil.copy(project / "README.md", draft)
        project_document(project, draft)
        return with_results(draft.read_text(encoding="utf8"), project / "metrics")


def main(
    check: Annotated[bool, typer.Option("--check", help="Fail if the README differs")] = False,
    project: Annotated[Path, typer.Option(help="Folder of project.yml")] = Path(),
) -> None:
    """Bring the README up to date, or check it."""
    readme = project / "README.md"
    text = documented(project)
    if check and text != readme.read_text(encoding="utf8"):
        typer.echo(
            "README.md differs from project.yml or metrics: run python -m scripts.document",
            err=True,
        )
        sys.exit(1)
    if not check:
        readme.write_text(text, encoding="utf8")


if __name__ == "__main__":
    typer.run(main)
