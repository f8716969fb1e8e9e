"""`multibert_ner`: tags each doc with the adapter of its domain.

docs -> logits (`domain_component.py`) -> one sequence of tags per doc -> doc.ents
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab
from spacy_transformers.data_classes import TransformerData
from thinc.api import Config

from ..errors import ConfigError
from ..networks.tagger_model import TaggerModel
from ..networks.tasks import ENTITIES
from ..text.readings import posteriors
from ..text.spans import certainties, decode_entities
from ..text.words import Words
from ..types import Entity, Floats2d
from .batching import (
    Row,
    by_name,
    doc_loss,
    doc_words,
    gold_tags,
    has_entities,
    read_rows,
    tag_pairs,
)
from .domain_component import DomainComponent
from .entities import (
    barred_tags,
    check_min_score,
    foreign_words,
    own_entities,
    reading_spans,
    write_entities,
)
from .feeding import doc_trf_data, hand_over
from .given_scores import with_gold_domains

__all__ = ["MultibertNER", "make_multibert_ner"]

T = TypeVar("T")

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
addons = []

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
    addons: list[str],
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
        replaced. By default they stay, as with spaCy's `ner`.
    hashtag_heads (list[str]): Heads whose corpora have hashtags, and count the sign to the
        entity. With all others the network sees `#تهران` as `تهران`, and the entity is that.
    addons (list[str]): Installed packages of one domain each that are added when the pipeline is
        loaded or initialized, by their domains' names. They are not saved with it.
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
        addons=addons,
        scorer=scorer,
    )


class Tagged(list[list[Entity]]):
    """What `predict` returns: the entities of each doc and, where the transformer has
    `adapted = true`, the hidden states that they were read from.
    """

    trf_data: Sequence[TransformerData] = ()


class MultibertNER(DomainComponent):
    """Pipeline component for named entities, with one adapter per domain."""

    task = ENTITIES

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
        addons: Collection[str] = (),
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        """Make one with the settings of `make_multibert_ner`.

        RAISES (ConfigError): For settings that make no sense.
        """
        super().__init__(
            vocab,
            model,
            name,
            normalizer=normalizer,
            default_domain=default_domain,
            window=window,
            overlap=overlap,
            batch_pieces=batch_pieces,
            addons=addons,
            scorer=scorer,
        )
        check_min_score(min_score)
        self.spans_key = spans_key
        self.min_score = min_score
        self.overwrite_ents = overwrite_ents
        self.hashtag_heads = frozenset(hashtag_heads)

    def predict(self, docs: Iterable[Doc]) -> list[list[Entity]]:
        """Find entities.

        docs (Iterable[Doc]): Docs with a domain. They are not modified, apart from what a context
            of `nlp.pipe(as_tuples=True)` says about them.
        RETURNS (list[list[Entity]]): The entities of each doc.
        RAISES (DomainError): If a doc's domain is unknown.
        """
        docs = list(docs)
        feeds = self.model.listener.feeding is not None
        words, found, trf_data = self._read(docs, decode_entities, feeds=feeds)
        tagged = Tagged(own.place(ents) for own, ents in zip(words, found, strict=True))
        tagged.trf_data = trf_data
        return tagged

    def set_annotations(self, docs: Iterable[Doc], predictions: Sequence[list[Entity]]) -> None:
        """Write entities, their scores and the normal forms of words; `doc._.trf_data` where the
        transformer has `adapted = true`.

        docs (Iterable[Doc]): The docs.
        predictions (Sequence[list[Entity]]): What `predict` returned for them.
        """
        docs = list(docs)
        least, overwrite = self.min_score, self.overwrite_ents
        for doc, entities in zip(docs, predictions, strict=True):
            write_entities(doc, entities, self.spans_key, min_score=least, overwrite=overwrite)
            for word in doc:
                word.norm_ = self.normalizer(word.text)
        if isinstance(predictions, Tagged):
            for doc, data in zip(docs, predictions.trf_data, strict=False):
                doc._.trf_data = data
        self._check_tokens(docs)

    def _read(
        self, docs: Sequence[Doc], decode: Callable[..., list[T]], *, feeds: bool = False
    ) -> tuple[list[Words], list[T], list[TransformerData]]:
        """Run the network on docs and decode its scores.

        decode (Callable): Takes what `decode_entities` takes.
        feeds (bool): Whether hidden states are wanted as well.
        RETURNS (tuple): For each doc the words that are tagged, what was decoded, in these words,
            and the hidden states.
        """
        view, domains, rows, words, scores, states = self._read_docs(docs, states=feeds)
        keep = not self.overwrite_ents
        foreign = [foreign_words(doc, self.spans_key) if keep else None for doc in docs]
        found: list[Any] = [None] * len(docs)
        # By head, not by domain: Viterbi takes as many steps for one doc as for a hundred.
        for _, members in by_name([view.head_name(domain) for domain in domains]):
            labels = view.labels_of(domains[members[0]])
            transitions = view.transitions_of(domains[members[0]])
            barred = [barred_tags(words[i], foreign[i], len(transitions)) for i in members]
            decoded = decode([scores[i] for i in members], labels, transitions, barred)
            for i, own in zip(members, decoded, strict=True):
                found[i] = own
        return list(words), found, doc_trf_data(docs, rows, states, view.core) if feeds else []

    def alternatives(self, doc: Doc, n: int = 3) -> list[list[tuple[Span, float]]]:
        """The most probable readings of each of our entities in a tagged doc.

        A reading of an entity is a span with a label that overlaps it: its borders may lie
        elsewhere, its label may be another, only a part of it may be one. That its words are in no
        entity is a reading too: a span over them with the label "". Each has its exact probability
        given the whole doc and what others wrote into `doc.ents`. It is not `ent._.score`, the
        mean over the words, which may be high where only the borders are sure. Readings that
        exclude each other sum to at most 1; others may hold together.

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
        (words,), (posterior,), _ = self._read([doc], posteriors)
        return [reading_spans(doc, ent, words, posterior, n) for ent in entities]

    def certainty(self, docs: Iterable[Doc]) -> list[NDArray[np.float32]]:
        """How sure the network is of each word: the probability of its most probable tag, given
        the whole doc. Low ones are what it would learn most from.

        docs (Iterable[Doc]): Docs with a domain. They are not changed.
        RETURNS (list): For each doc (w,), of the words that get a tag, in order.
        RAISES (DomainError): If a doc's domain is unknown.
        """
        _, found, _ = self._read(list(docs), certainties)
        return found

    def _is_annotated(self, eg: Example) -> bool:
        return has_entities(eg)

    def _labels_in(self, references: Sequence[Doc]) -> Iterable[str]:
        return (ent.label_ for doc in references for ent in doc.ents)

    def _count(self, references: Sequence[Doc], labels: Sequence[str]) -> NDArray[np.int64]:
        return tag_pairs(references, labels)

    def _signs(self, domains: Sequence[str]) -> list[bool]:
        return [self.model.module.head_name(domain) in self.hashtag_heads for domain in domains]

    def _words(
        self, rows: Sequence[Row], docs: Sequence[Doc], signs: Sequence[bool]
    ) -> list[Words]:
        return doc_words(rows, docs, signs)

    def _hand_over(self, docs: Sequence[Doc], rows: Sequence[Row]) -> None:
        owner = self.model.listener.feeding
        if owner is not None:
            _, states = read_rows(rows, self.model.view(), self.batch_pieces, states=True)
            data = doc_trf_data(docs, rows, states, self.model.core)
            hand_over(owner.stock_listeners, docs, data)

    def _loss(
        self,
        examples: Sequence[Example],
        domains: Sequence[str],
        scores: Sequence[Floats2d],
        words: Sequence[Words],
    ) -> tuple[float, list[Floats2d], dict[str, Floats2d]]:
        """As `get_loss`, and for each domain the gradient of its head's transitions (k, k)."""
        gold = [
            own.gold(gold_tags(eg, self.labels_of(domain), domain))
            for eg, domain, own in zip(examples, domains, words, strict=True)
        ]
        total, gradients, d_transitions = doc_loss(
            scores, gold, domains, self.model.transitions_of
        )
        self._check_loss(total)
        return total, gradients, d_transitions

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score a batch of examples, see `multibert_spacy.domain_ner_scorer.v1`.

        In a pipeline with a detector, F1 "of a domain" is that of whichever adapter the detector
        chose: what a user gets who knows nothing. What the domain's own adapter does is scored
        beside it.

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
        if any(eg.reference._.domain in self.domains for eg in examples):
            given = self.scorer(with_gold_domains(self, examples), **kwargs)
            scores.update((name.replace("ents_", "ents_given_", 1), given[name]) for name in given)
        return scores
