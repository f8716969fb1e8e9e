"""The corpora as their publishers lay them out: files of their own, or those in an archive.

ARMAN has three folds whose test parts are disjoint. Published scores near 99 join the three train
parts and the three test parts, which puts every test sentence into train: here one fold is taken.
ParsTwiNER has train, dev and test, a tweet a sentence. Of ParsNER, the ten Telegram channels are
cut here by posts, whose sentences share `doc._.thread`; its encyclopaedia and newspapers have a
test part. The channels' files cut URLs at their dots and begin a new sentence there; that is left
as it is, since the annotation follows it.

Each reader takes the folder of the files, the fold (of ARMAN alone) and the seed of what is drawn
here, and raises CorpusError if a file is missing or breaks the format.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from multibert_spacy.errors import ConfigError, CorpusError

from ..domains import domains_of
from .archive import read_archive
from .conll import Layout, Source, read_sentences
from .sentence import SPLITS, Corpus, Sentence
from .splits import hold_out, posts_of

__all__ = [
    "read_arman", "read_parsner_press", "read_parsner_social", "read_parsner_wiki",
    "read_parstwiner",
]  # fmt: skip

FOLDS = (1, 2, 3)
SHARE = 0.1
"""Of a part that is cut here: what becomes dev, or test."""
ARMAN_ZIP, PARSNER_ZIP = "ArmanPersoNERCorpus.zip", "ParsNER.zip"
ARMAN = Layout(
    ("token", "tag"),
    " ",
    {"pers": "PER", "org": "ORG", "loc": "LOC", "fac": "FAC", "pro": "PRO", "event": "EVE"},
)
PARSTWINER = Layout(
    ("token", "tag"),
    "\t",
    {"per": "PER", "org": "ORG", "loc": "LOC", "eve": "EVE", "nat": "NAT", "pog": "POG"},
)
PARSNER = Layout(
    ("token", "POS", "tag"),
    "\t",
    {"pers": "PER", "org": "ORG", "loc": "LOC", "misc": "MISC"},
    post_gap=3,
)


def _open(source: Path, names: Mapping[str, str], *archives: Path) -> dict[str, Source]:
    """Files of their own, if any of them is there, or those in the first archive that is.

    names (Mapping): Name of a file -> its name in an archive.
    """
    if not any((source / name).is_file() for name in names):
        for archive in archives:
            if archive.is_file():
                found = read_archive(archive, list(names.values()))
                return dict(zip(names, found, strict=True))
        wanted = ", ".join([*names, *(path.name for path in archives)])
        raise CorpusError(f"{source}: expected files of the corpus ({wanted}), found none of them")
    return {name: Source.from_path(source / name) for name in names}


def _read(corpus: Corpus, name: str, file: Source, layout: Layout, domain: str) -> list[Sentence]:
    """Read a file; what was noticed is noted in the corpus."""
    sentences, repaired, odd_tokens = read_sentences(file, layout, domain=domain)
    corpus.repaired.update(repaired)
    corpus.odd_tokens.update(odd_tokens)
    corpus.inputs[name] = file.sha256
    return sentences


def _train_and_test(key: str, files: Mapping[str, Source], layout: Layout, seed: int) -> Corpus:
    """Read both parts of a corpus of one domain; a tenth of train becomes dev."""
    corpus, (domain,) = Corpus(key, {}), domains_of(key)
    train, test = (_read(corpus, name, file, layout, domain) for name, file in files.items())
    parts = hold_out(train, {"dev": SHARE}, seed=seed, words_of=lambda sentence: sentence.words)
    corpus.splits = {**parts, "test": test}
    return corpus


def read_arman(source: Path, *, fold: int = 1, seed: int = 0) -> Corpus:
    """Read one fold of ARMAN. The source may be the publisher's zip itself.

    RAISES (ConfigError): If there is no such fold.
    """
    if fold not in FOLDS:
        raise ConfigError(f"fold must be one of {FOLDS}, got {fold!r}")
    names = [f"train_fold{fold}.txt", f"test_fold{fold}.txt"]
    archive = source if source.suffix == ".zip" else source / ARMAN_ZIP
    files = _open(source, dict(zip(names, names, strict=True)), archive)
    corpus = _train_and_test("arman", files, ARMAN, seed)
    if files[names[0]].path.startswith(f"{archive}/"):
        corpus.inputs[archive.name] = Source.from_path(archive).sha256
    return corpus


def read_parstwiner(source: Path, *, fold: int = 1, seed: int = 0) -> Corpus:
    """Read ParsTwiNER, whose splits are the publisher's."""
    corpus, (domain,) = Corpus("parstwiner", {}), domains_of("parstwiner")
    for split in SPLITS:
        file = Source.from_path(source / f"{split}.txt")
        corpus.splits[split] = _read(corpus, f"{split}.txt", file, PARSTWINER, domain)
    return corpus


def read_parsner_social(source: Path, *, fold: int = 1, seed: int = 0) -> Corpus:
    """Read the ten channels; of each, a tenth of the posts is dev and another tenth test."""
    corpus = Corpus("parsner_social", {split: [] for split in SPLITS})
    for domain in domains_of("parsner_social"):
        name = f"{domain}.pos"
        file = _open(source, {name: name}, source / PARSNER_ZIP)[name]
        posts = posts_of(_read(corpus, name, file, PARSNER, domain))
        shares = {"dev": SHARE, "test": SHARE}
        parts = hold_out(
            posts, shares, seed=seed, words_of=lambda post: [w for s in post for w in s.words]
        )
        for split, own in parts.items():
            corpus.splits[split].extend(chain.from_iterable(own))
    return corpus


def _read_prose(key: str, published: str, source: Path, *, fold: int = 1, seed: int = 0) -> Corpus:
    """Read one of the two corpora of prose. The zip may be the channels', to be fetched once."""
    names = {f"{part}.pos": f"{part}_{published}.pos" for part in ("train", "test")}
    archives = (folder / PARSNER_ZIP for folder in (source, source.parent / "parsner_social"))
    files = _open(source, names, *archives)
    return _train_and_test(key, files, replace(PARSNER, post_gap=None), seed)


read_parsner_wiki = partial(_read_prose, "parsner_wiki", "wiki")
read_parsner_press = partial(_read_prose, "parsner_press", "news")
