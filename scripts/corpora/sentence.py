"""The two shapes that readers return: one sentence (or tweet), and one corpus cut into splits."""

from collections import Counter
from dataclasses import dataclass, field

SPLITS = ("train", "dev", "test")

# Counts by (domain, kind).
Tally = Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What becomes one Doc.

    words (tuple[str, ...]): Tokens in their raw form, none empty.
    tags (tuple[str, ...]): Legal BIO tags in the project's names, one per word.
    domain (str): Value of `doc._.domain`.
    thread (str | None): Value of `doc._.thread`: the post, where the corpus has posts.
    pos (tuple[str, ...]): Parts of speech, one per word; empty where the corpus has none.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    domain: str
    thread: str | None = None
    pos: tuple[str, ...] = ()

    @property
    def entities(self) -> Counter[str]:
        """Entities by type."""
        return Counter(tag[2:] for tag in self.tags if tag.startswith("B-"))


@dataclass(slots=True)
class Corpus:
    """One corpus with its splits and what was noticed while reading it.

    splits (dict[str, list[Sentence]]): Sentences in file order, by the names in `SPLITS`.
    repaired (Tally): Illegal BIO tags by (domain, kind).
    odd_tokens (Tally): Tokens that needed a decision, by (domain, kind); see `conll`.
    inputs (dict[str, str]): SHA-256 of every input, by base name.
    """

    name: str
    splits: dict[str, list[Sentence]]
    repaired: Tally = field(default_factory=Counter)
    odd_tokens: Tally = field(default_factory=Counter)
    inputs: dict[str, str] = field(default_factory=dict)
