"""Convert the Persian corpora from their publishers' formats to spaCy's.

Output: `<out>/{train,dev,test}/<corpus>.spacy` and `<out>/report.json`. `persian` converts all
three and compares them with each other: what stands in any dev or test part is in no train part.
Converted alone, a corpus is only compared with itself, so a tagger trained on several should be
trained on the output of `persian`.
"""

from pathlib import Path
from typing import Any

from ..domains import CORPORA
from . import Corpus, read_arman, read_parsner_social, read_parstwiner
from .docbin import write_corpora
from .report import build_report, save_report
from .splits import drop_leaks

__all__ = [
    "convert_arman",
    "convert_parsner_social",
    "convert_parstwiner",
    "convert_persian",
]

Report = dict[str, Any]


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
