"""ParsTwiNER: informal tweets, with the publisher's own train, dev and test parts."""

from collections import Counter
from pathlib import Path

from .conll import Layout, Source, read_sentences
from .sentence import SPLITS, Corpus

__all__ = ["read_parstwiner"]

DOMAIN = "tweet"
LAYOUT = Layout(
    columns=("token", "tag"),
    separator="\t",
    types={
        "per": "PER",
        "org": "ORG",
        "loc": "LOC",
        "eve": "EVE",
        "nat": "NAT",
        "pog": "POG",
    },
)


def read_parstwiner(source: Path) -> Corpus:
    """Read the three files; a tweet is one sentence.

    source (Path): Folder with `train.txt`, `dev.txt` and `test.txt`.
    RETURNS (Corpus): With the official splits.
    RAISES (CorpusError): If a file is missing or breaks the format.
    """
    corpus = Corpus("parstwiner", {}, repaired=Counter(), odd_tokens=Counter())
    for split in SPLITS:
        file = Source.from_path(source / f"{split}.txt")
        sentences, repaired, odd_tokens = read_sentences(file, LAYOUT, domain=DOMAIN)
        corpus.splits[split] = sentences
        corpus.repaired.update(repaired)
        corpus.odd_tokens.update(odd_tokens)
        corpus.inputs[f"{split}.txt"] = file.sha256
    return corpus
