"""`multibert_ner`: tags each doc with the adapter of its domain.

    words -> normal forms -> pieces -> windows -> batches (domains mixed) -> logits -> entities

The batch that goes through the core is cut by length and by a budget of pieces, never by domain.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from spacy import util
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples
from spacy.vocab import Vocab
from thinc.api import Config, Optimizer

from ..core.gradients import none_on_error
from ..errors import ConfigError
from ..networks.tagger_model import TaggerModel
from ..text.batching import batch_by_pieces
from ..text.spans import decode_entities
from ..text.windows import check_window
from ..text.words import Words
from ..types import Entity, Floats2d
from .batching import (
    doc_loss,
    gold_tags,
    has_entities,
    in_order,
    join_by_doc,
    row_batches,
    split_by_row,
)
from .domains import TaggerDomains
from .entities import check_min_score, write_entities
from .feeding import AdaptedFeeder
from .readings import TaggerReadings

__all__ = ["MultibertNER", "make_multibert_ner"]

DEFAULT_CONFIG = Config().from_str("""
[multibert_ner]
default_domain = null
window = 512
overlap = 128
batch_pieces = 4096
spans_key = "multibert_ner"
min_score = 0.0
overwrite_ents = false
hashtag_heads = []

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
    assigns=[
        *("doc.ents", "doc.spans", "span._.score"),
        *("token.ent_iob", "token.ent_type", "token.norm"),
    ],
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
    min_score: float,
    overwrite_ents: bool,
    hashtag_heads: list[str],
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
    min_score (float): Entities with a lower score are not written; from 0, all, to 1.
    overwrite_ents (bool): Whether entities and blocked words that are in a doc when it comes are
        replaced. By default they stay, as with spaCy's `ner`; see `entities.py`.
    hashtag_heads (list[str]): Heads whose corpora have hashtags, and count the sign to the
        entity. With all others the network sees `#تهران` as `تهران`, and the entity is that.
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
        min_score=min_score,
        overwrite_ents=overwrite_ents,
        hashtag_heads=hashtag_heads,
        scorer=scorer,
    )


class MultibertNER(AdaptedFeeder, TaggerDomains, TaggerReadings, TrainablePipe):
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
        min_score: float = 0.0,
        overwrite_ents: bool = False,
        hashtag_heads: Collection[str] = (),
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        """See `make_multibert_ner`. RAISES (ConfigError): For settings that make no sense."""
        check_window(window - 2, overlap)
        batch_by_pieces([], batch_pieces)
        check_min_score(min_score)
        self.vocab = vocab
        self.model = model
        self.name = name
        self.normalizer = normalizer
        self.window = window
        self.overlap = overlap
        self.batch_pieces = batch_pieces
        self.spans_key = spans_key
        self.min_score = min_score
        self.overwrite_ents = overwrite_ents
        self.hashtag_heads = frozenset(hashtag_heads)
        self.scorer = scorer
        self.configured_domain = default_domain
        self.cfg: dict[str, Any] = {"default_domain": default_domain}

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tag a stream. The results do not depend on batch_size. A doc that fails goes alone to
        the error handler.

        stream (Iterable[Doc]): Docs.
        batch_size (int): Docs to buffer; inside the buffer they are sorted by length.
        YIELDS (Doc): The docs, in order.
        """
        for batch in util.minibatch(stream, size=batch_size):
            docs = self.with_domain(batch)
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
        found = self._decode(list(docs), decode_entities)
        return [words.place(entities) for words, entities in found]

    def set_annotations(self, docs: Sequence[Doc], predictions: Sequence[list[Entity]]) -> None:
        """Write entities, their scores and the normal forms of words.

        docs (Iterable[Doc]): The docs.
        predictions (Sequence[list[Entity]]): What `predict` returned for them.
        """
        least, overwrite = self.min_score, self.overwrite_ents
        for doc, entities in zip(docs, predictions, strict=True):
            write_entities(doc, entities, self.spans_key, min_score=least, overwrite=overwrite)
            for word in doc:
                word.norm_ = self.normalizer(word.text)
        self.feed(docs)
        self.check_tokens(docs)

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
            One whose reference has no entity annotation at all says nothing, and is left out.
        drop (float): Not used: the model's own dropout setting holds.
        sgd (Optimizer): Applied if given.
        losses (dict): The loss is added under the component's name.
        RETURNS (dict): losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "MultibertNER.update")
        with none_on_error(self.model):
            loss = self._learn([eg for eg in examples if has_entities(eg)])
        if loss is not None:
            losses[self.name] += loss
            if sgd is not None:
                self.finish_update(sgd)
        return losses

    def _learn(self, examples: Sequence[Example]) -> float | None:
        """RETURNS (float): The loss, after its gradient was found; None if there is nothing."""
        docs = [eg.predicted for eg in examples]
        self.feed(docs, is_train=True)
        rows, words = self._rows(docs, [self.domain_of(doc) for doc in docs])
        if not rows:
            return None
        batches = row_batches(rows, self.model, self.batch_pieces, is_train=True)
        steps = [(index, *self.model.begin_update(batch)) for index, batch in batches]
        logits = in_order(len(rows), ((index, parts) for index, parts, _ in steps))
        scores = join_by_doc(rows, logits, words)
        loss, d_scores, d_transitions = self._loss(examples, scores, words)
        d_rows = split_by_row(rows, d_scores, words)
        for index, _, backprop in steps:
            backprop([d_rows[i] for i in index])
        for domain, gradient in d_transitions.items():
            self.model.learn_transitions(domain, gradient)
        return loss

    def get_loss(
        self, examples: Iterable[Example], scores: Sequence[Floats2d]
    ) -> tuple[float, list[Floats2d]]:
        """Minus the log-probability of the gold tags (see `text/crf.py`), per labelled word.

        examples (Iterable[Example]): The batch.
        scores (Sequence[Floats2d]): For each doc, logits (w, k); see `text/words.py`.
        RETURNS (tuple): The mean loss, and for each doc its gradient (w, k). Where the gold tag
            is missing or not aligned any tag will do.
        RAISES (DomainError, ConfigError): For a label that the head has not; for an infinite loss.
        """
        examples = list(examples)
        docs = [eg.predicted for eg in examples]
        _, words = self._rows(docs, [self.domain_of(doc) for doc in docs])
        return self._loss(examples, scores, words)[:2]

    def _loss(
        self, examples: Sequence[Example], scores: Sequence[Floats2d], words: Sequence[Words]
    ) -> tuple[float, list[Floats2d], dict[str, Floats2d]]:
        """As `get_loss`, and for each domain the gradient of its head's transitions (k, k)."""
        domains = [self.domain_of(eg.predicted) for eg in examples]
        gold = [
            own.gold(gold_tags(eg, self.labels_of(domain), domain))
            for eg, domain, own in zip(examples, domains, words, strict=True)
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
