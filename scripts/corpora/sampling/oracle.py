"""How well could a tagger do that sees single sentences and ignores their domain?

The oracle knows everything but the domain: it finds every entity, and labels all names of `own`
and `common` texts right. Each name of a `shared` text it labels with the most frequent label that
this very sentence with this very name has in the part, over all domains of the head. It is
allowed to count on the part it is scored on, so no real tagger comes near it.

`prior` is the same oracle when it may count by word class, not by sentence: closer to what can be
learned, since the shared sentences of dev and test do not occur in train.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .labels import HEAD_OF
from .render import Filler, Text

__all__ = ["Score", "ambiguous_share", "score_oracle"]

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1, between 0 and 1."""

    p: float
    r: float
    f: float

    @classmethod
    def count(cls, n_right: int, n_predicted: int, n_gold: int) -> "Score":
        """Build the score from counts; 0 where nothing was predicted or annotated."""
        p = n_right / n_predicted if n_predicted else 0.0
        r = n_right / n_gold if n_gold else 0.0
        return cls(p, r, 2 * p * r / (p + r) if p + r else 0.0)


def _by_sentence(text: Text, i: int, filler: Filler) -> Key:
    return (HEAD_OF[text.domain], text.template, str(i), *(f.surface for f in text.fillers))


def _by_class(text: Text, i: int, filler: Filler) -> Key:
    return (HEAD_OF[text.domain], filler.word_class)


KEYS: dict[str, Callable[[Text, int, Filler], Key]] = {
    "hindsight": _by_sentence,
    "prior": _by_class,
}


def score_oracle(texts: Sequence[Text], *, counts_by: str = "hindsight") -> Score:
    """Score the oracle on some texts.

    texts (Sequence[Text]): One part, or the part of one head.
    counts_by (str): "hindsight" for sentence and name, "prior" for the word class.
    RETURNS (Score): Over all entities, strict.
    """
    key_of = KEYS[counts_by]
    labels: dict[Key, Counter[str]] = {}
    for text in texts:
        if text.kind == "shared":
            for i, filler in enumerate(text.fillers):
                labels.setdefault(key_of(text, i, filler), Counter())[filler.label] += 1
    n_right = n_predicted = n_gold = 0
    for text in texts:
        for i, filler in enumerate(text.fillers):
            guess = filler.label
            if text.kind == "shared":
                # Between equally frequent labels, an entity: "O" can never be counted as right.
                counts = labels[key_of(text, i, filler)]
                guess = max(counts, key=lambda label: (counts[label], label != "O", label))
            n_gold += filler.label != "O"
            n_predicted += guess != "O"
            n_right += guess == filler.label != "O"
    return Score.count(n_right, n_predicted, n_gold)


def ambiguous_share(texts: Sequence[Text]) -> float:
    """Give the share of entities that stand in `shared` texts."""
    counts = Counter(
        text.kind == "shared" for text in texts for filler in text.fillers if filler.label != "O"
    )
    return counts[True] / counts.total() if counts else 0.0
