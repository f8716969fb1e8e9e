"""The texts that are timed: short ones and long ones, each with a domain."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from spacy.tokens import Doc

from ..domains import DOMAINS

GROUP_SIZE = 8
"""Neighbours that are of one domain, as the posts of a thread or channel."""
LENGTHS = {1: 0.44, 2: 0.2, 4: 0.2, 8: 0.1, 16: 0.05, 48: 0.01}
"""Sentences of a text -> share of the texts. With those of the sample corpus a text has 60 pieces
in the mean (the raw tweets of ParsTwiNER have 49), and one in a hundred is longer than 512."""


class Text(NamedTuple):
    """A raw text and its domain."""

    text: str
    domain: str


def mix(docs: Sequence[Doc], n_texts: int, *, seed: int = 0) -> list[Text]:
    """Join sentences of one domain to short and long texts.

    docs (Sequence[Doc]): Sentences with their domains.
    n_texts (int): How many texts to make.
    seed (int): Of the drawing.
    RETURNS (list[Text]): In runs of eight of one domain, drawn by its share of the sentences.
    """
    rng = random.Random(seed)
    by_domain: dict[str, list[str]] = {}
    for doc in docs:
        by_domain.setdefault(doc._.domain, []).append(doc.text)
    names = sorted(by_domain)
    weights = [len(by_domain[name]) for name in names]
    sizes = list(LENGTHS)
    texts: list[Text] = []
    while len(texts) < n_texts:
        name = rng.choices(names, weights)[0]
        for n in rng.choices(sizes, list(LENGTHS.values()), k=GROUP_SIZE):
            texts.append(Text(" ".join(rng.choices(by_domain[name], k=n)), name))
    return texts[:n_texts]


def domain_names(n_domains: int) -> list[str]:
    """RETURNS (list[str]): The project's own domains, as far as they are enough, or numbers."""
    if n_domains <= len(DOMAINS):
        return list(DOMAINS)[:n_domains]
    return [f"domain_{i:03}" for i in range(n_domains)]


def given_domains(texts: Sequence[Text], names: Sequence[str], *, seed: int = 0) -> list[str]:
    """RETURNS (list[str]): The domain that each text is tagged as: its own if the pipeline has it
    among its names, else a drawn one.
    """
    rng = random.Random(seed)
    drawn = [rng.choice(names) for _ in texts]
    known = set(names)
    return [t.domain if t.domain in known else d for t, d in zip(texts, drawn, strict=True)]
