"""The entities of a doc: whose they are, and writing our own.

As with spaCy's `ner`, entities that are in `doc.ents` when a doc comes stay, and no entity of ours
overlaps them; words that are blocked stay blocked, and no entity of ours has one in it. Words that
are O or missing are ours to tag. An entity that this component wrote when the doc came before is
nobody's: the doc is tagged anew, perhaps with another domain. It is known by its characters and
label, which the span group keeps through `DocBin` and merged words; one that a user has moved or
relabelled since is the user's, and one of a doc that has lost its span group (`span.as_doc()`) is
kept, as nobody can say whose it is.
"""

import struct
from collections.abc import Sequence

import numpy as np
import srsly
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc, Span, SpanGroup

from ..errors import ConfigError
from ..text.readings import Posterior
from ..text.words import Words
from ..types import Entity

__all__ = [
    "EntityGroup",
    "barred_tags",
    "characters",
    "check_min_score",
    "foreign_words",
    "own_entities",
    "reading_spans",
    "write_entities",
]


def own_entities(doc: Doc, key: str) -> list[Span]:
    """The entities of a doc that this component wrote.

    doc (Doc): A doc.
    key (str): Where in `doc.spans` our entities are.
    RETURNS (list[Span]): Those of `doc.ents` that are ours, in order.
    """
    if key not in doc.spans:
        return []
    ours = {(start, end, label) for start, end, label, _, _ in characters(doc.spans[key])}
    return [ent for ent in doc.ents if (ent.start_char, ent.end_char, ent.label) in ours]


def foreign_words(doc: Doc, key: str) -> NDArray[np.bool_] | None:
    """The words of a doc that are not ours to tag.

    doc (Doc): A doc.
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
    """The tags that words cannot have.

    words (Words): The w words of a doc that get a tag.
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
    """Check the setting min_score.

    RAISES (ConfigError): If it is no number between 0 and 1.
    """
    if isinstance(min_score, str) or not 0 <= min_score <= 1:
        raise ConfigError(f"min_score must be between 0 (write all) and 1, got {min_score!r}")


def reading_spans(
    doc: Doc, ent: Span, words: Words, posterior: Posterior | None, n: int
) -> list[tuple[Span, float]]:
    """The most probable readings of an entity.

    doc (Doc): The doc.
    ent (Span): One of `own_entities`.
    words (Words): The words of the doc that are tagged.
    posterior (Posterior): Of these; None if there are none.
    n (int): How many readings.
    RETURNS (list): Up to n spans and their probabilities, the most probable first. A reading of
        which nothing is left in the doc is not there.
    """
    start, end = np.searchsorted(words.places, [ent.start, ent.end]).tolist()
    readings = [Entity(start, end, "", 1.0)]  # of an entity without a word that is tagged
    if posterior is not None and start < end:
        readings = posterior.readings(start, end, n)
    found = []
    for reading in readings:
        placed = [reading._replace(start=ent.start, end=ent.end)]
        if reading.label:
            placed = words.place([reading])
        found += [(Span(doc, e.start, e.end, label=e.label), e.score) for e in placed]
    return found


FORM = struct.Struct(">QQQllll")  # what `SpanGroup.to_bytes` makes of each span


Characters = tuple[int, int, int, int, int]


def characters(group: SpanGroup) -> list[Characters]:
    """The characters of the spans of a group.

    group (SpanGroup): Any, also one whose words have been merged.
    RETURNS (list[tuple]): Of each span its start and end in the text, label, kb_id and id, as they
        were written.
    """
    try:
        spans = [SpanGroup.__getitem__(group, i) for i in range(len(group))]
        return [(s.start_char, s.end_char, s.label, s.kb_id, s.id) for s in spans]
    except IndexError:
        return _unpack(group)


def _unpack(group: SpanGroup) -> list[Characters]:
    """Read `characters` from the group's bytes, which can be read where its spans cannot."""
    spans = srsly.msgpack_loads(SpanGroup.to_bytes(group))["spans"]
    found = []
    for span_id, kb_id, label, _, _, start, end in map(FORM.unpack, spans):
        found.append((start, end, label, kb_id, span_id))
    return found


class EntityGroup(SpanGroup):
    """A span group that stays right when words are merged or split. Read from bytes, it is an
    ordinary one: right, until words are merged or split after that.
    """

    def __getitem__(self, i: int) -> Span:
        """Return the i-th span, of the words that its characters now lie in."""
        try:
            span = super().__getitem__(i)
        except IndexError:
            if not -len(self) <= i < len(self):
                raise
            return self._follow(i)
        words = span.doc[span.start : span.end]
        moved = (words.start_char, words.end_char) != (span.start_char, span.end_char)
        return self._follow(i) if moved else span

    def _follow(self, i: int) -> Span:
        """Return the i-th span where its characters are now.

        It keeps its characters: by these an entity is known to be ours.
        """
        start, end, label, kb_id, span_id = _unpack(self)[i]
        return self.doc.char_span(
            start, end, label, kb_id, span_id=span_id, alignment_mode="expand"
        )

    def to_bytes(self) -> bytes:
        """Return the bytes of a span group with the words that there are now."""
        now = SpanGroup(self.doc, name=self.name, attrs=self.attrs, spans=list(self))
        packed: bytes = now.to_bytes()
        return packed
