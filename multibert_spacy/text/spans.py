"""Tags and entities: BIO in both directions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import MultibertError
from ..types import Entity, Floats2d
from .crf import best_tags, tag_probabilities

__all__ = ["bar", "bio_tags", "certainties", "check_finite", "decode_entities", "tags_to_entities"]


def bio_tags(labels: Sequence[str]) -> list[str]:
    """The BIO tags of labels.

    labels (Sequence[str]): Entity labels of a head, in its order.
    RETURNS (list[str]): The tags in the order of the head's outputs: O, then B- and I- of each.
    """
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]


def check_finite(scores: Floats2d, whose: str) -> None:
    """Check scores before the best is chosen.

    scores (w, k): A network's outputs, of which `argmax` would take a NaN for the highest.
    whose (str): The component, for the message.
    RAISES (MultibertError): If one is not a finite number.
    """
    if not np.isfinite(scores).all():
        raise MultibertError(
            f"'{whose}' computes scores that are not finite numbers: set "
            'precision = "fp32" on the frozen_transformer, or train the adapter anew'
        )


def tags_to_entities(
    tags: Sequence[int] | NDArray[np.int64], labels: Sequence[str], scores: Sequence[float]
) -> list[Entity]:
    """Collect the entities of a legal tag sequence.

    tags (Sequence[int]): Index into `bio_tags(labels)` for each word.
    labels (Sequence[str]): The head's labels.
    scores (Sequence[float]): A probability for each word's tag.
    RETURNS (list[Entity]): In order; an entity's score is the mean of its words' (as the "simple"
        aggregation of transformers' token-classification pipeline has it).
    """
    entities: list[Entity] = []
    start = None
    for i, tag in enumerate([*tags, 0]):
        if start is not None and (tag == 0 or tag % 2 == 1):
            label = labels[(int(tags[start]) - 1) // 2]
            entities.append(Entity(start, i, label, float(np.mean(scores[start:i]))))
            start = None
        if tag % 2 == 1:
            start = i
    return entities


def bar(logits: Floats2d, barred: NDArray[np.bool_] | None) -> Floats2d:
    """Make tags impossible.

    logits (w, k), barred (w, k): Tags that a word cannot have.
    RETURNS (w, k): Minus infinity for these.
    """
    return logits if barred is None else np.where(barred, np.float32(-np.inf), logits)


def decode_entities(
    logits: Sequence[Floats2d],
    labels: Sequence[str],
    transitions: Floats2d,
    barred: Sequence[NDArray[np.bool_] | None] | None = None,
) -> list[list[Entity]]:
    """The entities of each doc's best legal tag sequence; see `crf.py`.

    logits (list): For each doc (w, k): head outputs.
    labels (Sequence[str]): The head's labels; k = 2 * len(labels) + 1.
    transitions (k, k): The head's.
    barred (list): For each doc (w, k), which tags its words cannot have; never O. None bars none.
    RETURNS (list): For each doc its entities. Their scores are probabilities given all of the
        doc's words. Words count from 0 at the first row.
    RAISES (MultibertError): If a logit is not a finite number.
    """
    for own in logits:
        check_finite(own, "multibert_ner")
    if barred is not None:
        logits = [bar(own, tags) for own, tags in zip(logits, barred, strict=True)]
    tags = best_tags(logits, transitions)
    entities: list[list[Entity]] = [[] for _ in logits]
    some = [i for i, own in enumerate(tags) if own.any()]
    for i, probabilities in zip(
        some, tag_probabilities([logits[i] for i in some], transitions), strict=True
    ):
        scores = probabilities[np.arange(len(tags[i])), tags[i]]
        entities[i] = tags_to_entities(tags[i], labels, scores.tolist())
    return entities


def certainties(
    logits: Sequence[Floats2d],
    labels: Sequence[str],
    transitions: Floats2d,
    barred: Sequence[NDArray[np.bool_] | None],
) -> list[NDArray[np.float32]]:
    """Decode as `decode_entities`, with how probable each word's most probable tag is.

    RETURNS (list): For each doc (w,).
    """
    for own in logits:
        check_finite(own, "multibert_ner")
    own_logits = [bar(own, tags) for own, tags in zip(logits, barred, strict=True)]
    return [own.max(1) for own in tag_probabilities(own_logits, transitions)]
