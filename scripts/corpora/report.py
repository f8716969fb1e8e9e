"""The numbers of a conversion, as JSON and as tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ..record import table
from .sentence import SPLITS, Corpus, Sentence, Tally

Dropped = Mapping[str, Mapping[str, Mapping[str, Counter[str]]]]


def _by_domain(tally: Tally) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (domain, kind), n in sorted(tally.items()):
        nested.setdefault(domain, {})[kind] = n
    return nested


def count(
    texts: Sequence[Sentence], names: tuple[str, str] = ("sentences", "posts")
) -> dict[str, dict[str, Any]]:
    """RETURNS (dict): By domain, how many texts and threads there are, under these names, and how
    many tokens and entities.
    """
    domains: dict[str, dict[str, Any]] = {}
    for domain in sorted({text.domain for text in texts}):
        own = [text for text in texts if text.domain == domain]
        entities: Counter[str] = sum((text.entities for text in own), Counter())
        domains[domain] = {
            names[0]: len(own),
            names[1]: len({text.thread for text in own} - {None}),
            "tokens": sum(len(text.words) for text in own),
            "entities": dict(sorted(entities.items())),
        }
    return domains


def _duplicates(sentences: Sequence[Sentence]) -> dict[str, int]:
    """By domain: sentences whose very tokens stand earlier in the same list."""
    seen: set[tuple[str, ...]] = set()
    counts: Counter[str] = Counter()
    for sentence in sentences:
        if sentence.words in seen:
            counts[sentence.domain] += 1
        seen.add(sentence.words)
    return dict(sorted(counts.items()))


def build_report(
    corpora: Sequence[Corpus], dropped: Dropped, *, seed: int | None, fold: int | None
) -> dict[str, Any]:
    """Count what was read and what will be written.

    RETURNS (dict): Ready for JSON; it names inputs by base name only.
    """
    splits = {split: [s for corpus in corpora for s in corpus.splits[split]] for split in SPLITS}
    return {
        "corpora": [corpus.name for corpus in corpora],
        "fold": fold,
        "seed": seed,
        "inputs": {corpus.name: dict(sorted(corpus.inputs.items())) for corpus in corpora},
        "splits": {split: count(sentences) for split, sentences in splits.items()},
        "duplicates_in_train": _duplicates(splits["train"]),
        "dropped": {
            name: {
                split: {domain: dict(counts) for domain, counts in sorted(by_domain.items())}
                for split, by_domain in by_split.items()
            }
            for name, by_split in dropped.items()
        },
        "repaired_tags": _by_domain(sum((c.repaired for c in corpora), Counter())),
        "odd_tokens": _by_domain(sum((c.odd_tokens for c in corpora), Counter())),
    }


def print_counts(splits: Mapping[str, Any], title: str, console: Console) -> None:
    """Print what `count` returned for each split."""
    rows = [
        {"split": split, "domain": domain, **row, "entities": sum(row["entities"].values())}
        | row["entities"]
        for split, domains in splits.items()
        for domain, row in domains.items()
    ]
    console.print(table(title, rows))


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a report."""
    print_counts(
        report["splits"], f"Written (fold {report['fold']}, seed {report['seed']})", console
    )
    rows = [
        {"from": split, "corpus": corpus, "domain": domain, **counts}
        for corpus, by_split in report["dropped"].items()
        for split, domains in by_split.items()
        for domain, counts in domains.items()
    ]
    console.print(table("Dropped, because they stand in test (or, for train, in dev)", rows))
    rows = [
        {"what": what, "domain": domain, "kind": kind, "n": n}
        for what, key in (("tag repaired", "repaired_tags"), ("odd token", "odd_tokens"))
        for domain, kinds in report[key].items()
        for kind, n in kinds.items()
    ]
    console.print(table("Noticed", rows))
