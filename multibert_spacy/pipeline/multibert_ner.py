"""`multibert_ner`: tags each doc with the adapter of its domain.

    docs -> normal forms -> pieces -> windows -> batches (domains mixed) -> the network
         -> logits -> one sequence of tags per doc -> doc.ents

The batches that go through the core are cut by length and by a budget of pieces, never by domain.
What lies between docs and the network is in `batching.py`, the network in `networks/tagger.py`.

On disk there is one folder per domain. The folders that are there are the domains, under the names
that the folders have: one can be copied in, published or removed without touching the others.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from spacy import util
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc, Span
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from spacy_transformers.data_classes import TransformerData
from thinc.api import Config, Optimizer, set_dropout_rate

from ..core.gradients import none_on_error
from ..engines.engine import GRAPH
from ..errors import AdapterError, ConfigError, DomainError
from ..names import check_labels, check_name
from ..networks.tagger_model import TaggerModel
from ..serialization.archive import FolderBytes
from ..serialization.drafts import carry_over, draft_in
from ..serialization.manifest import MANIFEST, file_hash, write_json
from ..serialization.parts import is_whole
from ..serialization.saves import SavedPart, check_save, read_settings, say_domains
from ..text.batching import batch_by_pieces
from ..text.blank import is_blank
from ..text.readings import posteriors
from ..text.spans import decode_entities
from ..text.threads import apply_context
from ..text.windows import check_window
from ..text.words import Words
from ..types import Entity, Floats2d, WindowBatch
from .addons import find_addon, join_domain
from .batching import (
    Row,
    by_name,
    doc_loss,
    doc_rows,
    doc_words,
    gold_tags,
    has_entities,
    in_order,
    join_by_doc,
    pack,
    read_rows,
    row_batches,
    split_by_row,
    tag_pairs,
)
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
from .linking import LinkedPipe, domains_in_front

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


class MultibertNER(LinkedPipe, FolderBytes, TrainablePipe):
    """Pipeline component for named entities, with one adapter per domain."""

    model: TaggerModel
    _lacks_addons = False

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
        """See `make_multibert_ner`. RAISES (ConfigError): For settings that make no sense.

        lent (dict), settable: Domain -> the add-on that it is of; it is not saved.
        """
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
        self.addons = tuple(addons)
        self.lent: dict[str, str] = {}
        self.scorer = scorer
        self._configured_domain = default_domain
        self.cfg: dict[str, Any] = {"default_domain": default_domain}

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tag a stream. The results do not depend on batch_size. A doc that fails goes alone to
        the error handler.

        stream (Iterable[Doc]): Docs.
        batch_size (int): Docs to buffer; inside the buffer they are sorted by length.
        YIELDS (Doc): The docs, in order.
        """
        for batch in util.minibatch(stream, size=batch_size):
            yield from self._tag(batch)

    def _tag(self, docs: Sequence[Doc]) -> Sequence[Doc]:
        """RETURNS (Sequence[Doc]): Those that were tagged; the error handler has the others."""
        try:
            self.set_annotations(docs, self.predict(docs))
        except Exception:
            known = self._with_domain(docs)
            if len(known) < len(docs):  # an unknown domain costs no other doc its batch
                return self._tag(known)
            return [doc for doc in map(self, docs) if doc is not None]
        return docs

    def _with_domain(self, docs: Iterable[Doc]) -> list[Doc]:
        """RETURNS (list): The docs whose domain is known; the error handler has the others."""
        known = []
        for doc in docs:
            try:
                self.domain_of(doc)
            except Exception as e:
                self.get_error_handler()(self.name, self, [doc], e)
            else:
                known.append(doc)
        return known

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
        view = self.model.view()
        domains = [self.domain_of(doc, view.domains) for doc in docs]
        rows, words = self._rows(docs, domains)
        logits, states = read_rows(rows, view, self.batch_pieces, states=feeds)
        scores = join_by_doc(rows, logits, words)
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
        return words, found, doc_trf_data(docs, rows, states, view.core) if feeds else []

    def _rows(self, docs: Sequence[Doc], domains: Sequence[str]) -> tuple[list[Row], list[Words]]:
        """RETURNS (tuple): All windows of the docs, and the words of each doc that are tagged."""
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
        drop (float): The dropout rate in front of the head; 0 leaves it at the model's setting.
        sgd (Optimizer): Applied if given.
        losses (dict): The loss is added under the component's name.
        RETURNS (dict): losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "MultibertNER.update")
        set_dropout_rate(self.model, drop)
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
        domains = [self.domain_of(doc) for doc in docs]
        rows, words = self._rows(docs, domains)
        owner = self.model.listener.feeding
        if owner is not None:
            _, states = read_rows(rows, self.model.view(), self.batch_pieces, states=True)
            data = doc_trf_data(docs, rows, states, self.model.core)
            hand_over(owner.stock_listeners, docs, data)
        if not rows:
            return None
        batches = row_batches(rows, self.model, self.batch_pieces, is_train=True)
        steps = [(index, *self.model.begin_update(batch)) for index, batch in batches]
        logits = in_order(len(rows), ((index, parts) for index, parts, _ in steps))
        scores = join_by_doc(rows, logits, words)
        loss, d_scores, d_transitions = self._loss(examples, domains, scores, words)
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
        RAISES (DomainError): For a label that the head does not have.
        RAISES (ConfigError): For an infinite loss.
        """
        examples = list(examples)
        docs = [eg.predicted for eg in examples]
        domains = [self.domain_of(doc) for doc in docs]
        _, words = self._rows(docs, domains)
        return self._loss(examples, domains, scores, words)[:2]

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
        if not np.isfinite(total):
            raise ConfigError(
                f"The loss of '{self.name}' is {total}: lower the learning rate, or set "
                'precision = "fp32" on the frozen_transformer'
            )
        return total, gradients, d_transitions

    def finish_update(self, sgd: Optimizer) -> None:
        """Apply the gradients."""
        self.model.finish_update(sgd)

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

    @property
    def domains(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Names of the domains."""
        return self.model.module.domains

    @property
    def labels(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Union of the labels of all domains."""
        with self.model.module.unchanged():
            heads = self.model.module.heads.values()
            return tuple(dict.fromkeys(chain.from_iterable(head.labels for head in heads)))

    @property
    def label_data(self) -> tuple[str, ...]:
        """RETURNS (tuple[str]): The labels, for `spacy init labels`."""
        return self.labels

    def labels_of(self, domain: str) -> tuple[str, ...]:
        """RETURNS (tuple[str]): Labels of one domain. RAISES (DomainError): If unknown."""
        return self.model.module.labels_of(domain)

    def domain_of(self, doc: Doc, domains: Sequence[str] | None = None) -> str:
        """The domain that a doc is tagged with.

        doc (Doc): A doc. What a context of `nlp.pipe(as_tuples=True)` says of it is taken.
        domains (Sequence[str]): Those there are; None are those there are now.
        RETURNS (str): Its domain, or else the default one. A doc of nothing needs none.
        RAISES (DomainError): If the domain is unknown.
        """
        apply_context(doc)
        domain = doc._.domain if doc._.domain is not None else self.cfg["default_domain"]
        domains = self.domains if domains is None else domains
        if domain is None and domains and is_blank(doc):
            return domains[0]  # where it has no entities either
        if isinstance(domain, str) and domain in domains:
            return domain
        if not domains:
            self._check_core()
        raise DomainError.unknown(domain, domains, component=self.name)

    def add_label(self, label: str) -> int:
        """Labels belong to heads: RAISES (DomainError) unless the label is known."""
        if label in self.labels:
            return 0
        raise DomainError(
            f"Labels belong to heads and cannot be added to the component: {label!r}. "
            "Add a domain with a new head instead (initialize, or add_domain of the model)"
        )

    def train_only(self, domains: Iterable[str], *, heads: bool) -> None:
        """Choose what `update` changes.

        domains (Iterable[str]): Domains whose adapters are trained.
        heads (bool): Whether their heads are.
        """
        self.model.set_trainable(domains, heads=heads)

    def start_domain(self, domain: str, *, copy_from: str | None, freeze_head: bool) -> None:
        """Make a domain that starts as a copy of another one, and train only it.

        domain (str): The new domain, which becomes the default one.
        copy_from (str): The domain whose head it shares. Its adapter is copied. None takes the
            default domain, or the only one there is, and replaces it.
        freeze_head (bool): Whether the head stays as it is, as in the paper.
        RAISES (DomainError): If copy_from is unknown.
        """
        default = self.cfg["default_domain"]
        if default is None and len(self.domains) == 1:
            default = self.domains[0]
        source = copy_from if copy_from is not None else default
        head = self.model.module.head_name(source)
        with self.model.module.changing():
            self.model.add_domain(check_name(domain), head=head, copy_from=source)
            if source != domain and copy_from is None:
                self.model.module.remove_domain(source)
        self.cfg["default_domain"] = domain
        self.train_only([domain], heads=not freeze_head)

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        domain: str | None = None,
        head: str = "default",
        labels: Sequence[str] | None = None,
        adapters: str | None = None,
        start: str | None = None,
    ) -> None:
        """Make one domain to train, or read trained ones. A component that has domains and is told
        nothing keeps them and their labels, and starts their weights anew, as spaCy's do.

        get_examples (Callable): Examples: labels and a prefix's start values come from them.
        nlp (Language): The pipeline.
        domain (str): Name of the domain to make; None is the default domain, or else one for each
            that a detector in front finds, or else the head's name. One alone becomes the default
            domain unless there is one.
        head (str): Name of its head.
        labels (Sequence[str]): The head's labels; None takes those of the examples, sorted.
        adapters (str): A folder with one folder per domain, read instead.
        start (str): A domain's folder, whose adapter the new one starts as.
        RAISES (DomainError): If there are no labels.
        RAISES (AdapterError): If there is no adapter in the folder, or a damaged one.
        """
        for name in self.lent:
            self.model.remove_domain(name)
        self.lent, self._lacks_addons = {}, bool(self.addons)
        if adapters is not None:
            self._read_domains(Path(adapters))
            if not self.domains:
                raise AdapterError(f"There is no adapter in {adapters}")
            return
        validate_get_examples(get_examples, "MultibertNER.initialize")
        examples = list(get_examples())
        told = list(filter(has_entities, examples)) or examples
        references = [eg.reference for eg in told]
        if self.domains and domain is None and start is None and labels is None:
            self._start_anew(references)
            return
        if labels is None:
            labels = sorted({ent.label_ for doc in references for ent in doc.ents})
        labels = check_labels(labels)
        domain = domain or self.cfg["default_domain"]
        names = domains_in_front(nlp, self) if domain is None else ()
        for name in names or [domain or head]:
            self.model.add_domain(
                check_name(name),
                head=head,
                labels=labels,
                start=None if start is None else Path(start),
                pieces=self._pieces(references),
                pairs=tag_pairs(references, labels),
            )
        if not names:
            self.cfg["default_domain"] = self.cfg["default_domain"] or domain or head
        self.train_only(names or [domain or head], heads=True)

    def _start_anew(self, references: Sequence[Doc]) -> None:
        module = self.model.module
        known = {name: (module.head_name(name), self.labels_of(name)) for name in self.domains}
        pieces = self._pieces(references)
        with module.changing():  # other threads go on with the old ones till then
            for name in known:
                module.remove_domain(name)
            for name, (head, labels) in known.items():
                pairs = tag_pairs(references, labels)
                self.model.add_domain(name, head=head, labels=labels, pieces=pieces, pairs=pairs)
        self.train_only(known, heads=True)

    def _pieces(self, docs: Sequence[Doc]) -> list[int]:
        """RETURNS (list[int]): Pieces of some of the docs: a prefix's start values."""
        core = self.model.core
        words = [[self.normalizer(word.text) for word in doc] for doc in docs[:50]]
        return list(chain.from_iterable(core.pieces(list(chain.from_iterable(words)))))

    def _read_domains(self, folder: Path, check: Callable[[], None] = lambda: None) -> None:
        """Replace the domains by all in a folder of folders, or by none if one is damaged.

        check (Callable): Called when all have been read and none has been taken.
        """
        if not folder.is_dir():
            raise AdapterError(f"{folder} is missing: it should hold one folder per domain")
        paths = sorted(folder.iterdir())
        names = [path.name for path in paths if path.is_dir() and path.name[0] != "."]
        self.model.read_domains(folder, names, check)
        self.train_only(self.domains, heads=False)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write settings and one folder per domain, all of them or, if that fails, none. Folders
        of domains that are no longer here are removed; what else is there stays.
        """
        path = Path(path)
        part = SavedPart(path, whole=is_whole(exclude))
        with draft_in(path) as draft:
            cfg, hashes = dict(self.cfg), {}
            names = ["cfg"]
            if "model" not in exclude:
                names.append("domains")
                own = [name for name in self.domains if name not in self.lent]
                cfg["domains"] = sorted(own)
                new, old = draft / "domains", path / "domains"
                new.mkdir()
                self.model.write_domains(new, without=self.lent)
                hashes = {name: file_hash(new / name / MANIFEST) for name in own}
                ours = {path.parent.name for path in old.glob(f"*/{MANIFEST}")}
                carry_over(old, new, skip=ours)
            write_json(draft / "cfg", cfg | part.ids([cfg, hashes]))
            part.put(draft, names)
        (path / "domains").mkdir(exist_ok=True)  # whoever adds domains by hand finds the place

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "MultibertNER":
        """Read what `to_disk` wrote: the domains are the folders that are there, so that one can
        be copied in or taken away. A default_domain in the config overrules the saved one. Heads
        are frozen until `train_only` says otherwise.
        RAISES (AdapterError): If a file is missing, damaged, or made for another core.
        """
        path = Path(path)
        cfg = read_settings(path, AdapterError)
        check = partial(check_save, path, cfg, AdapterError, whole=is_whole(exclude))
        if "model" in exclude:
            check()
        else:
            self._read_domains(path / "domains", check)
            say_domains(path, cfg.get("domains"), self.domains)
            self.lent = {}
            self._lacks_addons = bool(self.addons)
        self.model.module.graph = path / GRAPH
        self.cfg["default_domain"] = cfg.get("default_domain")
        if self._configured_domain is not None:
            self.cfg["default_domain"] = self._configured_domain
        self._just_read = True
        return self

    def _linked(self, nlp: Language) -> None:
        """Check the default domain once all is loaded, and take docs where `spacy debug model`
        gives a model docs.

        nlp (Language): The pipeline.
        RAISES (DomainError): If the default domain was loaded and is not a domain.
        """
        super()._linked(nlp)
        self.model.read_docs = self._pack_docs
        self._add_addons(nlp)
        just_read, self._just_read = self._just_read, False
        default, domains = self.cfg["default_domain"], self.domains
        if just_read and default is not None and domains and default not in domains:
            raise DomainError(
                f"The default_domain {default!r} of component '{self.name}' is not one of its "
                f"domains: {', '.join(sorted(domains))}. "
                f"Set components.{self.name}.default_domain to one of these"
            )

    def _settings_changed(self) -> None:
        """A source's add-ons are there already."""
        super()._settings_changed()
        self._lacks_addons = bool(self.addons) and not self.lent

    def _add_addons(self, nlp: Language) -> None:
        """Add the domains of `addons`, once all others are there: all, or none if one fails.

        nlp (Language): The pipeline, whose detectors then know them.
        RAISES (MultibertError): If one is not installed, or cannot be read; see `join_domain`.
        """
        if not self._lacks_addons:
            return
        self._lacks_addons = False
        for name, folder in [(name, find_addon(name, self.name)) for name in self.addons]:
            self.lent = {**self.lent, join_domain(nlp, self, folder): name}

    def _pack_docs(self, docs: Sequence[Doc]) -> WindowBatch:
        """RETURNS (WindowBatch): All rows of the docs, whatever their number."""
        rows, _ = self._rows(docs, [self.domain_of(doc) for doc in docs])
        return pack(rows, self.model.core)
