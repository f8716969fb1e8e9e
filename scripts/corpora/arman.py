"""ARMAN: formal news in three folds whose test parts are disjoint (research use only).

Published scores near 99 join the three train parts and the three test parts, which puts every
test sentence into train; here one fold is taken at a time.
"""

import zipfile
from pathlib import Path, PurePosixPath

from multibert_spacy.errors import ConfigError, CorpusError

from .conll import Layout, Source, check_size, read_sentences
from .sentence import Corpus
from .splits import hold_out

__all__ = ["ARCHIVE", "FOLDS", "read_arman"]

ARCHIVE = "ArmanPersoNERCorpus.zip"
FOLDS = (1, 2, 3)
DOMAIN = "news"
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


def _read_archive(archive: Path, names: list[str]) -> list[Source]:
    """Read members by base name, wherever in the archive they lie, without extracting it. Nothing
    is unpacked whose size was not looked at first: 6 MB can hold gigabytes.
    """
    sources = []
    try:
        with zipfile.ZipFile(archive) as file:
            members = [m for m in file.infolist() if not m.filename.startswith("__MACOSX/")]
            paths = [PurePosixPath(member.filename) for member in members]
            for name in names:
                found = [m for m, path in zip(members, paths, strict=True) if path.name == name]
                if len(found) != 1:
                    listed = ", ".join(sorted(p.name for p in paths if p.suffix)) or "nothing"
                    raise CorpusError(
                        f"{archive}: expected one file '{name}' inside, found {len(found)}. "
                        f"The archive has: {_shortened(listed)}"
                    )
                sources.append(_read_member(archive, file, found[0]))
    except CorpusError:
        raise
    except Exception as err:  # zipfile and what it unpacks with raise a dozen types
        raise CorpusError(f"{archive}: expected a readable zip archive, found: {err!r}") from err
    return sources


def _read_member(archive: Path, file: zipfile.ZipFile, member: zipfile.ZipInfo) -> Source:
    """One member. What its header says of its size is where zipfile stops reading, for the two
    ways of packing that publishers use; others are unpacked by the block, whatever its size.
    """
    path = f"{archive}/{member.filename}"
    check_size(path, member.file_size)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CorpusError(
            f"{path}: expected a member that is stored or deflated, found the compression method "
            f"{member.compress_type}"
        )
    return Source(path, file.read(member))


def _shortened(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


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
        files = _read_archive(archive, names)
    digests = {name: file.sha256 for name, file in zip(names, files, strict=True)}
    return files, {**inputs, **digests}


def read_arman(source: Path, *, fold: int, seed: int) -> Corpus:
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
