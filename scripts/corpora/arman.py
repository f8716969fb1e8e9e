"""ARMAN: formal news in three folds whose test parts are disjoint (research use only).

Published scores near 99 join the three train parts and the three test parts, which puts every
test sentence into train; here one fold is taken at a time.
"""

from pathlib import Path

from multibert_spacy.errors import ConfigError, CorpusError

from ..domains import domains_of
from .archive import read_archive
from .conll import Layout, Source, read_sentences
from .sentence import Corpus
from .splits import hold_out

ARCHIVE = "ArmanPersoNERCorpus.zip"
FOLDS = (1, 2, 3)
(DOMAIN,) = domains_of("arman")
DEV_SHARE = 0.1
LAYOUT = Layout(
    columns=("token", "tag"),
    separator=" ",
    types={
        "pers": "PER",
        "org": "ORG",
        "loc": "LOC",
        "fac": "FAC",
        "pro": "PRO",
        "event": "EVE",
    },
)


def _open_fold(source: Path, fold: int) -> tuple[list[Source], dict[str, str]]:
    """Train and test part of a fold, and the digests of what was read."""
    names = [f"train_fold{fold}.txt", f"test_fold{fold}.txt"]
    archive = source if source.suffix == ".zip" else source / ARCHIVE
    loose = [source / name for name in names]
    if any(path.is_file() for path in loose) or not archive.is_file():
        if not any(path.is_file() for path in loose):
            raise CorpusError(
                f"{source}: expected '{names[0]}' and '{names[1]}', or '{ARCHIVE}', found neither"
            )
        files, inputs = [Source.from_path(path) for path in loose], {}
    else:
        inputs = {archive.name: Source.from_path(archive).sha256}
        files = read_archive(archive, names)
    digests = {name: file.sha256 for name, file in zip(names, files, strict=True)}
    return files, {**inputs, **digests}


def read_arman(source: Path, *, fold: int = 1, seed: int = 0) -> Corpus:
    """Read one fold; a tenth of its train part becomes dev.

    source (Path): Folder with the fold files or the publisher's zip, or that zip itself.
    fold (int): 1, 2 or 3.
    seed (int): Seed of the dev part.
    RETURNS (Corpus): With the fold's own test part.
    RAISES (ConfigError): If there is no such fold.
    RAISES (CorpusError): If a file is missing or breaks the format.
    """
    if fold not in FOLDS:
        raise ConfigError(f"fold must be one of {FOLDS}, got {fold!r}")
    (train_file, test_file), inputs = _open_fold(source, fold)
    train, repaired, odd_tokens = read_sentences(train_file, LAYOUT, domain=DOMAIN)
    test, test_repaired, test_odd = read_sentences(test_file, LAYOUT, domain=DOMAIN)
    parts = hold_out(train, {"dev": DEV_SHARE}, seed=seed, words_of=lambda s: s.words)
    return Corpus(
        "arman",
        {**parts, "test": test},
        repaired=repaired + test_repaired,
        odd_tokens=odd_tokens + test_odd,
        inputs=inputs,
    )
