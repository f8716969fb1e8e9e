"""Convert the Persian corpora from their publishers' formats to spaCy's.

    python -m scripts.corpora.convert persian --fold 1 --source assets/persian --out corpus/persian
    python -m scripts.corpora.convert arman --fold 1 --out corpus/arman
    python -m scripts.corpora.convert refit --source corpus/persian --out corpus/persian-refit

Output: `<out>/{train,dev,test}/<corpus>.spacy` and `<out>/report.json`. `persian` converts all
three and compares them with each other: what stands in any dev or test part is in no train part.
Converted alone, a corpus is only compared with itself, so a tagger trained on several should be
trained on the output of `persian`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..domains import CORPORA
from ..record import readable_errors
from . import Corpus, read_arman, read_parsner_social, read_parstwiner
from .docbin import write_corpora, write_refit
from .report import build_report, print_report, save_report
from .splits import drop_leaks

__all__ = [
    "app",
    "convert_arman",
    "convert_parsner_social",
    "convert_parstwiner",
    "convert_persian",
]

Report = dict[str, Any]

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

SourceOption = Annotated[Path, typer.Option(help="Folder with the publisher's files.")]
OutOption = Annotated[Path, typer.Option(help="Folder to write to.")]
FoldOption = Annotated[int, typer.Option(min=1, max=3, help="ARMAN's fold.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the splits that are drawn here.")]


def _write(corpora: list[Corpus], out: Path, *, seed: int | None, fold: int | None) -> Report:
    """Everything is read and checked before the first file is written."""
    dropped = drop_leaks(corpora)
    report = build_report(corpora, dropped, seed=seed, fold=fold)
    write_corpora(corpora, out)
    save_report(report, out)
    return report


def convert_arman(source: Path, out: Path, *, fold: int = 1, seed: int = 0) -> Report:
    """Convert one fold of ARMAN.

    source (Path): Folder with the fold files or the publisher's zip, or that zip.
    out (Path): Folder to write to.
    fold (int): 1, 2 or 3.
    seed (int): Seed of the dev part.
    RETURNS (Report): What stands in report.json.
    RAISES (CorpusError): If the input is not in its publisher's format.
    """
    return _write([read_arman(source, fold=fold, seed=seed)], out, seed=seed, fold=fold)


def convert_parstwiner(source: Path, out: Path) -> Report:
    """Convert ParsTwiNER with its official splits; for arguments see `convert_arman`."""
    return _write([read_parstwiner(source)], out, seed=None, fold=None)


def convert_parsner_social(source: Path, out: Path, *, seed: int = 0) -> Report:
    """Convert the ten channels of ParsNER-social; for arguments see `convert_arman`."""
    return _write([read_parsner_social(source, seed=seed)], out, seed=seed, fold=None)


def convert_persian(source: Path, out: Path, *, fold: int = 1, seed: int = 0) -> Report:
    """Convert all corpora of configs/domains.yml and compare them with each other.

    source (Path): Folder with a folder of each.
    out (Path): Folder to write to.
    fold (int): ARMAN's fold: 1, 2 or 3.
    seed (int): Seed of the splits that are drawn here.
    RETURNS (Report): What stands in report.json.
    RAISES (CorpusError): If an input is not in its publisher's format.
    """
    corpora = [entry.read(source / name, fold=fold, seed=seed) for name, entry in CORPORA.items()]
    return _write(corpora, out, seed=seed, fold=fold)


def _run(convert: Callable[..., Report], source: Path, out: Path, **settings: int) -> None:
    """Convert and print; an error on purpose is a message, not a traceback."""
    with readable_errors():
        report = convert(source, out, **settings)
    print_report(report, Console())


@app.command("arman")
def arman(
    source: SourceOption = Path("assets/persian/arman"),
    out: OutOption = Path("corpus/arman"),
    fold: FoldOption = 1,
    seed: SeedOption = 0,
) -> None:
    """ARMAN: formal news, one fold."""
    _run(convert_arman, source, out, fold=fold, seed=seed)


@app.command("parstwiner")
def parstwiner(
    source: SourceOption = Path("assets/persian/parstwiner"),
    out: OutOption = Path("corpus/parstwiner"),
) -> None:
    """ParsTwiNER: informal tweets."""
    _run(convert_parstwiner, source, out)


@app.command("parsner_social")
def parsner_social(
    source: SourceOption = Path("assets/persian/parsner_social"),
    out: OutOption = Path("corpus/parsner_social"),
    seed: SeedOption = 0,
) -> None:
    """ParsNER-social: ten Telegram channels."""
    _run(convert_parsner_social, source, out, seed=seed)


@app.command("persian")
def persian(
    source: SourceOption = Path("assets/persian"),
    out: OutOption = Path("corpus/persian"),
    fold: FoldOption = 1,
    seed: SeedOption = 0,
) -> None:
    """All three, compared with each other."""
    _run(convert_persian, source, out, fold=fold, seed=seed)


@app.command("refit")
def refit(
    source: SourceOption = Path("corpus/persian"),
    out: OutOption = Path("corpus/persian-refit"),
) -> None:
    """A converted corpus with dev put to train, for what is shipped."""
    with readable_errors():
        files = write_refit(source, out)
    Console().print(f"{out}: train and dev of {len(files)} domains in train")


if __name__ == "__main__":
    app()
