"""ParsNER's prose: encyclopaedia and newspaper sentences, each with the publisher's test part.

The same repository and tags as the channels, without posts: a sentence has no thread.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from ..domains import domains_of
from .archive import read_archive
from .conll import Source, read_sentences
from .parsner_social import ARCHIVE, LAYOUT
from .sentence import Corpus
from .splits import hold_out

__all__ = ["read_parsner_press", "read_parsner_wiki"]

DEV_SHARE = 0.1
PUBLISHED = {"parsner_wiki": "wiki", "parsner_press": "news"}
"""What the repository calls a corpus: `persian/train/train_news.pos`."""


def _open(source: Path, key: str) -> list[Source]:
    """Train and test part: files of their own, or those in the repository's zip, which lies in the
    folder or in that of the channels, so that it is fetched once.
    """
    loose = [source / "train.pos", source / "test.pos"]
    if any(path.is_file() for path in loose):
        return [Source.from_path(path) for path in loose]
    for archive in (source / ARCHIVE, source.parent / "parsner_social" / ARCHIVE):
        if archive.is_file():
            own = PUBLISHED[key]
            return read_archive(archive, [f"train_{own}.pos", f"test_{own}.pos"])
    return [Source.from_path(path) for path in loose]


def _read(key: str, source: Path, *, fold: int = 1, seed: int = 0) -> Corpus:
    """Read one of the two; a tenth of its train part becomes dev.

    key (str): Of configs/domains.yml.
    source (Path): Folder with `train.pos` and `test.pos`, or with the repository's zip.
    fold (int): Of no use: the corpora have no folds.
    seed (int): Seed of the dev part.
    RETURNS (Corpus): With the publisher's test part.
    RAISES (CorpusError): If a file is missing or breaks the format.
    """
    (domain,) = domains_of(key)
    layout = replace(LAYOUT, post_gap=None)
    train_file, test_file = _open(source, key)
    train, repaired, odd_tokens = read_sentences(train_file, layout, domain=domain)
    test, test_repaired, test_odd = read_sentences(test_file, layout, domain=domain)
    parts = hold_out(train, {"dev": DEV_SHARE}, seed=seed, words_of=lambda s: s.words)
    return Corpus(
        key,
        {**parts, "test": test},
        repaired=repaired + test_repaired,
        odd_tokens=odd_tokens + test_odd,
        inputs={"train.pos": train_file.sha256, "test.pos": test_file.sha256},
    )


read_parsner_wiki = partial(_read, "parsner_wiki")
read_parsner_press = partial(_read, "parsner_press")
