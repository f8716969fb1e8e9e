"""ParsTwiNER: informal tweets, with the publisher's own train, dev and test parts."""

from collections import Counter
from pathlib import Path

from ..domains import domains_of
from .conll import Layout, Source, read_sentences
from .sentence import SPLITS, Corpus

(DOMAIN,) = domains_of("parstwiner")
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


def read_parstwiner(source: Path, *, fold: int = 1, seed: int = 0) -> Corpus:
    """Read the three files; a tweet is one sentence.

    source (Path): Folder with `train.txt`, `dev.txt` and `test.txt`.
    fold, seed (int): Of no use: the splits are the publisher's.
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
