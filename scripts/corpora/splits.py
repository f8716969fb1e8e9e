"""Splits: what chance decides, and the guard that no sentence stands on both sides.

Chance is a hash of the text and the seed, not a random generator: it is the same under every
version of Python, texts that occur twice fall on the same side (but for one at the cut), and a
few texts more or less in the file leave nearly all others where they were.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

from multibert_spacy.errors import CorpusError

from .sentence import SPLITS, Corpus, Sentence

__all__ = ["check_splits", "drop_leaks", "hold_out", "normal_form", "posts_of"]

T = TypeVar("T")

# Letters that Persian texts write in two ways, Arabic or Persian.
_LETTERS = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک", "ۀ": "ه", "ة": "ه", "ە": "ه"})
_HAMZA_ALEF = str.maketrans({"أ": "ا", "إ": "ا", "ٱ": "ا", "ـ": None})
_SKIPPED = ("Cf", "Mn", "Zs", "Zl", "Zp", "Cc")


def normal_form(words: Iterable[str]) -> str:
    """What is compared to find the same sentence twice; never written anywhere.

    Letter variants, digits and Latin case are unified; ZWNJ, spaces (also those between tokens),
    marks and invisible characters are left out, so that `می‌رود`, `می رود` and `میرود` are one.
    That is coarser than comparing token by token: in doubt a sentence counts as the same.

    RETURNS (str): The form; the plain tokens if nothing would be left.
    """
    plain = " ".join(words)
    text = unicodedata.normalize("NFKC", plain).translate(_LETTERS).translate(_HAMZA_ALEF)
    kept = []
    for char in text.casefold():
        digit = unicodedata.decimal(char, None)
        if digit is not None:
            kept.append(str(digit))
        elif unicodedata.category(char) not in _SKIPPED:
            kept.append(char)
    return "".join(kept) or plain


def posts_of(sentences: Sequence[Sentence]) -> list[list[Sentence]]:
    """Cut sentences into posts: neighbours with the same thread."""
    return [list(run) for _, run in groupby(sentences, lambda sentence: sentence.thread)]


def hold_out(
    items: Sequence[T],
    shares: Mapping[str, float],
    *,
    seed: int,
    words_of: Callable[[T], Iterable[str]],
) -> dict[str, list[T]]:
    """Cut items into train and held-out parts; each part keeps their order.

    shares (Mapping[str, float]): Part of the items for each held-out split, at least one item
        each as long as one is left for train.
    RETURNS (dict[str, list[T]]): Items by split, `train` first.
    """

    def rank(index: int) -> tuple[bytes, int]:
        text = f"{seed}/{normal_form(words_of(items[index]))}"
        return hashlib.sha256(text.encode()).digest(), index

    ranked = sorted(range(len(items)), key=rank)
    names = dict.fromkeys(range(len(items)), "train")
    taken = 0
    for name, share in shares.items():
        n_items = min(max(1, round(len(items) * share)), max(0, len(items) - 1 - taken))
        names.update(dict.fromkeys(ranked[taken : taken + n_items], name))
        taken += n_items
    parts: dict[str, list[T]] = {name: [] for name in ("train", *shares)}
    for index, item in enumerate(items):
        parts[names[index]].append(item)
    return parts


def check_splits(corpora: Iterable[Corpus]) -> None:
    """Refuse corpora that have nothing to train or to be scored on. `drop_leaks` leaves a split
    empty where all of it stands in another, as when train and test are the same file.
    """
    for corpus in corpora:
        found = {name: {s.domain for s in own} for name, own in corpus.splits.items()}
        for split in SPLITS:
            if missing := sorted(set().union(*found.values()) - found[split]):
                raise CorpusError(
                    f"{corpus.name} has no sentence left in {split} for {', '.join(missing)}: "
                    "what stands in test is taken out of train and dev, and what stands in dev "
                    "out of train. Are two of its files the same, or is one too short?"
                )


def drop_leaks(
    corpora: Iterable[Corpus], outside: Iterable[str] = ()
) -> dict[str, dict[str, dict[str, Counter[str]]]]:
    """Take out of train what stands in any dev or test part, and out of dev what stands in test;
    out of both what stands outside.

    Sentences, not posts, are dropped: channels repeat their footer in nearly every post, and by
    posts next to nothing would be left of some. The corpora are changed in place.

    RETURNS (dict): Dropped sentences, tokens and entities by corpus, split and domain.
    """
    corpora = list(corpora)
    held: set[str] = {
        normal_form(sentence.words) for corpus in corpora for sentence in corpus.splits["test"]
    }
    held |= {normal_form([text]) for text in outside}
    dropped: dict[str, dict[str, dict[str, Counter[str]]]] = {}
    for split in ("dev", "train"):
        seen: set[str] = set()
        for corpus in corpora:
            kept: list[Sentence] = []
            counts: dict[str, Counter[str]] = {}
            for sentence in corpus.splits[split]:
                form = normal_form(sentence.words)
                if form not in held:
                    seen.add(form)
                    kept.append(sentence)
                    continue
                counts.setdefault(sentence.domain, Counter()).update(
                    sentences=1, tokens=len(sentence.words), entities=sentence.entities.total()
                )
            corpus.splits[split] = kept
            dropped.setdefault(corpus.name, {})[split] = counts
        held |= seen
    return dropped
