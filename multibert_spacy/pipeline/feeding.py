"""How spacy-transformers' own listeners are fed: by the core as it is, or with adapters.

`annotate = true` is spacy-transformers' way: the transformer writes `doc._.trf_data` in its own
place, the first. With `adapted = true` that place is too early, since an adapter belongs to a
domain and the domain is known behind the detector only. So the *tagger* writes it: it has the
domains, the windows and the adapters, and what stands behind it can listen. Alternatives were a
transformer that runs the detector and the adapters itself (both components' work done twice, and
`spacy train` could not update them), and data that is computed when it is asked for (it would not
survive `to_bytes`, and spaCy's listeners read an attribute). The price is one more forward pass of
the tagger's, which only this setting pays.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy_transformers.data_classes import TransformerData
from spacy_transformers.layers import TransformerListener
from spacy_transformers.pipeline_component import Transformer
from thinc.api import Model

from ..core.trf_data import make_trf_data
from ..errors import ConfigError
from ..networks.tagger_model import TaggerModel
from ..text.words import Words
from ..types import WindowBatch
from .batching import Row, in_order, pack, row_batches
from .linking import LinkedPipe

__all__ = ["AdaptedFeeder", "ListenerFeeder", "hand_over", "listens"]


def listens(component: Any, upstream: str) -> bool:
    """RETURNS (bool): Whether a component's model holds a listener of spacy-transformers' that
    listens to a transformer of this name.
    """
    model = getattr(component, "model", None)
    return isinstance(model, Model) and any(
        isinstance(node, TransformerListener) and node.upstream_name in ("*", upstream)
        for node in model.walk()
    )


def hand_over(
    listeners: Iterable[Any], docs: Sequence[Doc], data: Sequence[TransformerData]
) -> None:
    """Give listeners what they read in the next update. Nothing comes back: the core is frozen,
    and the adapters learn from their own component.
    """
    batch_id = TransformerListener.get_batch_id(docs)
    for listener in listeners:
        listener.receive(batch_id, data, lambda gradients: [])


class ListenerFeeder(LinkedPipe):
    """The part of the `frozen_transformer` that knows who feeds listeners."""

    annotate: bool
    adapted: bool
    listeners: list[Any]
    has_feeder = False

    @property
    def writes(self) -> bool:
        """Whether `doc._.trf_data` is written by the transformer itself."""
        return self.annotate and not self.adapted

    @property
    def stock_listeners(self) -> list[TransformerListener]:
        """spacy-transformers' listeners."""
        return [own for own in self.listeners if isinstance(own, TransformerListener)]

    def linked(self, nlp: Language) -> None:
        """Which component feeds listeners is found anew."""
        super().linked(nlp)
        self.has_feeder = False

    def check_fed(self, component: Any) -> None:
        """spaCy's own listeners read zeros, in training and after it, where nobody writes
        `doc._.trf_data`.

        component (Any): What stands behind this one.
        RAISES (ConfigError): If it listens, and nobody writes.
        """
        if not listens(component, self.name) or self._is_another_s(component):
            return
        if self.adapted and not self.has_feeder:
            raise ConfigError(
                f"'{component.name}' listens to '{self.name}', which has adapted = true: what it "
                "reads is written by the multibert_ner, behind which it has to stand"
            )
        if not self.adapted and not self.annotate:
            raise ConfigError(
                f"'{component.name}' listens to '{self.name}', which has annotate = false and "
                f"writes nothing: it would read zeros. Set [components.{self.name}] annotate = "
                "true (the core's hidden states) or adapted = true (those of each doc's domain); "
                "of a pipeline that exists: "
                f'spacy.load(…, config={{"components.{self.name}.annotate": True}})'
            )

    def _is_another_s(self, component: Any) -> bool:
        """Whether a stock transformer in front feeds it: a listener may listen to any."""
        for _, proc in self.pipeline.pipeline if self.pipeline is not None else ():
            if proc is component:
                return False
            stock = isinstance(proc, Transformer) and not isinstance(proc, ListenerFeeder)
            if stock and listens(component, proc.name):
                return True
        return False


class AdaptedFeeder(LinkedPipe):
    """The part of the tagger that feeds listeners, where the transformer has `adapted = true`, and
    its own network, where somebody calls that with docs.
    """

    model: TaggerModel
    batch_pieces: int
    domain_of: Callable[..., str]
    _rows: Callable[[Sequence[Doc], Sequence[str]], tuple[list[Row], list[Words]]]

    def linked(self, nlp: Language) -> None:
        """`spacy debug model` gives docs to a model, where ours takes rows."""
        super().linked(nlp)
        self.model.read_docs = self.read_docs

    def read_docs(self, docs: Sequence[Doc]) -> WindowBatch:
        """RETURNS (WindowBatch): All rows of the docs, whatever their number."""
        rows, _ = self._rows(docs, [self.domain_of(doc) for doc in docs])
        return pack(rows, self.model.core)

    def feed(self, docs: Iterable[Doc], *, is_train: bool = False) -> None:
        """Write `doc._.trf_data`, or in training hand it to the listeners.

        docs (Iterable[Doc]): Docs with a domain.
        RAISES (DomainError): If a doc's domain is unknown.
        """
        owner = self.model.listener.feeding
        if owner is None:
            return
        docs = list(docs)
        rows, _ = self._rows(docs, [self.domain_of(doc) for doc in docs])
        batches = row_batches(rows, self.model, self.batch_pieces)
        results = ((index, self.model.hidden_states(batch)) for index, batch in batches)
        states = in_order(len(rows), results)
        parts: list[list[int]] = [[] for _ in docs]
        for i, row in enumerate(rows):
            parts[row.doc].append(i)
        data = [
            make_trf_data(
                [rows[i].ids for i in own],
                [rows[i].firsts for i in own],
                [rows[i].words for i in own],
                [states[i] for i in own],
                self.model.core,
                n_words=len(doc),
            )
            for doc, own in zip(docs, parts, strict=True)
        ]
        if is_train:
            hand_over(owner.stock_listeners, docs, data)
        else:
            for doc, own in zip(docs, data, strict=True):
                doc._.trf_data = own
