"""The entities of a doc: whose they are, and writing our own.

As with spaCy's `ner`, entities that are in `doc.ents` when a doc comes stay, and no entity of ours
overlaps them; words that are blocked stay blocked, and no entity of ours has one in it. Words that
are O or missing are ours to tag. An entity that this component wrote when the doc came before is
nobody's: the doc is tagged anew, perhaps with another domain. It is known by its characters and
label, which the span group keeps through `DocBin` and merged words; one that a user has moved or
relabelled since is the user's, and one of a doc that has lost its span group (`span.as_doc()`) is
kept, as nobody can say whose it is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc, Span

from ..errors import ConfigError
from ..text.words import Words
from ..types import Entity
from .entity_group import EntityGroup, characters

__all__ = ["barred_tags", "check_min_score", "foreign_words", "own_entities", "write_entities"]


def own_entities(doc: Doc, key: str) -> list[Span]:
    """doc (Doc): A doc.
    key (str): Where in `doc.spans` our entities are.
    RETURNS (list[Span]): Those of `doc.ents` that are ours, in order.
    """
    if key not in doc.spans:
        return []
    ours = {(start, end, label) for start, end, label, _, _ in characters(doc.spans[key])}
    return [ent for ent in doc.ents if (ent.start_char, ent.end_char, ent.label) in ours]


def foreign_words(doc: Doc, key: str) -> NDArray[np.bool_] | None:
    """doc (Doc): A doc.
    key (str): Where in `doc.spans` our entities are.
    RETURNS (n,) bool: Which of the doc's n words are blocked, or in an entity that is not ours;
        None if none is.
    """
    iob = doc.to_array([ENT_IOB])
    foreign: NDArray[np.bool_] = (iob == 1) | (iob == 3)  # I, and B, which blocked words have too
    if not foreign.any():
        return None
    for ent in own_entities(doc, key):
        foreign[ent.start : ent.end] = False
    return foreign if foreign.any() else None


def barred_tags(
    words: Words, foreign: NDArray[np.bool_] | None, n_tags: int
) -> NDArray[np.bool_] | None:
    """words (Words): The w words of a doc that get a tag.
    foreign (n,) bool: What `foreign_words` returned for the doc.
    n_tags (int): k of its head.
    RETURNS (w, k) bool: Which tags a word cannot have; None where each may have all. Foreign and
        cut words are O, and no entity goes on behind a foreign word that gets no tag.
    """
    if foreign is None and not words.cut.any():
        return None
    barred = np.zeros((len(words.places), n_tags), dtype=np.bool_)
    barred[words.cut, 1:] = True
    if foreign is not None:
        barred[foreign[words.places], 1:] = True
        n_before = np.concatenate([[0], np.cumsum(foreign)])  # foreign words in front of each
        between = n_before[words.places[1:]] > n_before[words.places[:-1] + 1]
        barred[1:][between, 2::2] = True
    return barred


def write_entities(
    doc: Doc, entities: Sequence[Entity], key: str, *, min_score: float, overwrite: bool
) -> None:
    """Write entities to `doc.ents`, their scores to `ent._.score`, and both to `doc.spans`.

    doc (Doc): The doc.
    entities (Sequence[Entity]): Of this doc, in order; they do not overlap.
    key (str): Where in `doc.spans` they are written.
    min_score (float): Those with a lower score are not.
    overwrite (bool): Whether what others wrote goes; else what overlaps it is not written.
    """
    foreign = None if overwrite else foreign_words(doc, key)
    if key in doc.spans:
        for start, end, *_ in characters(doc.spans[key]):
            doc.user_data.pop(("._.", "score", start, end), None)
    entities = [e for e in entities if e.score >= min_score]
    if foreign is not None:
        entities = [e for e in entities if not foreign[e.start : e.end].any()]
    spans = [Span(doc, e.start, e.end, label=e.label) for e in entities]
    if foreign is None:
        doc.set_ents(spans)
    else:
        free = ~foreign
        for e in entities:
            free[e.start : e.end] = False
        outside = [doc[i : i + 1] for i in np.flatnonzero(free).tolist()]
        doc.set_ents(spans, outside=outside, default="unmodified")
    for span, e in zip(spans, entities, strict=True):
        span._.score = float(e.score)
    scores = np.array([e.score for e in entities], dtype=np.float32)
    doc.spans[key] = EntityGroup(doc, name=key, spans=spans, attrs={"scores": scores})


def check_min_score(min_score: float) -> None:
    """RAISES (ConfigError): If it is no number between 0 and 1."""
    if not 0 <= min_score <= 1:
        raise ConfigError(f"min_score must be between 0 (write all) and 1, got {min_score}")
