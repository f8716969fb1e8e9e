"""Write the README's table of project commands with `spacy project document`, or check it."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from weasel.cli.document import project_document


def documented(project: Path) -> str:
    """RETURNS (str): README.md as `spacy project document` would leave it."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "README.md"
        shutil.copy(project / "README.md", draft)
        project_document(project, draft)
        return draft.read_text(encoding="utf8")


def main(
    check: Annotated[bool, typer.Option("--check", help="Fail if the README differs")] = False,
    project: Annotated[Path, typer.Option(help="Folder of project.yml")] = Path(),
) -> None:
    """Bring the README's table of commands up to date."""
    readme = project / "README.md"
    text = documented(project)
    if check and text != readme.read_text(encoding="utf8"):
        typer.echo("README.md differs from project.yml: run python -m scripts.document", err=True)
        sys.exit(1)
    if not check:
        readme.write_text(text, encoding="utf8")


if __name__ == "__main__":
    typer.run(main)
