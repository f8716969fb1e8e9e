"""The numbers of a sample corpus."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import faker
from rich.console import Console

from ...domains import DOMAINS, LABELS
from ...record import table
from .render import Text

TYPES = tuple(dict.fromkeys(kind for kinds in LABELS.values() for kind in kinds))


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


def build_report(
    corpus: Mapping[str, Sequence[Text]], *, seed: int, scale: float
) -> dict[str, Any]:
    """Count a corpus.

    corpus (Mapping[str, Sequence[Text]]): Part -> texts.
    seed (int): Its seed.
    scale (float): Its scale.
    RETURNS (dict): Ready for JSON.
    """
    splits = {part: _count(texts) for part, texts in corpus.items()}
    return {"seed": seed, "scale": scale, "faker": faker.VERSION, "splits": splits}


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print the table of a report."""
    title = f"Sample corpus, seed {report['seed']}, scale {report['scale']:g}"
    rows = [
        {"split": part, "domain": name, **row, "entities": sum(row["entities"].values())}
        for part, domains in report["splits"].items()
        for name, row in domains.items()
    ]
    console.print(table(title, rows))
