"""Docs tagged again with their gold domains, so that each domain's own adapter is scored.

In a pipeline with a detector, F1 "of a domain" is that of whichever adapter the detector chose.
Both figures are wanted: what a user gets who knows nothing, and what the domain's own adapter
does.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from spacy.tokens import Doc, Span
from spacy.training import Example

__all__ = ["with_gold_domains"]


class _Tagger(Protocol):
    """The part of `multibert_ner` that is needed here."""

    spans_key: str
    predict: Callable[[list[Doc]], Any]
    set_annotations: Callable[[list[Doc], Any], None]

    @property
    def domains(self) -> tuple[str, ...]: ...


def with_gold_domains(tagger: _Tagger, examples: Sequence[Example]) -> list[Example]:
    """Tag docs as if their gold domains had been given.

    tagger (MultibertNER): Tags them.
    examples (Sequence[Example]): Predicted docs as they were tagged; they are not changed.
    RETURNS (list[Example]): The same, but where the gold domain is one of the tagger's and was not
        used there is an example with a new doc.
    """
    found = list(examples)
    docs, known = {}, tagger.domains
    for i, eg in enumerate(examples):
        gold = eg.reference._.domain
        if gold in known and eg.predicted._.domain != gold:
            docs[i] = _untagged(eg.predicted, tagger.spans_key)
            docs[i]._.domain = gold
    if docs:
        tagger.set_annotations(list(docs.values()), tagger.predict(list(docs.values())))
    for i, doc in docs.items():
        found[i] = Example(doc, examples[i].reference)
    return found


def _untagged(doc: Doc, key: str) -> Doc:
    """Copy a doc without our entities.

    doc (Doc): A tagged doc.
    key (str): Where in `doc.spans` our entities are.
    RETURNS (Doc): A new doc with the same words, and the entities that are not ours.
    """
    new = Doc(
        doc.vocab,
        words=[word.text for word in doc],
        spaces=[bool(word.whitespace_) for word in doc],
    )
    own = {(span.start, span.end, span.label) for span in doc.spans.get(key, ())}
    before = [ent for ent in doc.ents if (ent.start, ent.end, ent.label) not in own]
    spans = [Span(new, ent.start, ent.end, label=ent.label) for ent in before]
    if spans:
        new.set_ents(spans, default="missing")
    return new
