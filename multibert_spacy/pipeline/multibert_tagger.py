"""`multibert_tagger`: one tag per word, with the adapter of the doc's domain.

    docs -> logits (`domain_component.py`) -> the best label of each word -> token.tag_

A word is labelled for itself: parts of speech hardly need a chain behind a core that sees the
whole sentence. Words that the network does not see (white space, invisible marks, links, the sign
of a hashtag) are not guessed at: they keep what they have, which is "" in a new doc, as with any
word that nobody has tagged.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Config

from ..errors import DomainError
from ..networks.tagger_model import TaggerModel
from ..networks.tasks import TAG
from ..text.spans import check_finite
from .attributes import (
    aligned_values,
    check_values,
    install_attribute,
    value_of,
    write_value,
)
from .side_task import SideTask

__all__ = ["MultibertTagger", "make_multibert_tagger"]

DEFAULT_CONFIG = Config().from_str("""
[multibert_tagger]
attribute = "tag"
overwrite = false
default_domain = null
fallback_domain = null
window = 512
overlap = 128
batch_pieces = 4096
addons = []

[multibert_tagger.normalizer]
@misc = "multibert_spacy.HazmNormalizer.v1"

[multibert_tagger.scorer]
@scorers = "multibert_spacy.attribute_scorer.v1"

[multibert_tagger.model]
@architectures = "multibert_spacy.Tagger.v1"
dropout = 0.1

[multibert_tagger.model.adapter]
@misc = "multibert_spacy.LoRA.v1"

[multibert_tagger.model.core]
@architectures = "multibert_spacy.CoreListener.v1"
upstream = "*"
""")["multibert_tagger"]


@Language.factory(
    "multibert_tagger",
    requires=["doc._.domain"],
    assigns=["token.tag", "token.pos"],
    default_config=DEFAULT_CONFIG,
    default_score_weights={"tag_acc": 1.0},
)
def make_multibert_tagger(
    nlp: Language,
    name: str,
    model: TaggerModel,
    normalizer: Callable[[str], str],
    attribute: str,
    overwrite: bool,
    default_domain: str | None,
    fallback_domain: str | None,
    window: int,
    overlap: int,
    batch_pieces: int,
    addons: list[str],
    scorer: Callable[..., dict[str, Any]] | None,
) -> "MultibertTagger":
    """Construct the tagger of words.

    model (TaggerModel): `multibert_spacy.Tagger.v1`.
    normalizer (Callable): Normal form of a word, which the network sees; `doc.text` stays.
    attribute (str): What is read of gold words and written: "tag" (`token.tag_`), "pos"
        (`token.pos_`), or "_.name" for `token._.name`, which is registered if nobody has.
    overwrite (bool): Whether tags that words have when a doc comes are replaced. By default they
        stay, as with spaCy's `tagger`.
    default_domain (str): For docs without a domain. None makes such a doc an error.
    fallback_domain (str): For docs of a domain that this component does not have. None makes such
        a doc an error, and a detector in front does not choose such a domain.
    window (int): Pieces of a window, with the two special ones; at most what the core takes.
    overlap (int): Pieces that neighbouring windows of a long doc share.
    batch_pieces (int): Pieces of one forward pass.
    addons (list[str]): Installed packages of one domain each, as of `multibert_ner`.
    scorer (Callable): The scoring method.
    """
    return MultibertTagger(
        nlp.vocab,
        model,
        name,
        normalizer=normalizer,
        attribute=attribute,
        overwrite=overwrite,
        default_domain=default_domain,
        fallback_domain=fallback_domain,
        window=window,
        overlap=overlap,
        batch_pieces=batch_pieces,
        addons=addons,
        scorer=scorer,
    )


class MultibertTagger(SideTask):
    """Pipeline component for one tag per word, with one adapter per domain."""

    task = TAG

    def __init__(
        self,
        vocab: Vocab,
        model: TaggerModel,
        name: str = "multibert_tagger",
        *,
        attribute: str = "tag",
        overwrite: bool = False,
        **settings: Any,
    ) -> None:
        """Make one with the settings of `make_multibert_tagger`.

        RAISES (ConfigError): For settings that make no sense.
        """
        install_attribute(attribute)
        super().__init__(vocab, model, name, **settings)
        self.attribute = attribute
        self.overwrite = overwrite

    def predict(self, docs: Iterable[Doc]) -> list[list[str]]:
        """Find the tags of words.

        docs (Iterable[Doc]): Docs with a domain. They are not modified, apart from what a context
            of `nlp.pipe(as_tuples=True)` says about them.
        RETURNS (list[list[str]]): For each doc the tag of each word, "" of one that is not seen.
        RAISES (DomainError): If a doc's domain is unknown.
        """
        docs = list(docs)
        read = self._read_docs(docs)
        tags = [[""] * len(doc) for doc in docs]
        for own, domain, words, logits in zip(
            tags, read.domains, read.words, read.logits, strict=True
        ):
            check_finite(logits, self.name)
            labels = read.view.labels_of(domain)
            for place, best in zip(words.places.tolist(), logits.argmax(axis=1), strict=True):
                own[place] = labels[best]
        return tags

    def set_annotations(self, docs: Iterable[Doc], predictions: Sequence[Sequence[str]]) -> None:
        """Write the tags of words.

        docs (Iterable[Doc]): The docs.
        predictions (Sequence[Sequence[str]]): What `predict` returned for them.
        """
        docs = list(docs)
        for doc, tags in zip(docs, predictions, strict=True):
            for word, tag in zip(doc, tags, strict=True):
                if tag and (self.overwrite or not value_of(word, self.attribute)):
                    write_value(word, self.attribute, tag)
        self._check_tokens(docs)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score a batch of examples, see `multibert_spacy.attribute_scorer.v1`."""
        return super().score(examples, **{"attribute": self.attribute, **kwargs})

    def _legal(self, labels: Sequence[str]) -> tuple[str, ...]:
        check_values(self.attribute, labels)
        return super()._legal(labels)

    def _is_annotated(self, eg: Example) -> bool:
        return any(value_of(word, self.attribute) for word in eg.reference)

    def _labels_in(self, references: Sequence[Doc]) -> Iterable[str]:
        values = (value_of(word, self.attribute) for doc in references for word in doc)
        return filter(None, values)

    def _count(self, references: Sequence[Doc], labels: Sequence[str]) -> NDArray[np.int64]:
        counts = Counter(self._labels_in(references))
        return np.array([[counts[label] for label in labels]], dtype=np.int64)

    def _gold(self, eg: Example, labels: Sequence[str], domain: str) -> NDArray[np.int64]:
        places = {label: i for i, label in enumerate(labels)}

        def index(value: str) -> int:
            if value not in places:
                raise DomainError(
                    f"The tag {value!r} is not one of the head of domain {domain!r}, "
                    f"which has: {', '.join(labels)}"
                )
            return places[value]

        return aligned_values(eg, self.attribute, index)
