"""The texts that are timed: short ones and long ones, each with a domain."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spacy.tokens import Doc

from ..domains import DOMAINS

__all__ = ["GROUP_SIZE", "LENGTHS", "Text", "domain_names", "given_domains", "mix", "read_texts"]

GROUP_SIZE = 8
"""Neighbours that are of one domain, as the posts of a thread or channel."""
LENGTHS = {1: 0.44, 2: 0.2, 4: 0.2, 8: 0.1, 16: 0.05, 48: 0.01}
"""Sentences of a text -> share of the texts. With those of the sample corpus a text has 60 pieces
in the mean (the raw tweets of ParsTwiNER have 49), and one in a hundred is longer than 512."""


class Text(NamedTuple):
    """A raw text and its domain, if it has one."""

    text: str
    domain: str | None = None


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
    texts = []
    while len(texts) < n_texts:
        name = rng.choices(names, weights)[0]
        for n in rng.choices(sizes, list(LENGTHS.values()), k=GROUP_SIZE):
            texts.append(Text(" ".join(rng.choices(by_domain[name], k=n)), name))
    return texts[:n_texts]


def read_texts(path: Path, n_texts: int) -> list[Text]:
    """Read one's own texts.

    path (Path): JSONL with `text` and perhaps `domain`, if its name ends in .jsonl, or else one
        text per line.
    n_texts (int): At the most; 0 is all. Empty ones are left out.
    RAISES (ValueError): If a line is no JSON object with a text, or if there is no text.
    """
    texts = []
    with path.open(encoding="utf8") as file:
        for number, line in enumerate(file, 1):
            if n_texts and len(texts) == n_texts:
                break
            if line.strip():
                own = path.suffix == ".jsonl"
                texts.append(_parse(line, path, number) if own else Text(line.strip()))
    if not texts:
        raise ValueError(f"{path} holds no text")
    return texts


def _parse(line: str, path: Path, number: int) -> Text:
    try:
        row: Any = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError(f'{path}, line {number}: expected {{"text": …}}, found {line[:60]!r}')
    return Text(row["text"], row.get("domain"))


def domain_names(n_domains: int) -> list[str]:
    """RETURNS (list[str]): The project's own domains, as far as they are enough, or numbers."""
    if n_domains <= len(DOMAINS):
        return list(DOMAINS)[:n_domains]
    return [f"domain_{i:03}" for i in range(n_domains)]


def given_domains(texts: Sequence[Text], names: Sequence[str], *, seed: int = 0) -> list[str]:
    """The domain that each text is tagged as: its own if the pipeline has it, else a drawn one.

    texts (Sequence[Text]): The texts.
    names (Sequence[str]): Domains of the pipeline.
    seed (int): Of the drawing.
    """
    rng = random.Random(seed)
    drawn = [rng.choice(names) for _ in texts]
    known = set(names)
    return [
        text.domain if text.domain is not None and text.domain in known else other
        for text, other in zip(texts, drawn, strict=True)
    ]
