"""How well could a tagger do on the sample that sees single sentences and ignores their domain?

The oracle knows everything but the domain: it finds every entity, and labels all names of `own`
and `common` texts right. Each name of a `shared` text it labels with the most frequent label that
this very sentence with this very name has in the part, over all domains of the head. It may count
on the part it is scored on, so no real tagger comes near it. `prior` is the same oracle when it
counts by word class: closer to what can be learned, since the shared sentences of dev and test do
not occur in train.
"""

from collections import Counter

from scripts.domains import DOMAINS


def _by_sentence(text, i, filler):
    head = DOMAINS[text.domain].head
    return (head, text.template, i, *(f.surface for f in text.fillers))


def _by_class(text, i, filler):
    return (DOMAINS[text.domain].head, filler.word_class)


KEYS = {"hindsight": _by_sentence, "prior": _by_class}


def score_oracle(texts, *, counts_by="hindsight"):
    """Score the oracle on some texts.

    texts (Sequence[Text]): One part, or the part of one head.
    counts_by (str): "hindsight" for sentence and name, "prior" for the word class.
    RETURNS (dict): "p", "r" and "f" over all entities, strict.
    """
    key_of = KEYS[counts_by]
    labels = {}
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
    p, r = (n_right / n if n else 0.0 for n in (n_predicted, n_gold))
    return {"p": p, "r": r, "f": 2 * p * r / (p + r) if p + r else 0.0}


def ambiguous_share(texts):
    """Give the share of entities that stand in `shared` texts."""
    counts = Counter(
        text.kind == "shared" for text in texts for filler in text.fillers if filler.label != "O"
    )
    return counts[True] / counts.total() if counts else 0.0
