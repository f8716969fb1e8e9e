"""Make reports/index.html and its plots from the JSON files in metrics/ alone.

python -m scripts.report
python -m scripts.report --metrics metrics --corpus persian --out reports
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from . import claims, detection, settings, systems, words
from .data import Metrics
from .page import Missing, Section, render

__all__ = ["build_sections", "write_report"]

console = Console()


def build_sections(metrics: Path, corpus: str, out: Path) -> list[Section]:
    """Turn numbers into sections, and draw their plots.

    metrics (Path): Folder of all JSON files.
    corpus (str): Whose folder in it is reported.
    out (Path): Folder of the plots.
    RETURNS (list[Section]): In the order of the page.
    """
    root, own = Metrics(metrics), Metrics(metrics / corpus)
    return [
        *systems.section(own, out),
        *settings.section(own, root, out),
        *detection.section(own, out),
        *words.section(own, root, out),
        claims.section(own),
    ]


def write_report(metrics: Path, corpus: str, out: Path) -> list[Section]:
    """Write index.html and the plots; for arguments see `build_sections`."""
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.png"), *out.glob("*.svg")):
        old.unlink()
    sections = build_sections(metrics, corpus, out)
    page = render("multibert_spacy: experiments", sections)
    (out / "index.html").write_text(page, encoding="utf8")
    return sections


def main(
    metrics: Annotated[Path, typer.Option(help="Folder of the JSON files.")] = Path("metrics"),
    corpus: Annotated[str, typer.Option(help="Its subfolder to report on.")] = "persian",
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("reports"),
) -> None:
    """Make the report."""
    sections = write_report(metrics, corpus, out)
    missing = [part for section in sections for part in section.parts if isinstance(part, Missing)]
    for part in missing:
        console.print(f"not measured yet: {part.what} ({part.command})", style="yellow")
    console.print(f"{out / 'index.html'}: {len(sections)} sections, {len(missing)} left out")


if __name__ == "__main__":
    typer.run(main)
