"""What `multibert_tagger` and `multibert_textcat` have in common: heads without a chain, which may
sit on the adapters that another component has trained.

A pipeline's adapters were trained for entities. What they know of a domain is of use for other
tasks too, and a head alone is small: with `adapters_from` only heads learn, one for all domains,
and each domain keeps the adapter that it has there, as a copy in a folder of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_get_examples
from spacy.vocab import Vocab

from ..errors import ConfigError, DomainError
from ..networks.tagger_model import TaggerModel
from ..text.softmax import softmax_loss
from ..text.words import Words
from ..types import Floats2d
from .batching import Row, seen_words
from .domain_component import DomainComponent

__all__ = ["SideTask"]


class SideTask(DomainComponent):
    """A component whose heads choose one label of several. A subclass says what is labelled."""

    def __init__(
        self,
        vocab: Vocab,
        model: TaggerModel,
        name: str,
        *,
        fallback_domain: str | None = None,
        **settings: Any,
    ) -> None:
        """Take over what both have: `settings` are those of a `DomainComponent`.

        RAISES (ConfigError): For settings that make no sense.
        """
        super().__init__(vocab, model, name, **settings)
        self.fallback_domain = fallback_domain

    def domain_of(self, doc: Doc, domains: Sequence[str] | None = None) -> str:
        """Find the domain that a doc is read with.

        doc (Doc): A doc. What a context of `nlp.pipe(as_tuples=True)` says of it is taken.
        domains (Sequence[str]): Those there are; None are those there are now.
        RETURNS (str): Its domain, or the default one if it has none, or the fallback_domain if it
            has one that is not here. A doc of nothing needs none.
        RAISES (DomainError): If the domain is unknown.
        """
        try:
            return super().domain_of(doc, domains)
        except DomainError:
            fallback = self.fallback_domain
            known = self.domains if domains is None else domains
            if doc._.domain is None or fallback is None or fallback not in known:
                raise
            return fallback

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
        adapters_from: str | None = None,
    ) -> None:
        """Make domains to train, or read trained ones. A component that has domains and is told
        nothing keeps them and their labels, and starts their weights anew, as spaCy's do.

        get_examples (Callable): Examples: labels and a prefix's start values come from them.
        nlp (Language): The pipeline.
        domain (str): Name of the domain to make; None is the default domain, or else one for each
            that a detector in front finds, or else the head's name. One alone becomes the default
            domain unless there is one.
        head (str): Name of the head, which all domains made here share.
        labels (Sequence[str]): The head's labels; None takes those of the examples, sorted.
        adapters (str): A folder with one folder per domain, read instead.
        start (str): A domain's folder, of any task, whose adapter the new one starts as.
        adapters_from (str): A component of the pipeline with domains, whose adapters are copied,
            and stay as they are: only the head learns. Its domains are made here, or of these
            `domain` alone.
        RAISES (DomainError): If there are no labels, or the other component has no such domain.
        RAISES (ConfigError): If there is no such component.
        RAISES (AdapterError): If there is no adapter in the folder, or a damaged one.
        """
        if adapters_from is None:
            super().initialize(
                get_examples,
                nlp=nlp,
                domain=domain,
                head=head,
                labels=labels,
                adapters=adapters,
                start=start,
            )
            return
        if adapters is not None or start is not None:
            raise ConfigError(
                f"'{self.name}' is to start from adapters_from = {adapters_from!r} and from a "
                "folder: leave out adapters and start, or adapters_from"
            )
        lender = self._lender(nlp, adapters_from)
        validate_get_examples(get_examples, f"{type(self).__name__}.initialize")
        references = [eg.reference for eg in get_examples()]
        if labels is None:
            labels = sorted(set(self._labels_in(references)))
        labels = self._legal(labels)
        names = lender.domains if domain is None else (domain,)
        theirs = {name: lender.model.module.adapter_of(name) for name in names}
        counts = self._count(references, labels)
        with self.model.module.changing():
            for name in self.domains:
                self.model.remove_domain(name)
            for name, own in theirs.items():
                self.model.add_domain(name, head=head, labels=labels, copy_of=own, pairs=counts)
        self.model.set_trainable(names, heads=True, adapters=False)

    def _lender(self, nlp: Language | None, name: str) -> DomainComponent:
        """Find the component whose adapters are copied.

        RAISES (ConfigError): If there is no component of that name that has adapters.
        """
        found = dict(nlp.components).get(name) if nlp is not None else None
        if not isinstance(found, DomainComponent) or found is self or not found.domains:
            there = [
                other
                for other, proc in (nlp.components if nlp is not None else ())
                if isinstance(proc, DomainComponent) and proc is not self and proc.domains
            ]
            raise ConfigError(
                f"adapters_from = {name!r} of '{self.name}' is no component with domains. There "
                f"are: {', '.join(there) or '(none)'}"
            )
        return found

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score a batch of examples with the scorer of the settings.

        examples (Iterable[Example]): The predicted docs as the pipeline left them.
        RETURNS (dict): The scorer's scores.
        """
        if self.scorer is None:
            return {}
        return self.scorer(list(examples), **{**self.cfg, "labels": self.labels, **kwargs})

    def _words(
        self, rows: Sequence[Row], docs: Sequence[Doc], signs: Sequence[bool]
    ) -> list[Words]:
        return seen_words(rows, len(docs))

    def _loss(
        self,
        examples: Sequence[Example],
        domains: Sequence[str],
        scores: Sequence[Floats2d],
        words: Sequence[Words],
    ) -> tuple[float, list[Floats2d], dict[str, Floats2d]]:
        gold = [
            self._gold(eg, self.labels_of(domain), domain)
            for eg, domain in zip(examples, domains, strict=True)
        ]
        total, gradients = self._label_loss(scores, gold, words)
        self._check_loss(total)
        return total, gradients, {}

    def _gold(self, eg: Example, labels: Sequence[str], domain: str) -> NDArray[np.int64]:
        """Return the index of each gold label, -100 where none is known."""
        raise NotImplementedError

    def _label_loss(
        self,
        scores: Sequence[Floats2d],
        gold: Sequence[NDArray[np.int64]],
        words: Sequence[Words],
    ) -> tuple[float, list[Floats2d]]:
        """Return the loss and for each doc its gradient (w, k); see `softmax_loss`."""
        places = [labels[own.places] for labels, own in zip(gold, words, strict=True)]
        return softmax_loss(scores, places)
