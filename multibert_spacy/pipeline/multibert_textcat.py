"""`multibert_textcat`: one class per doc, with the adapter of its domain.

    docs -> logits of words (`domain_component.py`) -> their mean per doc -> doc.cats

The mean is over all words that have pieces, whatever window they are in: a long doc is read whole,
and each word counts once. As the head is linear, the mean of the words' logits is the logits of
their mean hidden state.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Config

from ..errors import ConfigError
from ..networks.tagger_model import TaggerModel
from ..networks.tasks import CLASS
from ..text.softmax import probabilities, softmax_loss
from ..text.spans import check_finite
from ..text.words import Words
from ..types import Floats2d
from .linking import domains_in_front
from .side_task import SideTask

__all__ = ["MultibertTextcat", "make_multibert_textcat"]

DEFAULT_CONFIG = Config().from_str("""
[multibert_textcat]
default_domain = null
fallback_domain = null
window = 512
overlap = 128
batch_pieces = 4096
addons = []

[multibert_textcat.normalizer]
@misc = "multibert_spacy.HazmNormalizer.v1"

[multibert_textcat.scorer]
@scorers = "spacy.textcat_scorer.v2"

[multibert_textcat.model]
@architectures = "multibert_spacy.Tagger.v1"
dropout = 0.1

[multibert_textcat.model.adapter]
@misc = "multibert_spacy.LoRA.v1"

[multibert_textcat.model.core]
@architectures = "multibert_spacy.CoreListener.v1"
upstream = "*"
""")["multibert_textcat"]


@Language.factory(
    "multibert_textcat",
    requires=["doc._.domain"],
    assigns=["doc.cats"],
    default_config=DEFAULT_CONFIG,
    default_score_weights={
        **{"cats_score": 1.0, "cats_score_desc": None, "cats_micro_p": None},
        **{"cats_micro_r": None, "cats_micro_f": None, "cats_macro_p": None},
        **{"cats_macro_r": None, "cats_macro_f": None, "cats_macro_auc": None},
        **{"cats_f_per_type": None},
    },
)
def make_multibert_textcat(
    nlp: Language,
    name: str,
    model: TaggerModel,
    normalizer: Callable[[str], str],
    default_domain: str | None,
    fallback_domain: str | None,
    window: int,
    overlap: int,
    batch_pieces: int,
    addons: list[str],
    scorer: Callable[..., dict[str, Any]] | None,
) -> "MultibertTextcat":
    """Construct the classifier of docs.

    model (TaggerModel): `multibert_spacy.Tagger.v1`.
    normalizer (Callable): Normal form of a word, which the network sees; `doc.text` stays.
    default_domain (str): For docs without a domain. None makes such a doc an error.
    fallback_domain (str): For docs of a domain that this component does not have. None makes such
        a doc an error, and a detector in front does not choose such a domain.
    window (int): Pieces of a window, with the two special ones; at most what the core takes.
    overlap (int): Pieces that neighbouring windows of a long doc share.
    batch_pieces (int): Pieces of one forward pass.
    addons (list[str]): Installed packages of one domain each, as of `multibert_ner`.
    scorer (Callable): The scoring method; by default that of spaCy's `textcat`.
    """
    return MultibertTextcat(
        nlp.vocab,
        model,
        name,
        normalizer=normalizer,
        default_domain=default_domain,
        fallback_domain=fallback_domain,
        window=window,
        overlap=overlap,
        batch_pieces=batch_pieces,
        addons=addons,
        scorer=scorer,
    )


class MultibertTextcat(SideTask):
    """Pipeline component for one class per doc, with one adapter per domain."""

    task = CLASS

    def __init__(
        self, vocab: Vocab, model: TaggerModel, name: str = "multibert_textcat", **settings: Any
    ) -> None:
        """Make one with the settings of `make_multibert_textcat`.

        RAISES (ConfigError): For settings that make no sense.
        """
        super().__init__(vocab, model, name, **settings)

    def predict(self, docs: Iterable[Doc]) -> list[dict[str, float]]:
        """Find the classes of docs.

        docs (Iterable[Doc]): Docs with a domain. They are not modified, apart from what a context
            of `nlp.pipe(as_tuples=True)` says about them.
        RETURNS (list[dict[str, float]]): For each doc the probability of each class of its domain.
            They sum to 1; of a doc of which no word is seen all are 0, as with spaCy's `textcat`.
        RAISES (DomainError): If a doc's domain is unknown.
        """
        read = self._read_docs(list(docs))
        found = []
        for domain, logits in zip(read.domains, read.logits, strict=True):
            labels = read.view.labels_of(domain)
            check_finite(logits, self.name)
            scores = np.zeros((1, len(labels)), dtype=np.float32)
            if len(logits):
                scores = probabilities(_mean(logits))
            found.append(dict(zip(labels, scores[0].tolist(), strict=True)))
        return found

    def set_annotations(
        self, docs: Iterable[Doc], predictions: Sequence[Mapping[str, float]]
    ) -> None:
        """Write `doc.cats`. Keys that are no class of any of our domains stay.

        docs (Iterable[Doc]): The docs.
        predictions (Sequence[Mapping[str, float]]): What `predict` returned for them.
        """
        docs = list(docs)
        labels = self.labels
        for doc, own in zip(docs, predictions, strict=True):
            for label in labels:  # of the domain that it had when it came before
                doc.cats.pop(label, None)
            doc.cats.update(own)
        self._check_tokens(docs)

    def _is_annotated(self, eg: Example) -> bool:
        return bool(eg.reference.cats)

    def _labels_in(self, references: Sequence[Doc]) -> Iterable[str]:
        others = set(domains_in_front(self._pipeline, self))
        return (label for doc in references for label in doc.cats if label not in others)

    def _count(self, references: Sequence[Doc], labels: Sequence[str]) -> NDArray[np.int64]:
        counts = Counter(self._class_of(doc, labels) for doc in references)
        return np.array([[counts[label] for label in labels]], dtype=np.int64)

    def _gold(self, eg: Example, labels: Sequence[str], domain: str) -> NDArray[np.int64]:
        own = self._class_of(eg.reference, labels)
        return np.array([-100 if own is None else labels.index(own)], dtype=np.int64)

    def _class_of(self, reference: Doc, labels: Sequence[str]) -> str | None:
        """Return the class of a gold doc among these, None if it says nothing of them.

        RAISES (ConfigError): If it has several, or one in part.
        """
        own = {label: reference.cats[label] for label in labels if label in reference.cats}
        found = [label for label, value in own.items() if value == 1]
        if len(found) > 1 or any(value not in (0, 1) for value in own.values()):
            raise ConfigError(
                f"A doc has one class of '{self.name}': 1.0 for that and 0.0 for the others, got "
                f"{own!r:.200}"
            )
        return found[0] if found else None

    def _label_loss(
        self,
        scores: Sequence[Floats2d],
        gold: Sequence[NDArray[np.int64]],
        words: Sequence[Words],
    ) -> tuple[float, list[Floats2d]]:
        seen = [i for i, own in enumerate(scores) if len(own)]
        pooled = [_mean(scores[i]) for i in seen]
        loss, d_pooled = softmax_loss(pooled, [gold[i] for i in seen])
        gradients: list[Floats2d] = [np.zeros_like(own) for own in scores]
        for i, gradient in zip(seen, d_pooled, strict=True):
            gradients[i] += gradient / len(scores[i])
        return loss, gradients


def _mean(logits: Floats2d) -> Floats2d:
    """Return the mean (1, k) of the logits of words (w, k)."""
    mean: Floats2d = logits.mean(axis=0, keepdims=True)
    return mean
