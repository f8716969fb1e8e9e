"""A span group whose spans follow their characters.

spaCy's retokenizer leaves span groups as they are: after a merge their spans name other words, or
words that there are not, and then looking at one, or `doc.to_json()`, is an IndexError. The
characters that a group knows beside the words stay right.
"""

import struct

import srsly
from spacy.tokens import Span, SpanGroup

__all__ = ["EntityGroup", "characters"]

FORM = struct.Struct(">QQQllll")  # what `SpanGroup.to_bytes` makes of each span


Characters = tuple[int, int, int, int, int]


def characters(group: SpanGroup) -> list[Characters]:
    """group (SpanGroup): Any, also one whose words have been merged.
    RETURNS (list[tuple]): Of each span its start and end in the text, label, kb_id and id, as they
        were written.
    """
    try:
        spans = [SpanGroup.__getitem__(group, i) for i in range(len(group))]
        return [(s.start_char, s.end_char, s.label, s.kb_id, s.id) for s in spans]
    except IndexError:
        return _unpack(group)


def _unpack(group: SpanGroup) -> list[Characters]:
    """As `characters`, from the group's bytes, which can be read where its spans cannot."""
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
        """RETURNS (Span): The i-th span; of the words that its characters now lie in."""
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
        """What was written stays: of which characters an entity is says whether it is ours."""
        start, end, label, kb_id, span_id = _unpack(self)[i]
        return self.doc.char_span(
            start, end, label, kb_id, span_id=span_id, alignment_mode="expand"
        )

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): Of a span group with the words that there are now."""
        now = SpanGroup(self.doc, name=self.name, attrs=self.attrs, spans=list(self))
        packed: bytes = now.to_bytes()
        return packed
