"""`domain_detector`: finds the domain of a group of docs.

    stream -> groups by thread -> one doc per group -> any spaCy text classifier -> domain

It is spaCy's `TextCategorizer` with groups in place of docs. The model may be our adapter on the
core (the paper's) or any architecture of spaCy's, and sees one doc that holds the group's words.
In training such docs come ready-made from `multibert_spacy.GroupCorpus.v1`. Which docs are a group
is decided in `text/threads.py`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import dropwhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.errors import Errors
from spacy.language import Language
from spacy.pipeline import TextCategorizer
from spacy.tokens import Doc
from spacy.training import Example, validate_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer

from ..adapters.storage import check_saved_labels
from ..core.gradients import FAILED, drop_gradients, has_gradient, none_on_error
from ..engines.engine import GRAPH
from ..errors import AdapterError, ConfigError, DomainError
from ..names import check_labels
from ..networks.classifier import ClassifierModel
from ..networks.knowledge import Knowledge
from ..networks.mixture_model import MixtureModel
from ..serialization.archive import FolderBytes, read_model, write_model
from ..serialization.drafts import draft_in
from ..serialization.manifest import MANIFEST, file_hash, verify_files, write_json
from ..serialization.parts import is_whole
from ..serialization.saves import SavedPart, check_save, read_settings
from ..text.blank import is_blank
from ..text.spans import check_finite
from ..text.threads import (
    Group,
    apply_context,
    given_domain,
    group_docs,
    install_extensions,
    take_groups,
)
from ..types import Floats2d
from .domain_component import DomainComponent
from .linking import LinkedPipe

__all__ = ["DomainDetector", "check_domains", "join_docs", "make_domain_detector"]

logger = logging.getLogger(__name__)

Row = NDArray[np.float32]
"""Probabilities of one group's labels."""

OURS = (ClassifierModel, MixtureModel)
"""Models that are saved as an adapter's folder."""

DEFAULT_CONFIG = Config().from_str("""
[domain_detector]
group_size = 8
max_thread = 1000
threshold = 0.0
fallback_domain = null

[domain_detector.scorer]
@scorers = "multibert_spacy.domain_scorer.v1"

[domain_detector.model]
@architectures = "multibert_spacy.DomainClassifier.v1"
max_pieces = 512
batch_pieces = 4096
pooling = "mean"
dropout = 0.1

[domain_detector.model.adapter]
@misc = "multibert_spacy.LoRA.v1"

[domain_detector.model.core]
@architectures = "multibert_spacy.CoreListener.v1"
upstream = "*"

[domain_detector.model.normalizer]
@misc = "multibert_spacy.HazmNormalizer.v1"
""")["domain_detector"]


@Language.factory(
    "domain_detector",
    assigns=["doc.cats", "doc._.domain", "doc._.domain_score"],
    default_config=DEFAULT_CONFIG,
    default_score_weights={"domain_acc": 1.0, "domain_per_type": None},
)
def make_domain_detector(
    nlp: Language,
    name: str,
    model: Model[list[Doc], Floats2d],
    group_size: int,
    max_thread: int,
    threshold: float,
    fallback_domain: str | None,
    scorer: Callable[..., dict[str, Any]] | None,
) -> "DomainDetector":
    """Construct the detector.

    model (Model): A text classifier whose outputs sum to 1, or to less, where it knows what
        belongs to none of the domains.
    group_size (int): Docs per group where no thread is given (the paper's 8).
    max_thread (int): Docs by which a thread's domain is decided, its first; all that follow have
        it too and are not waited for, so that a thread may be endless.
    threshold (float): Below this best score, fallback_domain is chosen.
    fallback_domain (str): Needed if threshold is above 0. Also chosen where nothing can be read.
    scorer (Callable): The scoring method.
    """
    return DomainDetector(
        nlp.vocab,
        model,
        name,
        group_size=group_size,
        max_thread=max_thread,
        threshold=threshold,
        fallback_domain=fallback_domain,
        scorer=scorer,
    )


class DomainDetector(LinkedPipe, FolderBytes, TextCategorizer):
    """Pipeline component that writes `doc.cats`, `doc._.domain` and `doc._.domain_score`.

    A doc whose domain was given takes no part; one that was detected before is detected anew. The
    domains it chooses from are its labels, without those that a tagger behind it has not.
    """

    _taggers: Sequence[DomainComponent] = ()
    _n_failed = 0

    def __init__(
        self,
        vocab: Vocab,
        model: Model[list[Doc], Floats2d],
        name: str = "domain_detector",
        *,
        group_size: int = 8,
        max_thread: int = 1000,
        threshold: float = 0.0,
        fallback_domain: str | None = None,
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        """Make a detector; see `make_domain_detector`.

        RAISES (ConfigError): For settings that make no sense.
        """
        if group_size < 1:
            raise ConfigError(f"group_size must be at least 1, got {group_size}")
        if max_thread < 1:
            raise ConfigError(f"max_thread must be at least 1, got {max_thread}")
        if not 0.0 <= threshold <= 1.0:
            raise ConfigError(f"threshold must be in [0, 1], got {threshold}")
        if threshold > 0 and fallback_domain is None:
            raise ConfigError(
                f"threshold = {threshold} needs a fallback_domain: set [components.{name}] "
                "fallback_domain to one of the domains"
            )
        super().__init__(vocab, model, name, threshold=threshold, scorer=scorer)
        install_extensions()  # again: someone may have registered plain ones of the same names
        self.group_size = group_size
        self.max_thread = max_thread
        self.fallback_domain = fallback_domain

    def __call__(self, doc: Doc) -> Doc:
        """A doc on its own is a group of one."""
        return next(iter(self.pipe([doc])), doc)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Detect the domains of a stream. spaCy's own `pipe` would cut a group at the border of a
        batch; here a batch ends with the group in which the next multiple of batch_size is
        reached. A later component that buffers batch_size docs then has what it waits for, and
        both together hold no more than that and one group.

        stream (Iterable[Doc]): Docs.
        batch_size (int): Docs to buffer.
        YIELDS (Doc): The docs, in order.
        """
        groups = group_docs(self._legible(stream), self.group_size, self.max_thread)
        n_done, row = 0, None
        while batch := take_groups(groups, batch_size - n_done % batch_size):
            done, row = self._detect(batch, row)
            for group in done:
                n_done += len(group)
                yield from group

    def annotate_groups(
        self, groups: Sequence[list[Doc]], before: Row | None = None
    ) -> Row | None:
        """Detect and write the domain of each group's docs that were not given one. A group that
        goes on has that of the group before, or decides itself where nothing could be read there.

        groups (Sequence[list[Doc]]): Groups of docs.
        before (labels,): Scores of the group before the first one.
        RETURNS (labels,): Scores of the last group; None if nothing could be read.
        """
        scores: list[Row] = [] if before is None else [before]
        at = None if before is None else 0
        joined: list[Doc] = []
        plan: list[tuple[list[Doc], int | None]] = []
        for group in groups:
            for doc in group:
                apply_context(doc)
            own = [doc for doc in group if given_domain(doc) is None]
            if not _goes_on(group):
                at = None
            if at is None and not all(map(is_blank, own)):
                at = len(scores) + len(joined)
                joined.append(join_docs(own, self.vocab))
            plan.append((own, at))
        if joined:
            scores.extend(self.predict(joined))
        for docs, i in plan:
            self.set_annotations(docs, [None if i is None else scores[i]] * len(docs))
            self._check_tokens(docs)
        return None if at is None else scores[at]

    def predict(self, docs: Iterable[Doc]) -> Floats2d:
        """Classify groups.

        docs (Iterable[Doc]): One doc per group.
        RETURNS (n, labels): Probabilities. A doc of nothing has the same for every domain.
        """
        docs = list(docs)
        self._check_ready(self.labels)
        scores = np.full((len(docs), len(self.labels)), 1 / max(len(self.labels), 1), dtype="f")
        filled = [i for i, doc in enumerate(docs) if not is_blank(doc)]
        if filled:
            output = self.model.predict([docs[i] for i in filled])
            scores[filled] = self.model.ops.to_numpy(output)
        check_finite(scores, self.name)
        return scores

    def set_annotations(self, docs: Iterable[Doc], scores: Iterable[Row | None]) -> None:
        """Write `doc.cats`, `doc._.domain` and `doc._.domain_score`.

        Only domains that the taggers have are chosen. Their probabilities are made to sum to 1 in
        `doc.cats`, not in the score: a text of a domain that was removed belongs to none of those
        that are left. Keys of `doc.cats` that are not labels stay.

        docs (Iterable[Doc]): The docs.
        scores (n, labels): Probabilities, one row per doc; None where nothing could be read.
        """
        index = self._choosable()
        labels = [self.labels[i] for i in index]
        even = np.full(len(index), 1 / max(len(index), 1), dtype=np.float32)
        for doc, row in zip(docs, scores, strict=True):
            own = np.zeros(len(index), dtype=np.float32) if row is None else row[index]
            score = 0.0 if row is None or not index else min(float(own.max()), 1.0)
            total = float(own.sum())
            if total <= 0:
                own = even
            else:
                own = own / total
            others = {key: value for key, value in doc.cats.items() if key not in self.labels}
            doc.cats = {**others, **dict(zip(labels, own.tolist(), strict=True))}
            sure = row is not None and bool(index) and score >= self.cfg["threshold"]
            doc._.domain = labels[int(own.argmax())] if sure else self._fallback()
            doc._.domain_score = score  # after the domain: it says that it was detected

    def _legible(self, stream: Iterable[Doc]) -> Iterator[Doc]:
        """Yield the docs whose context can be taken; the error handler has the others."""
        for doc in stream:
            try:
                apply_context(doc)
            except Exception as e:
                self.get_error_handler()(self.name, self, [doc], e)
            else:
                yield doc

    def _detect(
        self, groups: Sequence[list[Doc]], row: Row | None
    ) -> tuple[Sequence[list[Doc]], Row | None]:
        """Detect the domains of groups; where `annotate_groups` fails, group by group.

        RETURNS (tuple): The groups without the docs that failed, and the last group's scores.
        """
        try:
            return groups, self.annotate_groups(groups, row)
        except Exception:
            done = []
            for group in groups:
                sound, row = self._detect_alone(group, row)
                done.append(sound)
            return done, row

    def _detect_alone(self, group: list[Doc], row: Row | None) -> tuple[list[Doc], Row | None]:
        """A doc that fails goes to the error handler alone, and its group is read without it. If
        none fails alone, the group does as a whole.
        """
        try:
            return group, self.annotate_groups([group], row)
        except Exception as e:
            goes_on = _goes_on(group)
            sound = Group(filter(self._is_sound, group), goes_on=goes_on)
            if len(sound) < len(group):
                return self._detect_alone(sound, row)
            self.get_error_handler()(self.name, self, list(group), e)
            return [], row if goes_on else None

    def _is_sound(self, doc: Doc) -> bool:
        """Whether a doc can be read on its own; if not, the error handler is told."""
        try:
            if given_domain(doc) is None:
                self.predict([join_docs([doc], self.vocab)])
        except Exception as e:
            self.get_error_handler()(self.name, self, [doc], e)
            return False
        return True

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch, as the parent does, only from examples that name a domain.

        examples (Iterable[Example]): The domain is in `reference.cats`.
        drop (float): The dropout rate.
        sgd (Optimizer): Applied if given.
        losses (dict): The loss is added under the component's name.
        RETURNS (dict): losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "DomainDetector.update")
        self._forget_failed()
        told = [eg for eg in examples if self._is_told(eg)]
        if told:
            with none_on_error(self.model):
                super().update(told, drop=drop, sgd=sgd, losses=losses)
        return losses

    def get_loss(self, examples: Iterable[Example], scores: Any) -> tuple[float, Any]:
        """The parent's loss; examples that name no domain have none, and no gradient.

        examples (Iterable[Example]): The batch.
        scores (n, labels): Probabilities.
        RETURNS (tuple): The mean loss, and the gradient (n, labels).
        """
        examples = list(examples)
        told = [i for i, eg in enumerate(examples) if self._is_told(eg)]
        gradient = self.model.ops.xp.zeros_like(scores)
        if not told:
            return 0.0, gradient
        loss, gradient[told] = super().get_loss([examples[i] for i in told], scores[told])
        return loss, gradient

    def finish_update(self, sgd: Optimizer) -> None:
        """Apply the gradients, if there are any."""
        self._forget_failed()
        if has_gradient(self.model):
            super().finish_update(sgd)

    def _forget_failed(self) -> None:
        """Where a batch failed behind us, and its gradients were to be applied together with
        later ones, ours is dropped as well: the batch was not learnt.
        """
        n_failed = sum(tagger.model.attrs.get(FAILED, 0) for tagger in self._taggers)
        if n_failed != self._n_failed:
            self._n_failed = n_failed
            drop_gradients(self.model)

    def _is_told(self, eg: Example) -> bool:
        """Whether an example says anything of the domains. Its other categories are others'."""
        return any(label in eg.reference.cats for label in self.labels)

    def _validate_categories(self, examples: Iterable[Example]) -> None:
        """As the parent, but of the domains alone: what else is in `cats` is another's."""
        for eg in examples:
            cats = eg.reference.cats
            values = [cats[name] for name in cats if not self.labels or name in self.labels]
            if values.count(1.0) > 1:
                raise ValueError(Errors.E895.format(value=cats))
            for value in values:
                if value not in (0.0, 1.0):
                    raise ValueError(Errors.E851.format(val=value))

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Iterable[str] | None = None,
        folder: str | None = None,
    ) -> None:
        """Make the network, or read a trained one.

        get_examples (Callable): Examples with the domain in `reference.cats`.
        nlp (Language): The pipeline.
        labels (Iterable[str]): The domains; none at all takes those of the examples, sorted, or
            those that there are.
        folder (str): What `to_disk` of another detector wrote, read instead.
        RAISES (AdapterError): If that is missing, damaged, or made for another core.
        """
        if folder is not None:
            self._read(Path(folder))
            return
        names = list(labels or ())
        if not names:
            names = sorted({label for eg in get_examples() for label in eg.reference.cats})
        names = names or list(self.labels)
        self._check_ready(names)
        check_labels(names)

        def told() -> Iterator[Example]:
            for eg in get_examples():
                if any(name in eg.reference.cats for name in names):
                    yield eg

        some = any(True for _ in told())
        super().initialize(told if some else get_examples, nlp=nlp, labels=names)

    def knowledge(self, label: str) -> Knowledge | None:
        """What travels with a domain to another detector.

        label (str): A domain.
        RETURNS (Knowledge): None if it is not known here, or only among all others.
        """
        known = isinstance(self.model, OURS) and label in self.labels
        return self.model.knowledge(label) if known else None

    def learn(self, label: str, known: Knowledge) -> bool:
        """Choose among a further domain from now on.

        label (str): A new one.
        known (Knowledge): What another detector knew of it.
        RETURNS (bool): Whether this network can; a classifier would have to be trained anew.
        """
        if not isinstance(self.model, OURS) or not self.labels:
            return False
        if not self.model.learn(label, known):
            return False
        self.cfg["labels"] = (*self.labels, label)
        return True

    def forget(self, label: str) -> None:
        """Lose a domain. A network that cannot keeps it as a label, which is never chosen once no
        tagger has it.

        label (str): A domain, known or not.
        """
        known = isinstance(self.model, OURS) and label in self.labels
        if known and self.model.forget(self.labels, label):
            self.cfg["labels"] = tuple(name for name in self.labels if name != label)

    def rename(self, old: str, new: str) -> None:
        """Call a domain otherwise.

        old (str), new (str): Its name; that of one which is not known changes nothing.
        """
        if isinstance(self.model, OURS) and old in self.labels:
            self.model.rename(old, new)
        self.cfg["labels"] = tuple(new if name == old else name for name in self.labels)
        if self.fallback_domain == old:
            self.fallback_domain = new

    def remember(self) -> Callable[[], None]:
        """Return a function that puts domains and settings back as they are now."""
        model = self.model.remember() if isinstance(self.model, OURS) else None
        cfg, fallback_domain = dict(self.cfg), self.fallback_domain

        def put_back() -> None:
            if model is not None:
                model()
            self.cfg.update(cfg)
            self.fallback_domain = fallback_domain

        return put_back

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the labels, and our classifier as an adapter folder or another as `model`. The
        settings are the config's, so that one given to `spacy.load` is not overruled.
        """
        path = Path(path)
        learns = isinstance(self.model, MixtureModel)
        lent = {name for tagger in self._taggers for name in tagger.lent if learns}
        labels = tuple(name for name in self.labels if name not in lent)
        cfg: dict[str, Any] = {"labels": labels}
        names, hashes = ["cfg"], {}
        part = SavedPart(path, whole=is_whole(exclude))
        with draft_in(path) as draft:
            if "model" not in exclude and labels:
                if isinstance(self.model, OURS):
                    names.append("adapter")
                    self.model.write(draft / "adapter", labels, new=True, lent=lent)
                    hashes["adapter"] = file_hash(draft / "adapter" / MANIFEST)
                else:
                    names.append("model")
                    write_model(self.model, draft / "model")
                    cfg["files"] = {"model": file_hash(draft / "model")}
            write_json(draft / "cfg", cfg | part.ids([cfg, hashes]))
            part.put(draft, names)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "DomainDetector":
        """Read what `to_disk` wrote.

        RAISES (AdapterError): If a file is missing, damaged, or made for another core.
        """
        path = Path(path)
        self._read(path, exclude=exclude, graph=path / GRAPH)
        self._just_read = True
        return self

    def _read(
        self, path: Path, *, exclude: Iterable[str] = (), graph: Path | None = None
    ) -> "DomainDetector":
        """Nothing is taken before all has been read."""
        cfg = read_settings(path, AdapterError)
        check = partial(check_save, path, cfg, AdapterError, whole=is_whole(exclude))
        labels = cfg.get("labels")
        check_saved_labels(path / "cfg", labels)
        if "model" in exclude or not labels:
            check()
        elif isinstance(self.model, OURS):
            self.model.read(path / "adapter", labels, check=check, graph=graph)
        else:
            verify_files(path, cfg.get("files", {}), AdapterError)
            check()
            read_model(self.model, path / "model")
        self.cfg["labels"] = labels
        return self

    def _linked(self, nlp: Language) -> None:
        """Find the taggers behind this component, disabled ones too: they may come back. When the
        pipeline has just been loaded, say what does not fit.

        nlp (Language): The pipeline.
        RAISES (DomainError): See `check_domains`.
        """
        super()._linked(nlp)
        self._taggers = [proc for _, proc in _taggers_behind(self, nlp.components)]
        active = _taggers_behind(self, nlp.pipeline)
        if self._just_read and active:
            self._just_read = False
            for name, tagger in active:
                if tagger.fallback_domain is None:
                    check_domains(self, name, tagger.domains)

    def _choosable(self) -> list[int]:
        """Return where in `labels` the domains are that all taggers have now; where there is no
        tagger, all.
        """
        own = self._readable()
        return [i for i, label in enumerate(self.labels) if all(label in names for names in own)]

    def _fallback(self) -> str | None:
        """Return the fallback domain, if all taggers have it now."""
        name = self.fallback_domain
        return name if all(name in names for names in self._readable()) else None

    def _readable(self) -> list[set[str]]:
        """Return the domains of each tagger, apart from those that read any."""
        own = (tagger for tagger in self._taggers if tagger.fallback_domain is None)
        return [set(tagger.domains) for tagger in own]


def join_docs(docs: Sequence[Doc], vocab: Vocab) -> Doc:
    """Make one doc of a group.

    docs (Sequence[Doc]): A group.
    RETURNS (Doc): A new doc with all their words; nothing else is copied.
    """
    words = [word for doc in docs for word in doc]
    spaces = [bool(word.whitespace_) for word in words]
    for i in np.cumsum([len(doc) for doc in docs])[:-1]:
        if i:
            spaces[i - 1] = True
    return Doc(vocab, words=[word.text for word in words], spaces=spaces)


def _goes_on(group: list[Doc]) -> bool:
    return isinstance(group, Group) and group.goes_on


def _taggers_behind(
    detector: DomainDetector, components: Iterable[tuple[str, Any]]
) -> list[tuple[str, DomainComponent]]:
    """Return names and taggers among the components that come after the detector."""
    behind = dropwhile(lambda item: item[1] is not detector, components)
    return [(name, proc) for name, proc in behind if isinstance(proc, DomainComponent)]


def check_domains(detector: DomainDetector, name: str, domains: Sequence[str]) -> None:
    """Say which domains only one of detector and tagger knows. It is logged, as spaCy logs
    components that do not fit together, since a domain that was copied in or removed is not a
    mistake.

    name (str): The tagger's name.
    domains (Sequence[str]): The tagger's domains.
    RAISES (DomainError): If the fallback_domain is not among them, unless that domain was only
        removed and nothing but empty texts needs it.
    """
    labels, fallback = detector.labels, detector.fallback_domain
    if not domains or not labels:
        return  # their models were left out
    known = ", ".join(sorted(domains))
    gone = fallback is not None and fallback not in domains
    if gone and (fallback not in labels or detector.cfg["threshold"] > 0):
        raise DomainError(
            f"The fallback_domain {fallback!r} of component '{detector.name}' is not a "
            f"domain of '{name}', which has: {known}. "
            f"Set components.{detector.name}.fallback_domain to one of these"
        )
    missing = sorted(set(labels) - set(domains))
    unseen = sorted(set(domains) - set(labels))
    parts = []
    if gone:
        parts.append(f"{fallback}: the fallback_domain; empty texts have no domain now")
    if missing:
        parts.append(
            f"{', '.join(missing)}: known to '{detector.name}' alone, which will not choose them"
        )
    if unseen:
        parts.append(
            f"{', '.join(unseen)}: known to '{name}' alone, so that only texts that "
            "are given them will have them (was a folder renamed?)"
        )
    if parts:
        logger.warning(
            "Not all domains of this pipeline fit together. %s. '%s' has: %s",
            "; ".join(parts),
            name,
            known,
        )
