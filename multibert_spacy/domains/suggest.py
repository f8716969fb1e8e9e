"""`suggest`: which texts to mark names in next.

texts -> how unsure the tagger is of each -> a pool of those it is least sure of
      -> sentence embeddings of the pool -> some of it, far from each other

What a tagger is least sure of teaches it most, but the most uncertain texts are often alike: the
same notice a hundred times. So they are drawn as the centres of k-means++ are, each the more
probably the less sure the tagger is and the farther it lies from those that are drawn. Only the
pool is held in memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappush, heappushpop
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy import util
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import ConfigError
from ..networks.mixture_model import MixtureModel
from ..pipeline.multibert_ner import MultibertNER
from ..types import Floats2d
from .components import check_known, detectors_of, tagger_of
from .training import lent_core

__all__ = ["Suggestion", "suggest"]

Text = str | tuple[str, dict[str, Any]]

WORDS = 5
"""The least certain words of a text that count: so no text is taken for being long, and none for
being a single strange word.
"""
POOL = 10
"""Texts of the pool for each that is wanted."""
FEWEST = 200
CHUNK = 1024
"""Texts whose words are in memory at once."""
PIECES = 64
"""Of a text that its embedding is read from."""


class Suggestion(NamedTuple):
    """A text to mark names in.

    place (int): Which of the texts it is, from 0; of equal ones the first.
    text (str): The text.
    domain (str): As which it was tagged.
    score (float): How unsure the tagger is of it, from 0 to 1.
    """

    place: int
    text: str
    domain: str
    score: float


def suggest(
    nlp: Language,
    texts: Iterable[Text],
    n: int = 20,
    *,
    domain: str | None = None,
    seed: int = 0,
) -> list[Suggestion]:
    """Choose texts to mark names in: those of which the tagger is unsure, of all kinds that there
    are. Equal texts are chosen once.

    nlp (Language): A pipeline.
    texts (Iterable): Texts, any number, or pairs of a text and what is known of it ("domain",
        "thread"), as `nlp.pipe(as_tuples=True)` takes them.
    n (int): How many.
    domain (str): As which all are tagged; None is what is known or detected.
    seed (int): Of what is drawn.
    RETURNS (list[Suggestion]): The n first to label, or all that there are; the first ones are
        good to begin with if there is less time.
    RAISES (DomainError): If there is no such domain.
    RAISES (ConfigError): If n is below 1.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ConfigError(f"n must be a whole number of at least 1, got {n!r}")
    tagger = tagger_of(nlp) if domain is None else check_known(nlp, domain)
    pool = _least_sure(_judge(nlp, tagger, texts, domain), max(POOL * n, FEWEST))
    vectors = _embed(nlp, tagger, [own.text for own in pool])
    drawn = spread(vectors, np.array([own.score for own in pool]), n, seed)
    return [pool[i] for i in drawn]


def _judge(
    nlp: Language, tagger: MultibertNER, texts: Iterable[Text], domain: str | None
) -> Iterator[Suggestion]:
    """Say of each text how unsure the tagger is. A text of nothing is left out."""
    detectors = detectors_of(nlp)
    others = [name for name, proc in nlp.pipeline if proc not in detectors]
    place = 0
    for chunk in util.minibatch(texts, CHUNK):
        with nlp.memory_zone():
            made = (_make_doc(nlp, own, domain) for own in chunk)
            docs = list(nlp.pipe(made, disable=others))
            for doc, certainty in zip(docs, tagger.certainty(docs), strict=True):
                if len(certainty):
                    doubt = (1 - np.sort(certainty)[:WORDS]).sum() / WORDS
                    yield Suggestion(place, doc.text, tagger.domain_of(doc), float(doubt))
                place += 1


def _make_doc(nlp: Language, text: Text, domain: str | None) -> Doc:
    """Make a doc with what is known of it."""
    text, known = (text, {}) if isinstance(text, str) else text
    doc = nlp.make_doc(text)
    doc._.domain = known.get("domain") if domain is None else domain
    doc._.thread = known.get("thread")
    return doc


def _least_sure(found: Iterable[Suggestion], size: int) -> list[Suggestion]:
    """Keep those with the highest scores, of equal texts the first, in the order of the texts.

    An equal text that comes when the first is out of the pool already has the same score, and
    stays out as well.
    """
    heap: list[tuple[float, int, Suggestion]] = []
    there: set[str] = set()
    for own in found:
        if own.text in there:
            continue
        entry = (own.score, -own.place, own)
        if len(heap) < size:
            heappush(heap, entry)
        else:
            *_, gone = heappushpop(heap, entry)
            there.discard(gone.text)
            if gone is own:
                continue
        there.add(own.text)
    return sorted(own for *_, own in heap)


def _embed(nlp: Language, tagger: MultibertNER, texts: Sequence[str]) -> Floats2d:
    """Return sentence embeddings (n, h) of the bare core."""
    model = MixtureModel(
        lent_core(tagger),
        tagger.normalizer,
        pieces=PIECES,
        batch_pieces=tagger.batch_pieces,
        layers=0,
        dropout=0.0,
    )
    model.build(1, None, None)
    return model.embed([_words(nlp.make_doc(text)) for text in texts], model.module.view())


def _words(doc: Doc) -> list[str]:
    return [word.text for word in doc[:PIECES]]


def spread(vectors: Floats2d, weights: NDArray[np.float64], n: int, seed: int) -> list[int]:
    """Draw points as k-means++ draws its centres (Arthur and Vassilvitskii 2007), with weights.

    vectors (m, h): Points. weights (m,): At least 0.
    n (int): How many. seed (int): Of the drawing.
    RETURNS (list[int]): Up to n points, in the order in which they were drawn.
    """
    rng = np.random.default_rng(seed)
    drawn: list[int] = []
    nearest = np.ones(len(vectors))
    left = np.ones(len(vectors))
    for _ in range(min(n, len(vectors))):
        chances = weights * nearest
        if not chances.any():  # what is left lies on what is drawn
            chances = left
        i = int(rng.choice(len(vectors), p=chances / chances.sum()))
        distances = np.square(vectors - vectors[i]).sum(1, dtype=np.float64)
        nearest = np.minimum(nearest, distances) if drawn else distances
        drawn.append(i)
        left[i] = nearest[i] = 0.0
    return drawn
