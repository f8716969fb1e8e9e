"""Tags and entities: BIO in both directions, and decoding that cannot be illegal."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import MultibertError
from ..types import Entity, Floats2d

__all__ = [
    "bio_tags",
    "check_finite",
    "decode_entities",
    "log_softmax",
    "softmax",
    "tags_to_entities",
]


def bio_tags(labels: Sequence[str]) -> list[str]:
    """labels (Sequence[str]): Entity labels of a head, in its order.
    RETURNS (list[str]): The tags in the order of the head's outputs: O, then B- and I- of each.
    """
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]


def check_finite(scores: Floats2d, whose: str) -> None:
    """scores (w, k): A network's outputs, of which `argmax` would take a NaN for the highest.
    whose (str): The component, for the message.
    RAISES (MultibertError): If one is no finite number.
    """
    if not np.isfinite(scores).all():
        raise MultibertError(
            f"'{whose}' computes scores that are no finite numbers: set "
            'precision = "fp32" on the frozen_transformer, or train the adapter anew'
        )


def log_softmax(logits: Floats2d) -> Floats2d:
    """logits (w, k). RETURNS (w, k): log-probabilities, stable for large values."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats2d = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def softmax(logits: Floats2d) -> Floats2d:
    """logits (w, k). RETURNS (w, k): probabilities; rows sum to 1."""
    result: Floats2d = np.exp(log_softmax(logits))
    return result


def _illegal(tags: NDArray[np.intp]) -> bool:
    """Whether an I- (2, 4, 6, …) does not continue its own B- or I-."""
    before = np.concatenate(([0], tags[:-1]))
    inside = (tags > 0) & (tags % 2 == 0)
    return bool((inside & (before != tags) & (before != tags - 1)).any())


def _best_legal(log_probs: Floats2d) -> NDArray[np.intp]:
    """The most probable legal tag sequence (Viterbi with forbidden transitions)."""
    n_words, n_tags = log_probs.shape
    tag = np.arange(n_tags)
    inside = (tag > 0) & (tag % 2 == 0)
    allowed = ~inside[None, :] | (tag[:, None] == tag) | (tag[:, None] == tag - 1)
    penalty = np.where(allowed, 0.0, -np.inf)
    best = log_probs[0] + penalty[0]
    back = np.zeros((n_words, n_tags), dtype=np.intp)
    for i in range(1, n_words):
        paths = best[:, None] + penalty
        back[i] = paths.argmax(axis=0)
        best = paths[back[i], tag] + log_probs[i]
    tags = np.zeros(n_words, dtype=np.intp)
    tags[-1] = best.argmax()
    for i in range(n_words - 1, 0, -1):
        tags[i - 1] = back[i, tags[i]]
    return tags


def tags_to_entities(
    tags: Sequence[int] | NDArray[np.intp], labels: Sequence[str], scores: Sequence[float]
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


def decode_entities(logits: Floats2d, labels: Sequence[str]) -> list[Entity]:
    """The entities of the most probable legal tag sequence.

    Where the best tag of each word on its own is already a legal sequence it is the best legal
    one too, so the search runs only for the other docs.

    logits (w, k): Head outputs; a row of zeros with a large first value stands for "no pieces".
    labels (Sequence[str]): The head's labels; k = 2 * len(labels) + 1.
    RETURNS (list[Entity]): Words count from 0 at the first row.
    RAISES (MultibertError): If a logit is no finite number.
    """
    if not len(logits):
        return []
    check_finite(logits, "multibert_ner")
    tags = logits.argmax(axis=-1)
    if not tags.any():
        return []
    log_probs = log_softmax(logits)
    if _illegal(tags):
        tags = _best_legal(log_probs)
    scores = np.exp(log_probs[np.arange(len(tags)), tags])
    return tags_to_entities(tags, labels, scores.tolist())
