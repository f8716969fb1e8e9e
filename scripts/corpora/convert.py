"""Convert the Persian corpora from their publishers' formats to spaCy's.

Output: `<out>/{train,dev,test}/<corpus>.spacy` and `<out>/report.json`. `persian` converts
all and compares them with each other: what stands in any dev or test part, or in assets/outside,
is in no train part.
Converted alone, a corpus is only compared with itself, so a tagger trained on several should be
trained on the output of `persian`.
"""

from pathlib import Path
from typing import Any

import srsly

from ..domains import CORPORA
from .docbin import write_corpora
from .report import build_report, save_report
from .sentence import Corpus
from .splits import check_splits, drop_leaks

__all__ = ["convert_corpus", "convert_persian"]

Report = dict[str, Any]
OUTSIDE = Path(__file__).resolve().parents[2] / "assets" / "outside"
"""Texts of no corpus, ours: nothing is trained on them."""


def _write(corpora: list[Corpus], out: Path, *, seed: int | None, fold: int | None) -> Report:
    """Everything is read and checked before the first file is written."""
    outside = [row["text"] for path in OUTSIDE.glob("*.jsonl") for row in srsly.read_jsonl(path)]
    dropped = drop_leaks(corpora, outside)
    check_splits(corpora)
    report = build_report(corpora, dropped, seed=seed, fold=fold)
    write_corpora(corpora, out)
    save_report(report, out)
    return report


def convert_corpus(name: str, source: Path, out: Path, *, fold: int = 1, seed: int = 0) -> Report:
    """Convert one corpus alone.

    name (str): Of configs/domains.yml.
    source (Path): Folder with its publisher's files.
    out (Path): Folder to write to.
    fold (int): Of ARMAN: 1, 2 or 3.
    seed (int): Of the splits that are drawn here.
    RETURNS (Report): What stands in report.json.
    RAISES (CorpusError): If the input is not in its publisher's format, or nothing of a domain
        is left for one of the splits.
    """
    corpora = [CORPORA[name].read(source, fold=fold, seed=seed)]
    return _write(corpora, out, seed=seed, fold=fold)


def convert_persian(source: Path, out: Path, *, fold: int = 1, seed: int = 0) -> Report:
    """Convert all corpora and compare them with each other.
    source (Path): Folder with a folder of each; the rest is as in `convert_corpus`.
    """
    corpora = [entry.read(source / name, fold=fold, seed=seed) for name, entry in CORPORA.items()]
    return _write(corpora, out, seed=seed, fold=fold)
