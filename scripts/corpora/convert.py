"""Convert the Persian corpora from their publishers' formats to spaCy's.

Output: `<out>/{train,dev,test}/<domain>.spacy` and `<out>/report.json`. `persian` converts all and
compares them with each other: what stands in any dev or test part, or in assets/outside, is in no
train part. Converted alone, a corpus is only compared with itself, so a tagger trained on several
should be trained on the output of `persian`.
"""

from pathlib import Path
from typing import Any

import srsly

from ..domains import CORPORA
from ..record import save
from .docbin import write_corpora
from .report import build_report
from .splits import check_splits, drop_leaks

__all__ = ["convert"]

OUTSIDE = Path(__file__).resolve().parents[2] / "assets" / "outside"
"""Texts of no corpus, ours: nothing is trained on them."""


def convert(name: str, source: Path, out: Path, *, fold: int = 1, seed: int = 0) -> dict[str, Any]:
    """Convert a corpus. All is read and checked before the first file is written.

    name (str): Of configs/domains.yml, or persian: all of them.
    source (Path): Folder with its publisher's files; of persian, with a folder for each corpus.
    RAISES (CorpusError): If the input is not in its publisher's format, or nothing of a domain
        is left for one of the splits.
    """
    sources = {key: source / key for key in CORPORA} if name == "persian" else {name: source}
    corpora = [CORPORA[key].read(own, fold=fold, seed=seed) for key, own in sources.items()]
    outside = [row["text"] for path in OUTSIDE.glob("*.jsonl") for row in srsly.read_jsonl(path)]
    dropped = drop_leaks(corpora, outside)
    check_splits(corpora)
    report = build_report(corpora, dropped, seed=seed, fold=fold)
    write_corpora(corpora, out)
    save(report, out / "report.json")
    return report
