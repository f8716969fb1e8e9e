"""What the components that read docs with an adapter per domain have in common.

    docs -> normal forms -> pieces -> windows -> batches (domains mixed) -> the network
         -> logits -> those of each doc -> what the component's task makes of them

The batches that go through the core are cut by length and by a budget of pieces, never by domain.
What lies between docs and the network is in `batching.py`, the network in `networks/tagger.py`.

On disk there is one folder per domain. The folders that are there are the domains, under the names
that the folders have: one can be copied in, published or removed without touching the others.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from spacy import util
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Optimizer, set_dropout_rate

from ..core.gradients import none_on_error
from ..engines.engine import GRAPH
from ..errors import AdapterError, ConfigError, DomainError
from ..names import check_labels, check_name
from ..networks.tagger_model import TaggerModel, TaggerView
from ..networks.tasks import Task
from ..serialization.archive import FolderBytes
from ..serialization.drafts import carry_over, draft_in
from ..serialization.manifest import MANIFEST, file_hash, write_json
from ..serialization.parts import is_whole
from ..serialization.saves import SavedPart, check_save, read_settings, say_domains
from ..text.batching import batch_by_pieces
from ..text.blank import is_blank
from ..text.threads import apply_context
from ..text.windows import check_window
from ..text.words import Words
from ..types import Floats2d, WindowBatch
from .addons import find_addon, join_domain
from .batching import (
    Row,
    doc_rows,
    in_order,
    join_by_doc,
    pack,
    read_rows,
    row_batches,
    split_by_row,
)
from .linking import LinkedPipe, domains_in_front
from .shared_pass import SharedPass

__all__ = ["DomainComponent", "Scores"]


class Scores(NamedTuple):
    """What the network says of docs.

    view: The domains that it was asked with.
    domains: Of each doc.
    rows: The docs' windows.
    words: The words of each doc that get logits.
    logits: For each doc (w, k).
    states: For each row its hidden states (t, h), or None if they were not wanted.
    """

    view: TaggerView
    domains: Sequence[str]
    rows: Sequence[Row]
    words: Sequence[Words]
    logits: Sequence[Floats2d]
    states: Sequence[Any]


class DomainComponent(LinkedPipe, FolderBytes, TrainablePipe):
    """A component with one adapter per domain. A subclass says what its heads are for: what gold
    examples say, what the loss is, and what is written into a doc.
    """

    task: ClassVar[Task]
    model: TaggerModel
    fallback_domain: str | None = None
    _lacks_addons = False

    def __init__(
        self,
        vocab: Vocab,
        model: TaggerModel,
        name: str,
        *,
        normalizer: Callable[[str], str],
        default_domain: str | None = None,
        window: int = 512,
        overlap: int = 128,
        batch_pieces: int = 4096,
        addons: Collection[str] = (),
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        """Take over what all such components have.

        lent (dict), settable: Domain -> the add-on that it is of; it is not saved.
        RAISES (ConfigError): For settings that make no sense.
        """
        check_window(window - 2, overlap)
        batch_by_pieces([], batch_pieces)
        self.vocab = vocab
        self.model = model
        self.name = name
        self.normalizer = normalizer
        self.window = window
        self.overlap = overlap
        self.batch_pieces = batch_pieces
        self.addons = tuple(addons)
        self.lent: dict[str, str] = {}
        self.scorer = scorer
        self._configured_domain = default_domain
        self.cfg: dict[str, Any] = {"default_domain": default_domain}
        model.set_task(self.task)

    @abstractmethod
    def _is_annotated(self, eg: Example) -> bool:
        """Return whether an example's reference says anything of the task."""

    @abstractmethod
    def _labels_in(self, references: Sequence[Doc]) -> Iterable[str]:
        """Return the labels that gold docs have, in any order and number."""

    @abstractmethod
    def _count(self, references: Sequence[Doc], labels: Sequence[str]) -> NDArray[np.int64]:
        """Count what a new head's start values come from; see `Head`."""

    @abstractmethod
    def _words(
        self, rows: Sequence[Row], docs: Sequence[Doc], signs: Sequence[bool]
    ) -> list[Words]:
        """Return the words of each doc that get logits. signs: See `_signs`."""

    @abstractmethod
    def _loss(
        self,
        examples: Sequence[Example],
        domains: Sequence[str],
        scores: Sequence[Floats2d],
        words: Sequence[Words],
    ) -> tuple[float, list[Floats2d], dict[str, Floats2d]]:
        """As `get_loss`, and for each domain the gradient of its head's transitions (k, k)."""

    def _legal(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Check the labels of a new head.

        RETURNS (tuple): The same.
        RAISES (ConfigError): If it cannot have them.
        """
        return check_labels(labels)

    def _signs(self, domains: Sequence[str]) -> list[bool]:
        """Return for each doc's domain whether hashtags are seen with their sign."""
        return [False] * len(domains)

    def _hand_over(self, docs: Sequence[Doc], rows: Sequence[Row]) -> None:
        """Called in an update, for a component that feeds others."""

    def _read_docs(self, docs: Sequence[Doc], *, states: bool = False) -> Scores:
        """Run the network on docs.

        states (bool): Whether the hidden states are wanted.
        RETURNS (Scores): What it says.
        RAISES (DomainError): If a doc's domain is unknown.
        """
        view = self.model.view()
        domains = [self.domain_of(doc, view.domains) for doc in docs]
        rows, words = self._rows(docs, domains)
        logits, hidden = self._read_rows(rows, view, states=states)
        return Scores(view, domains, rows, words, join_by_doc(rows, logits, words), hidden)

    def _read_rows(
        self, rows: Sequence[Row], view: TaggerView, *, states: bool
    ) -> tuple[list[Floats2d], list[Any]]:
        """Read each row once for all components on one core, if it can be; see `read_rows`."""
        nlp, core = self._pipeline, view.core
        active = [proc for _, proc in nlp.pipeline] if nlp is not None else []
        sharing = [
            proc
            for proc in active
            if isinstance(proc, DomainComponent) and proc.model.core is core
        ]
        if core.trainable or self not in sharing or len(sharing) == 1:
            return read_rows(rows, view, self.batch_pieces, states=states)
        keep = sharing[-1] is not self
        shared = SharedPass.on(core)
        return shared.read(rows, view, self.batch_pieces, states=states, keep=keep)

    def _rows(self, docs: Sequence[Doc], domains: Sequence[str]) -> tuple[list[Row], list[Words]]:
        """Return all windows of the docs, and the words of each doc that get logits."""
        signs = self._signs(domains)
        rows = doc_rows(
            docs,
            domains,
            self.model.core,
            self.normalizer,
            window=self.window,
            overlap=self.overlap,
            signs=signs,
        )
        return rows, self._words(rows, docs, signs)

    def _check_loss(self, loss: float) -> None:
        """Check a loss.

        RAISES (ConfigError): If it is not a finite number.
        """
        if not np.isfinite(loss):
            raise ConfigError(
                f"The loss of '{self.name}' is {loss}: lower the learning rate, or set "
                'precision = "fp32" on the frozen_transformer'
            )

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Read a stream. The results do not depend on batch_size. A doc that fails goes alone to
        the error handler.

        stream (Iterable[Doc]): Docs.
        batch_size (int): Docs to buffer; inside the buffer they are sorted by length.
        YIELDS (Doc): The docs, in order.
        """
        for batch in util.minibatch(stream, size=batch_size):
            yield from self._tag(batch)

    def _tag(self, docs: Sequence[Doc]) -> Sequence[Doc]:
        """Return the docs that were read; the error handler has the others."""
        try:
            self.set_annotations(docs, self.predict(docs))
        except Exception:
            known = self._with_domain(docs)
            if len(known) < len(docs):  # an unknown domain costs no other doc its batch
                return self._tag(known)
            return [doc for doc in map(self, docs) if doc is not None]
        return docs

    def _with_domain(self, docs: Iterable[Doc]) -> list[Doc]:
        """Return the docs whose domain is known; the error handler has the others."""
        known = []
        for doc in docs:
            try:
                self.domain_of(doc)
            except Exception as e:
                self.get_error_handler()(self.name, self, [doc], e)
            else:
                known.append(doc)
        return known

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
            One whose reference has no annotation at all says nothing, and is left out.
        drop (float): The dropout rate in front of the head; 0 leaves it at the model's setting.
        sgd (Optimizer): Applied if given.
        losses (dict): The loss is added under the component's name.
        RETURNS (dict): losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, f"{type(self).__name__}.update")
        set_dropout_rate(self.model, drop)
        with none_on_error(self.model):
            loss = self._learn([eg for eg in examples if self._is_annotated(eg)])
        if loss is not None:
            losses[self.name] += loss
            if sgd is not None:
                self.finish_update(sgd)
        return losses

    def _learn(self, examples: Sequence[Example]) -> float | None:
        """Return the loss, after its gradient was found; None if there is nothing."""
        docs = [eg.predicted for eg in examples]
        domains = [self.domain_of(doc) for doc in docs]
        rows, words = self._rows(docs, domains)
        self._hand_over(docs, rows)
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
        """Minus the log-probability of what is gold, per labelled word or doc.

        examples (Iterable[Example]): The batch.
        scores (Sequence[Floats2d]): For each doc, logits (w, k); see `text/words.py`.
        RETURNS (tuple): The mean loss, and for each doc its gradient (w, k). Where the gold tag
            is missing or not aligned any will do.
        RAISES (DomainError): For a label that the head does not have.
        RAISES (ConfigError): For an infinite loss.
        """
        examples = list(examples)
        docs = [eg.predicted for eg in examples]
        domains = [self.domain_of(doc) for doc in docs]
        _, words = self._rows(docs, domains)
        return self._loss(examples, domains, scores, words)[:2]

    def finish_update(self, sgd: Optimizer) -> None:
        """Apply the gradients."""
        self.model.finish_update(sgd)

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains."""
        return self.model.module.domains

    @property
    def labels(self) -> tuple[str, ...]:
        """Union of the labels of all domains."""
        with self.model.module.unchanged():
            heads = self.model.module.heads.values()
            return tuple(dict.fromkeys(chain.from_iterable(head.labels for head in heads)))

    @property
    def label_data(self) -> tuple[str, ...]:
        """The labels, for `spacy init labels`."""
        return self.labels

    def labels_of(self, domain: str) -> tuple[str, ...]:
        """Return the labels of one domain.

        RAISES (DomainError): If it is unknown.
        """
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
            return domains[0]  # where there is nothing to find either
        if isinstance(domain, str) and domain in domains:
            return domain
        if not domains:
            self._check_core()
        raise DomainError.unknown(domain, domains, component=self.name)

    def add_label(self, label: str) -> int:
        """Check that a label is known, since labels belong to heads.

        RAISES (DomainError): If it is not.
        """
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
        validate_get_examples(get_examples, f"{type(self).__name__}.initialize")
        examples = list(get_examples())
        told = list(filter(self._is_annotated, examples)) or examples
        references = [eg.reference for eg in told]
        if self.domains and domain is None and start is None and labels is None:
            self._start_anew(references)
            return
        if labels is None:
            labels = sorted(set(self._labels_in(references)))
        labels = self._legal(labels)
        domain = domain or self.cfg["default_domain"]
        names = domains_in_front(nlp, self) if domain is None else ()
        for name in names or [domain or head]:
            self.model.add_domain(
                check_name(name),
                head=head,
                labels=labels,
                start=None if start is None else Path(start),
                pieces=self._pieces(references),
                pairs=self._count(references, labels),
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
                pairs = self._count(references, labels)
                self.model.add_domain(name, head=head, labels=labels, pieces=pieces, pairs=pairs)
        self.train_only(known, heads=True)

    def _pieces(self, docs: Sequence[Doc]) -> list[int]:
        """Return the pieces of some of the docs: a prefix's start values."""
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

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Self:
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
        """Check domains that settings name once all is loaded, and take docs where `spacy debug
        model` gives a model docs.

        nlp (Language): The pipeline.
        RAISES (DomainError): If one was loaded and is not a domain.
        """
        super()._linked(nlp)
        self.model.read_docs = self._pack_docs
        self._add_addons(nlp)
        just_read, self._just_read = self._just_read, False
        own = {"default_domain": self.cfg["default_domain"]}
        own["fallback_domain"] = self.fallback_domain
        domains = self.domains
        for key, domain in own.items():
            if just_read and domain is not None and domains and domain not in domains:
                raise DomainError(
                    f"The {key} {domain!r} of component '{self.name}' is not one of its "
                    f"domains: {', '.join(sorted(domains))}. "
                    f"Set components.{self.name}.{key} to one of these"
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

    def remember(self) -> Callable[[], None]:
        """Return a function that puts domains and settings back as they are now."""
        model, cfg = self.model.remember(), dict(self.cfg)
        lent, addons, fallback_domain = self.lent, self.addons, self.fallback_domain

        def put_back() -> None:
            model()
            self.cfg.update(cfg)
            self.lent, self.addons, self.fallback_domain = lent, addons, fallback_domain

        return put_back

    def _pack_docs(self, docs: Sequence[Doc]) -> WindowBatch:
        """Return all rows of the docs, whatever their number."""
        rows, _ = self._rows(docs, [self.domain_of(doc) for doc in docs])
        return pack(rows, self.model.core)
