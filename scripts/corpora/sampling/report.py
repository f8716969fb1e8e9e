"""The numbers of a sample corpus, and how well a tagger could do that ignores the domain.

That oracle sees single sentences and knows everything but their domain: it finds every entity,
and labels all names of `own` and `common` texts right. Each name of a `shared` text it labels with
the most frequent label that this very sentence with this very name has in the part, over all
domains of the head (`hindsight`). It may count on the part it is scored on, so no real tagger
comes near it. `prior` is the same when it may count by word class: closer to what can be learned,
since the shared sentences of dev and test do not occur in train.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import faker
from rich.console import Console

from ...domains import DOMAINS, HEADS, LABELS
from ...record import table
from .render import Filler, Text

__all__ = ["KEYS", "ambiguous_share", "build_report", "print_report", "score_oracle"]

TYPES = tuple(dict.fromkeys(kind for kinds in LABELS.values() for kind in kinds))
Key = tuple[str, ...]


def _by_sentence(text: Text, i: int, filler: Filler) -> Key:
    head = DOMAINS[text.domain].head
    return (head, text.template, str(i), *(f.surface for f in text.fillers))


def _by_class(text: Text, i: int, filler: Filler) -> Key:
    return (DOMAINS[text.domain].head, filler.word_class)


KEYS: dict[str, Callable[[Text, int, Filler], Key]] = {
    "hindsight": _by_sentence,
    "prior": _by_class,
}


def score_oracle(texts: Sequence[Text], *, counts_by: str = "hindsight") -> dict[str, float]:
    """Score the oracle on some texts.

    texts (Sequence[Text]): One part, or the part of one head.
    counts_by (str): "hindsight" for sentence and name, "prior" for the word class.
    RETURNS (dict): "p", "r" and "f" over all entities, strict.
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
    p, r = (n_right / n if n else 0.0 for n in (n_predicted, n_gold))
    return {"p": p, "r": r, "f": 2 * p * r / (p + r) if p + r else 0.0}


def ambiguous_share(texts: Sequence[Text]) -> float:
    """Give the share of entities that stand in `shared` texts."""
    counts = Counter(
        text.kind == "shared" for text in texts for filler in text.fillers if filler.label != "O"
    )
    return counts[True] / counts.total() if counts else 0.0


def _count(texts: Sequence[Text]) -> dict[str, dict[str, Any]]:
    """Texts, threads, tokens and entities by domain."""
    domains = {}
    for domain in DOMAINS:
        own = [text for text in texts if text.domain == domain]
        entities = Counter(f.label for text in own for f in text.fillers if f.label != "O")
        domains[domain] = {
            "texts": len(own),
            "threads": len({text.thread for text in own}),
            "tokens": sum(len(text.tokens) for text in own),
            "entities": {kind: entities[kind] for kind in TYPES if entities[kind]},
        }
    return domains


def _judge(texts: Sequence[Text]) -> dict[str, Any]:
    """What the domain is worth: in all texts, and by head."""
    groups = {"all": list(texts)}
    for head, domains in HEADS.items():
        groups[head] = [text for text in texts if text.domain in domains]
    return {
        name: {
            "ambiguous_share": round(ambiguous_share(group), 4),
            **{
                f"oracle_{by}": {
                    key: round(value, 4)
                    for key, value in score_oracle(group, counts_by=by).items()
                }
                for by in KEYS
            },
        }
        for name, group in groups.items()
    }


def build_report(
    corpus: Mapping[str, Sequence[Text]], *, seed: int, scale: float
) -> dict[str, Any]:
    """Count a corpus.

    corpus (Mapping[str, Sequence[Text]]): Part -> texts.
    seed (int): Its seed.
    scale (float): Its scale.
    RETURNS (dict): Ready for JSON.
    """
    return {
        "seed": seed,
        "scale": scale,
        "faker": faker.VERSION,
        "splits": {part: _count(texts) for part, texts in corpus.items()},
        "without_domain": {part: _judge(texts) for part, texts in corpus.items()},
    }


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a report."""
    title = f"Sample corpus, seed {report['seed']}, scale {report['scale']:g}"
    rows = [
        {"split": part, "domain": name, **row, "entities": sum(row["entities"].values())}
        for part, domains in report["splits"].items()
        for name, row in domains.items()
    ]
    console.print(table(title, rows))
    rows = [
        {
            "split": part,
            "head": name,
            "ambiguous %": 100 * row["ambiguous_share"],
            **{f"F1, {by}": 100 * row[f"oracle_{by}"]["f"] for by in KEYS},
        }
        for part, groups in report["without_domain"].items()
        for name, row in groups.items()
    ]
    console.print(table("The best tagger that ignores the domain", rows))
