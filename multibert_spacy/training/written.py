"""Texts that were written to show what domains are like, beside those that corpora hold.

A detector that learns from corpora alone knows how each of them looks, and takes a text from
elsewhere for one of the corpus that is least like the others.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import CorpusError
from .decoration import put_on

__all__ = ["draw_written", "read_rows", "read_written"]

SIZES = (1, 2, 4, 8)
DECORATED = 0.15
"""Share of the groups drawn anew that are decorated."""


def read_written(folder: str | Path, nlp: Language, labels: Sequence[str]) -> list[Doc]:
    """Read what was written about some domains, and about none.

    folder (Path): JSONL files, a line a text: `text`, `domain` (null for none of all domains that
        there are) and `thread`.
    labels (Sequence[str]): The domains; texts of others are left out.
    RETURNS (list[Doc]): In order, with domain and thread.
    RAISES (CorpusError): If there is no such file, or a line lacks a field.
    """
    files = sorted(Path(folder).glob("*.jsonl"))
    if not files:
        raise CorpusError(f"{folder} has no .jsonl file in it: expected texts that were written")
    docs = []
    for row in chain.from_iterable(read_rows(file) for file in files):
        if row["domain"] is None or row["domain"] in labels:
            docs.append(nlp.make_doc(row["text"]))
            docs[-1]._.domain, docs[-1]._.thread = row["domain"], row["thread"]
    return docs


def read_rows(
    file: Path, fields: Sequence[str] = ("text", "domain", "thread")
) -> list[dict[str, Any]]:
    """Read texts of no corpus, a line each.

    file (Path): JSONL.
    fields (Sequence[str]): What every line has.
    RETURNS (list): The lines, in order.
    RAISES (CorpusError): If one lacks a field.
    """
    rows: list[dict[str, Any]] = list(srsly.read_jsonl(file))
    for number, row in enumerate(rows, 1):
        for name in fields:
            if name not in row:
                raise CorpusError.at(str(file), number, "a text that was written", name)
    return rows


def draw_written(docs: Sequence[Doc], *, seed: int = 0) -> list[tuple[str | None, list[Doc]]]:
    """Cut threads to groups of one to eight texts, in order and once more shuffled.

    docs (Sequence[Doc]): What `read_written` returned.
    seed (int): Of the shuffling.
    RETURNS (list): Domain and texts of each group; a few are decorated.
    """
    rng = random.Random(seed)
    threads: dict[tuple[str | None, str], list[Doc]] = defaultdict(list)
    pools: dict[str, list[Doc]] = defaultdict(list)
    for doc in docs:
        threads[doc._.domain, doc._.thread].append(doc)
        if doc._.domain is not None:
            pools[doc._.domain].append(doc)
    groups: list[tuple[str | None, list[Doc]]] = []
    for size in SIZES:
        for (name, _), own in threads.items():
            groups += [(name, own[i : i + size]) for i in range(0, len(own), size)]
        if size > 1:
            mixed = [(name, rng.sample(own, len(own))) for (name, _), own in threads.items()]
            mixed += [(name, rng.sample(own, len(own))) for name, own in pools.items()]
            for name, own in mixed:
                shown = [put_on(doc, rng) if rng.random() < DECORATED else doc for doc in own]
                groups += [(name, shown[i : i + size]) for i in range(0, len(shown), size)]
    return groups
