"""Make reports/index.html and its plots from the JSON files in metrics/ alone.

python -m scripts.report
python -m scripts.report --metrics metrics --out reports
"""

from pathlib import Path
from typing import Annotated

import typer

from .draw import draw_all
from .render import page
from .tables import Metrics


def write_report(metrics: Path, out: Path) -> None:
    """Write index.html and the plots."""
    out.mkdir(parents=True, exist_ok=True)
    plots = draw_all(Metrics(metrics), out)
    (out / "index.html").write_text(page(metrics, plots), encoding="utf8")


def main(
    metrics: Annotated[Path, typer.Option(help="Folder of the JSON files.")] = Path("metrics"),
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("reports"),
) -> None:
    """Make the report."""
    write_report(metrics, out)
    typer.echo(out / "index.html")


if __name__ == "__main__":
    typer.run(main)
