"""What a domain is, out of configs/domains.yml: the only list of heads, domains and corpora."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import srsly

__all__ = ["CORPORA", "DOMAINS", "FILE", "HEADS", "LABELS", "CorpusEntry", "Domain", "domains_of"]

FILE = Path(__file__).resolve().parents[1] / "configs" / "domains.yml"


@dataclass(frozen=True)
class CorpusEntry:
    """A corpus as it is published: what it is, whose, where from, under which licence, cut how.

    key (str): Names its folder in assets/persian, and it in reports.
    reader (str): As module:function.
    types (Sequence[str]): The labels that it marks: its heads may have more.
    """

    key: str
    name: str
    what: str
    author: str
    url: str
    licence: str
    commit: str = ""
    reader: str = ""
    splits: str = ""
    types: Sequence[str] = ()

    def read(self, source: Path, **settings: int) -> Any:
        """Call its reader. RETURNS (Corpus): With its splits.
        source (Path): Folder of its files. settings (int): fold and seed.
        """
        module, _, function = self.reader.partition(":")
        return getattr(import_module(module), function)(source, **settings)


@dataclass(frozen=True)
class Domain:
    """A domain: its head, its corpus, in Persian what belongs to it, and others that are alike."""

    name: str
    head: str
    corpus: CorpusEntry
    description: str
    alike: tuple[str, ...] = ()


_data = srsly.read_yaml(FILE)
CORPORA = {key: CorpusEntry(key, **own) for key, own in _data["corpora"].items()}
LABELS: dict[str, dict[str, str]] = {head: own["labels"] for head, own in _data["heads"].items()}
"""Head -> label -> what it means."""
DOMAINS = {
    name: Domain(
        name, head, CORPORA[entry["corpus"]], entry["description"], tuple(entry.get("alike", ()))
    )
    for head, own in _data["heads"].items()
    for name, entry in own["domains"].items()
}
HEADS: dict[str, list[str]] = {head: list(own["domains"]) for head, own in _data["heads"].items()}
"""Head -> its domains."""


def domains_of(corpus: str) -> tuple[str, ...]:
    """RETURNS (tuple[str, ...]): The domains of a corpus. corpus (str): Its key."""
    return tuple(name for name, own in DOMAINS.items() if own.corpus.key == corpus)
