"""What the weights were learned from, and under which licence that is: for the model cards,
`nlp.meta`, the wheel's LICENSE files and (checked by a test) `LICENCES.md`. The corpora stand in
configs/domains.yml.

An adapter's licence is that of all corpora that went into it. Step one trains a head and a shared
adapter on every domain of the head, and step two starts from them: so `tweet` has learned from
ARMAN as much as `news` has, and with the shipped adapters the two are even the same weights.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import srsly
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..domains import CORPORA, DOMAINS, FILE, HEADS, CorpusEntry

NONE_STATED = "none stated"
RESEARCH_ONLY = "academic research only"
CORE: list[dict[str, str]] = srsly.read_json(Path(__file__).parent / "settings" / "sources.json")
"""What the core was made of, as `source` has it."""
SAMPLE = CorpusEntry("sample", "sample corpus", "synthetic texts", "multibert_spacy", "", "MIT")
ADAPTERS = FILE.parents[1] / "assets" / "adapters" / "domains"
SHIPPED_HEADS = {
    head: [name for name in own if (ADAPTERS / name).is_dir()] for head, own in HEADS.items()
}
"""Head -> its domains whose adapters are shipped: others may be known and not yet trained."""


STARTED_WITH = {"social": ["formal"]}
"""Head -> other heads whose adapters are in the mean that its own were trained from ([joint] of
configs/runs/shipped.cfg)."""


def source(corpus: CorpusEntry) -> dict[str, str]:
    """RETURNS (dict): A corpus as spaCy's own pipelines write their sources."""
    name = f"{corpus.name} ({corpus.what})"
    return {"name": name, "author": corpus.author, "url": corpus.url, "license": corpus.licence}


def corpora_of(*domains: str) -> list[CorpusEntry]:
    """RETURNS (list[CorpusEntry]): What the adapters and heads of domains have learned from: the
    corpora of these, and of all shipped domains of their heads and of those they started with.
    """
    heads = {DOMAINS[name].head for name in domains}
    heads |= {other for head in heads for other in STARTED_WITH.get(head, ())}
    names = {*domains, *(name for head in heads for name in SHIPPED_HEADS[head])}
    found = {DOMAINS[name].corpus.key for name in names}
    return [corpus for key, corpus in CORPORA.items() if key in found]


SHIPPED = corpora_of(*(name for own in SHIPPED_HEADS.values() for name in own))


def licence_of_weights(corpora: Iterable[CorpusEntry]) -> str:
    """RETURNS (str): What may be done with weights that were learned from these corpora, which is
    what the strictest of their licences lets one do; a sentence's part, as "MIT".
    """
    names: dict[str, list[str]] = {RESEARCH_ONLY: [], NONE_STATED: []}
    for corpus in corpora:
        names.setdefault(corpus.licence, []).append(corpus.name)
    strict, unstated = (", ".join(names[key]) for key in (RESEARCH_ONLY, NONE_STATED))
    parts = [f"research use only, as {strict}"] if strict else []
    if unstated:
        say, whose = ("states", "its") if len(names[NONE_STATED]) == 1 else ("state", "their")
        parts.append(f"{unstated} {say} none: ask {whose} authors before more than research")
    return "; ".join(parts) or "MIT"


def learned_from(corpora: Iterable[CorpusEntry]) -> str:
    """RETURNS (str): The corpora, each with what it is and its licence."""
    listed = (f"{own.name} ({own.what}; licence: {own.licence})" for own in corpora)
    return f"the train and dev parts of {'; '.join(listed)}"


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


TEXTS = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("texts"), encoding="utf8"),
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)
TEXTS.filters["percent"] = percent
TEXTS.globals |= {"learned_from": learned_from, "licence_of_weights": licence_of_weights}


def render(template: str, **values: Any) -> str:
    """RETURNS (str): A card, a licence or a note. template (str): One in texts/."""
    return TEXTS.get_template(f"{template}.jinja").render(values)
