"""Make or convert a corpus.

    python -m scripts.corpora sample
    python -m scripts.corpora persian --fold 1 --source assets/persian --out corpus/persian
    python -m scripts.corpora refit --source corpus/persian --out corpus/persian-refit
    python -m scripts.corpora written --source corpus/persian --out corpus/persian-written
    python -m scripts.corpora example --out example/threads.jsonl

`sample` is made, `persian` converted from assets/, as is each of its corpora alone, `refit` puts
dev to train, for what is shipped, `written` puts assets/written before train, and `example` is
three raw threads to try a pipeline on.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..domains import CORPORA
from ..record import readable_errors
from .convert import convert
from .docbin import write_refit, write_written
from .report import print_counts, print_report
from .sample import write_example, write_sample

app = typer.Typer(add_completion=False)
Name = StrEnum("Name", ["sample", "example", "persian", "refit", "written", *CORPORA])


@app.command(help=__doc__)
def main(
    name: Name,
    fold: Annotated[int, typer.Option(min=1, max=3, help="Fold of ARMAN")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of sample and splits")] = 0,
    source: Annotated[Path | None, typer.Option(help="The publishers' files")] = None,
    out: Annotated[Path | None, typer.Option(help="By default corpus/NAME")] = None,
) -> None:
    assets, out = Path("assets/persian"), out or Path("corpus", name)
    with readable_errors():
        if name == "sample":
            report = write_sample(out, seed=seed)
            print_counts(report["splits"], f"Sample corpus, seed {seed}", Console())
        elif name == "example":
            write_example(out, seed=seed)
        elif name == "refit":
            write_refit(source or Path("corpus/persian"), out)
        elif name == "written":
            write_written(source or Path("corpus/persian"), Path("assets/written"), out)
        else:
            source = source or (assets if name == "persian" else assets / name)
            print_report(convert(name, source, out, fold=fold, seed=seed), Console())


if __name__ == "__main__":
    app()
