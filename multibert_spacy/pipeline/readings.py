"""How the tagger reads docs: from their words to what the chain makes of them, the entities or
what else these may be.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span

from ..engines.threads import run_batches
from ..errors import ConfigError
from ..networks.tagger_model import TaggerModel
from ..text.readings import posteriors
from ..text.words import Words
from ..types import Entity
from .batching import Row, by_name, doc_rows, doc_words, in_order, join_by_doc, row_batches
from .entities import barred_tags, foreign_words, own_entities

__all__ = ["TaggerReadings"]

T = TypeVar("T")


class TaggerReadings:
    """The part of the tagger that reads docs, and writes nothing."""

    model: TaggerModel
    normalizer: Callable[[str], str]
    window: int
    overlap: int
    batch_pieces: int
    spans_key: str
    overwrite_ents: bool
    hashtag_heads: Collection[str]
    domain_of: Callable[..., str]

    def _rows(self, docs: Sequence[Doc], domains: Sequence[str]) -> tuple[list[Row], list[Words]]:
        signs = [self.model.module.head_name(domain) in self.hashtag_heads for domain in domains]
        rows = doc_rows(
            docs,
            domains,
            self.model.core,
            self.normalizer,
            window=self.window,
            overlap=self.overlap,
            signs=signs,
        )
        return rows, doc_words(rows, docs, signs)

    def _decode(
        self, docs: Sequence[Doc], decode: Callable[..., list[T]]
    ) -> list[tuple[Words, T]]:
        """Read docs. decode (Callable): As `decode_entities`; its results are by tagged words."""
        view = self.model.view()
        domains = [self.domain_of(doc, view.domains) for doc in docs]
        rows, words = self._rows(docs, domains)
        batches = list(row_batches(rows, view, self.batch_pieces))
        results = run_batches(view.predict, [batch for _, batch in batches], view.core.engine)
        indices = (index for index, _ in batches)
        logits = in_order(len(rows), zip(indices, results, strict=True))
        read: list[Any] = [None] * len(docs)
        scores = join_by_doc(rows, logits, words)
        # By head, not by domain: Viterbi takes as many steps for one doc as for a hundred.
        for _, members in by_name([view.head_name(domain) for domain in domains]):
            labels = view.labels_of(domains[members[0]])
            transitions = view.transitions_of(domains[members[0]])
            barred = [self._barred(docs[i], words[i], len(transitions)) for i in members]
            found = decode([scores[i] for i in members], labels, transitions, barred)
            for i, own in zip(members, found, strict=True):
                read[i] = words[i], own
        return read

    def _barred(self, doc: Doc, words: Words, n_tags: int) -> NDArray[np.bool_] | None:
        foreign = None if self.overwrite_ents else foreign_words(doc, self.spans_key)
        return barred_tags(words, foreign, n_tags)

    def alternatives(self, doc: Doc, n: int = 3) -> list[list[tuple[Span, float]]]:
        """The most probable readings of each of our entities in a tagged doc.

        A reading of an entity is a span with a label that overlaps it: its borders may lie
        elsewhere, its label may be another, only a part of it may be one. That its words are in no
        entity is a reading too: a span over them with the label "". Each has its probability under
        the chain, given the whole doc and what others wrote into `doc.ents`. It is exact; and it
        is not `ent._.score`, the mean over the words, which may be high where only the borders
        are sure. Readings that exclude each other sum to at most 1; others may hold together.

            for ent, readings in zip(ours, tagger.alternatives(doc)):
                [(span.text, span.label_, round(p, 2)) for span, p in readings]

        The doc is read once more, with `doc._.domain`; it is not changed.

        doc (Doc): A doc that this component has tagged.
        n (int): How many readings of each entity, at least 1.
        RETURNS (list): For each entity, in the order of `doc.ents` (without those of others), up
            to n pairs of a Span and its probability above 0, the most probable first.
        RAISES (ConfigError): If n is below 1.
        RAISES (DomainError): If the doc's domain is unknown.
        """
        if not isinstance(n, int) or n < 1:
            raise ConfigError(f"alternatives(doc, n={n!r}): n must be a whole number, at least 1")
        entities = own_entities(doc, self.spans_key)
        if not entities:
            return []
        ((words, posterior),) = self._decode([doc], posteriors)
        found = []
        for ent in entities:
            start, end = np.searchsorted(words.places, [ent.start, ent.end]).tolist()
            readings = [Entity(start, end, "", 1.0)]  # of an entity without a word that is tagged
            if posterior is not None and start < end:
                readings = posterior.readings(start, end, n)
            found.append([pair for r in readings for pair in _spans(doc, ent, words, r)])
        return found


def _spans(doc: Doc, ent: Span, words: Words, reading: Entity) -> Sequence[tuple[Span, float]]:
    """RETURNS (list): One pair; none where nothing is left of the reading in the doc."""
    if not reading.label:
        return [(Span(doc, ent.start, ent.end, label=""), reading.score)]
    placed = words.place([reading])
    return [(Span(doc, e.start, e.end, label=e.label), e.score) for e in placed]
