"""`multibert_ner`: tags each doc with the adapter of its domain.

    words -> normal forms -> pieces -> windows -> batches (domains mixed) -> logits -> entities

The batch that goes through the core is cut by length and by a budget of pieces, never by domain.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from spacy import util
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example, validate_examples
from spacy.vocab import Vocab
from thinc.api import Config, Optimizer

from ..errors import ConfigError
from ..models.compute import run_batches
from ..models.tagger_model import TaggerModel
from ..text.batching import batch_by_pieces
from ..text.spans import decode_entities
from ..text.threads import apply_context
from ..text.windows import check_window
from ..types import Entity, Floats2d
from .domains import TaggerDomains
from .feeding import AdaptedFeeder
from .tagging import (
    Row,
    by_name,
    doc_loss,
    doc_rows,
    gold_tags,
    join_by_doc,
    row_batches,
    split_by_row,
)

__all__ = ["MultibertNER", "make_multibert_ner"]

DEFAULT_CONFIG = Config().from_str("""
[multibert_ner]
default_domain = null
window = 512
overlap = 128
batch_pieces = 4096
spans_key = "multibert_ner"

[multibert_ner.normalizer]
@misc = "multibert_spacy.HazmNormalizer.v1"

[multibert_ner.scorer]
@scorers = "multibert_spacy.domain_ner_scorer.v1"

[multibert_ner.model]
@architectures = "multibert_spacy.Tagger.v1"
dropout = 0.1

[multibert_ner.model.adapter]
@misc = "multibert_spacy.LoRA.v1"

[multibert_ner.model.core]
@architectures = "multibert_spacy.CoreListener.v1"
upstream = "*"
""")["multibert_ner"]


@Language.factory(
    "multibert_ner",
    requires=["doc._.domain"],
    assigns=["doc.ents", "doc.spans", "token.ent_iob", "token.ent_type", "token.norm"],
    default_config=DEFAULT_CONFIG,
    default_score_weights={
        **{"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_macro_f": 0.0},
        **{"ents_per_type": None, "ents_per_domain": None},
    },
)
def make_multibert_ner(
    nlp: Language,
    name: str,
    model: TaggerModel,
    normalizer: Callable[[str], str],
    default_domain: str | None,
    window: int,
    overlap: int,
    batch_pieces: int,
    spans_key: str,
    scorer: Callable[..., dict[str, Any]] | None,
) -> "MultibertNER":
    """Construct the tagger.

    model (TaggerModel): `multibert_spacy.Tagger.v1`.
    normalizer (Callable): Normal form of a word, which the network sees; `doc.text` stays.
    default_domain (str): For docs without a domain. None makes such a doc an error.
    window (int): Pieces of a window, with the two special ones; at most what the core takes.
    overlap (int): Pieces that neighbouring windows of a long doc share.
    batch_pieces (int): Pieces of one forward pass.
    spans_key (str): Where in `doc.spans` the entities with their scores are written.
    scorer (Callable): The scoring method.
    """
    return MultibertNER(
        nlp.vocab,
        model,
        name,
        normalizer=normalizer,
        default_domain=default_domain,
        window=window,
        overlap=overlap,
        batch_pieces=batch_pieces,
        spans_key=spans_key,
        scorer=scorer,
    )


class MultibertNER(AdaptedFeeder, TaggerDomains, TrainablePipe):
    """Pipeline component for named entities, with one adapter per domain."""

    def __init__(
        self,
        vocab: Vocab,
        model: TaggerModel,
        name: str = "multibert_ner",
        *,
        normalizer: Callable[[str], str],
        default_domain: str | None = None,
        window: int = 512,
        overlap: int = 128,
        batch_pieces: int = 4096,
        spans_key: str = "multibert_ner",
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        """See `make_multibert_ner`. RAISES (ConfigError): For settings that make no sense."""
        check_window(window - 2, overlap)
        batch_by_pieces([], batch_pieces)
        self.vocab = vocab
        self.model = model
        self.name = name
        self.normalizer = normalizer
        self.window = window
        self.overlap = overlap
        self.batch_pieces = batch_pieces
        self.spans_key = spans_key
        self.scorer = scorer
        self.configured_domain = default_domain
        self.cfg: dict[str, Any] = {"default_domain": default_domain}

    def _domain_of(self, doc: Doc) -> str:
        apply_context(doc)
        domain = doc._.domain if doc._.domain is not None else self.cfg["default_domain"]
        return self.known_domain(domain)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tag a stream. The results do not depend on batch_size. A doc that fails goes alone to
        the error handler.

        stream (Iterable[Doc]): Docs.
        batch_size (int): Docs to buffer; inside the buffer they are sorted by length.
        YIELDS (Doc): The docs, in order.
        """
        for docs in util.minibatch(stream, size=batch_size):
            try:
                self.set_annotations(docs, self.predict(docs))
            except Exception:  # find the one: `__call__` goes to the error handler
                docs = [doc for doc in map(self, docs) if doc is not None]
            yield from docs

    def predict(self, docs: Iterable[Doc]) -> list[list[Entity]]:
        """docs (Iterable[Doc]): Docs with a domain. Not modified, apart from what a context of
            `nlp.pipe(as_tuples=True)` says about them.
        RETURNS (list[list[Entity]]): Entities of each doc.
        RAISES (DomainError): If a doc's domain is unknown.
        """
        docs = list(docs)
        domains = [self._domain_of(doc) for doc in docs]
        rows = self._rows(docs, domains)
        logits: list[Any] = [None] * len(rows)
        batches = list(row_batches(rows, self.model, self.batch_pieces))
        engine = self.model.core.engine
        results = run_batches(self.model.predict, [batch for _, batch in batches], engine)
        for (index, _), parts in zip(batches, results, strict=True):
            for i, part in zip(index, parts, strict=True):
                logits[i] = part
        entities: list[list[Entity]] = [[] for _ in docs]
        scores = join_by_doc(rows, logits, len(docs))
        # By head, not by domain: Viterbi takes as many steps for one doc as for a hundred.
        for _, members in by_name([self.model.module.head_name(domain) for domain in domains]):
            labels = self.labels_of(domains[members[0]])
            transitions = self.model.transitions_of(domains[members[0]])
            found = decode_entities([scores[i] for i in members], labels, transitions)
            for i, own in zip(members, found, strict=True):
                entities[i] = own
        return entities

    def set_annotations(self, docs: Sequence[Doc], predictions: Sequence[list[Entity]]) -> None:
        """Write entities, their scores and the normal forms of words.

        docs (Iterable[Doc]): The docs.
        predictions (Sequence[list[Entity]]): What `predict` returned for them.
        """
        for doc, entities in zip(docs, predictions, strict=True):
            spans = [Span(doc, e.start, e.end, label=e.label) for e in entities]
            doc.set_ents(spans)
            scores = np.array([e.score for e in entities], dtype=np.float32)
            group = SpanGroup(doc, name=self.spans_key, spans=spans, attrs={"scores": scores})
            doc.spans[self.spans_key] = group
            for word in doc:
                word.norm_ = self.normalizer(word.text)
        self.feed(docs)
        self.check_tokens(docs)

    def _rows(self, docs: Sequence[Doc], domains: Sequence[str]) -> list[Row]:
        core = self.model.core
        return doc_rows(
            docs, domains, core, self.normalizer, window=self.window, overlap=self.overlap
        )

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch: what was chosen with `train_only` is updated, all else is frozen.

        examples (Iterable[Example]): The domain is the predicted doc's, else the default one.
        drop (float): Not used: the model's own dropout setting holds.
        sgd (Optimizer): Applied if given.
        losses (dict): The loss is added under the component's name.
        RETURNS (dict): losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "MultibertNER.update")
        docs = [eg.predicted for eg in examples]
        self.feed(docs, is_train=True)
        rows = self._rows(docs, [self._domain_of(doc) for doc in docs])
        if not rows:
            return losses
        logits: list[Any] = [None] * len(rows)
        steps = []
        for index, batch in row_batches(rows, self.model, self.batch_pieces, is_train=True):
            parts, backprop = self.model.begin_update(batch)
            steps.append((index, backprop))
            for i, part in zip(index, parts, strict=True):
                logits[i] = part
        loss, d_scores, d_transitions = self._loss(examples, join_by_doc(rows, logits, len(docs)))
        d_rows = split_by_row(rows, d_scores)
        for index, backprop in steps:
            backprop([d_rows[i] for i in index])
        for domain, gradient in d_transitions.items():
            self.model.learn_transitions(domain, gradient)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss
        return losses

    def get_loss(
        self, examples: Iterable[Example], scores: Sequence[Floats2d]
    ) -> tuple[float, list[Floats2d]]:
        """Minus the log-probability of the gold tags (see `text/chain.py`), per labelled word.

        examples (Iterable[Example]): The batch.
        scores (Sequence[Floats2d]): For each doc, logits (w, k).
        RETURNS (tuple): The mean loss, and for each doc its gradient (w, k). Where the gold tag
            is missing or not aligned any tag will do.
        RAISES (DomainError): If a gold label is not one of the domain's head.
        RAISES (ConfigError): If the loss is not finite.
        """
        loss, gradients, _ = self._loss(list(examples), scores)
        return loss, gradients

    def _loss(
        self, examples: Sequence[Example], scores: Sequence[Floats2d]
    ) -> tuple[float, list[Floats2d], dict[str, Floats2d]]:
        """As `get_loss`, and for each domain the gradient of its head's transitions (k, k)."""
        domains = [self._domain_of(eg.predicted) for eg in examples]
        gold = [
            gold_tags(eg, self.labels_of(domain), domain)
            for eg, domain in zip(examples, domains, strict=True)
        ]
        total, gradients, d_transitions = doc_loss(
            scores, gold, domains, self.model.transitions_of
        )
        if not np.isfinite(total):
            raise ConfigError(
                f"The loss of '{self.name}' is {total}: lower the learning rate, or set "
                'precision = "fp32" on the frozen_transformer'
            )
        return total, gradients, d_transitions

    def finish_update(self, sgd: Optimizer) -> None:
        """Apply the gradients."""
        self.model.finish_update(sgd)
