"""What the tagger scores where it is told each text's domain.

In a pipeline with a detector, F1 "of a domain" is that of whichever adapter the detector chose.
Both figures are wanted: what a user gets who knows nothing, and what the domain's own adapter
does.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from spacy.tokens import Doc, Span
from spacy.training import Example

__all__ = ["GivenScores"]


class GivenScores:
    """The half of `MultibertNER` that is scored."""

    scorer: Callable[..., dict[str, Any]] | None
    spans_key: str
    cfg: dict[str, Any]
    predict: Callable[[list[Doc]], Any]
    set_annotations: Callable[[list[Doc], Any], None]

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains."""
        raise NotImplementedError

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all domains."""
        raise NotImplementedError

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score a batch of examples, see `multibert_spacy.domain_ner_scorer.v1`.

        examples (Iterable[Example]): The predicted docs as they were tagged. Of those whose gold
            domain is one of ours and was not used a copy is tagged again, with that domain.
        RETURNS (dict): The scorer's scores and, where there is a gold domain, what they are with
            the domains given: its `ents_…` as `ents_given_…`.
        """
        if self.scorer is None:
            return {}
        examples = list(examples)
        kwargs = {**self.cfg, "labels": self.labels, **kwargs}
        scores = self.scorer(examples, **kwargs)
        gold = [eg.reference._.domain for eg in examples]
        if any(domain in self.domains for domain in gold):
            given = self.scorer(self._retag(examples, gold), **kwargs)
            for name, value in given.items():
                scores[name.replace("ents_", "ents_given_", 1)] = value
        return scores

    def _retag(self, examples: Sequence[Example], gold: Sequence[Any]) -> list[Example]:
        """RETURNS (list): The examples, each as if its gold domain had been given."""
        given = list(examples)
        wrong = [
            i
            for i, eg in enumerate(examples)
            if gold[i] in self.domains and eg.predicted._.domain != gold[i]
        ]
        docs = []
        for i in wrong:
            doc = _untagged(examples[i].predicted, self.spans_key)
            doc._.domain = gold[i]
            docs.append(doc)
        if docs:
            self.set_annotations(docs, self.predict(docs))
        for i, doc in zip(wrong, docs, strict=True):
            given[i] = Example(doc, examples[i].reference)
        return given


def _untagged(doc: Doc, spans_key: str) -> Doc:
    """RETURNS (Doc): A new doc with the same words, and the entities that were there before."""
    new = Doc(
        doc.vocab,
        words=[word.text for word in doc],
        spaces=[bool(word.whitespace_) for word in doc],
    )
    own = {(span.start, span.end, span.label) for span in doc.spans.get(spans_key, ())}
    before = [ent for ent in doc.ents if (ent.start, ent.end, ent.label) not in own]
    spans = [Span(new, ent.start, ent.end, label=ent.label) for ent in before]
    if spans:
        new.set_ents(spans, default="missing")
    return new
