"""The corpus of the project by name: `sample` is made, `persian` is converted from assets/."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scripts.corpora import convert, sample


class Name(StrEnum):
    """Corpora of the project."""

    sample = "sample"
    persian = "persian"


def main(
    name: Name,
    fold: Annotated[int, typer.Option(help="Fold of ARMAN")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of sample and splits")] = 0,
    source: Annotated[Path, typer.Option(help="The corpora as downloaded")] = Path(
        "assets/persian"
    ),
    out: Annotated[Path, typer.Option(help="Folder of the corpora")] = Path("corpus"),
) -> None:
    """Make or convert a corpus into out/NAME/{train,dev,test}."""
    if name is Name.sample:
        sample.write_sample(out / name, seed=seed)
    else:
        convert.persian(source=source, out=out / name, fold=fold, seed=seed)


if __name__ == "__main__":
    typer.run(main)
