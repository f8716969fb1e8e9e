"""The numbers of a sample corpus, as JSON and as tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import faker
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .labels import DOMAINS, HEADS, LABELS
from .oracle import KEYS, ambiguous_share, score_oracle
from .render import Text

__all__ = ["build_report", "print_report"]

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


def _judge(texts: Sequence[Text]) -> dict[str, Any]:
    """What the domain is worth: in all texts, and by head."""
    groups = {"all": list(texts)}
    for head, domains in HEADS.items():
        groups[head] = [text for text in texts if text.domain in domains]
    return {
        name: {
            "ambiguous_share": round(ambiguous_share(group), 4),
            **{
                f"oracle_{by}": {k: round(v, 4) for k, v in asdict(score).items()}
                for by in KEYS
                if (score := score_oracle(group, counts_by=by))
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


def _table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _splits_table(report: Mapping[str, Any], columns: Sequence[str], title: str) -> Table:
    table = _table(title, ("split", "domain"), columns)
    for part, domains in report["splits"].items():
        total: Counter[str] = Counter()
        for domain, row in domains.items():
            counts = Counter({name: row[name] for name in ("texts", "threads", "tokens")})
            counts.update(row["entities"], entities=sum(row["entities"].values()))
            total += counts
            table.add_row(part, domain, *(str(counts[name] or "-") for name in columns))
        table.add_row(part, "all", *(str(total[name] or "-") for name in columns), style="bold")
        table.add_section()
    return table


def _oracle_table(report: Mapping[str, Any]) -> Table:
    numbers = ("ambiguous %", *(f"F1, {by}" for by in KEYS))
    table = _table("The best tagger that ignores the domain", ("split", "head"), numbers)
    for part, groups in report["without_domain"].items():
        for name, row in groups.items():
            scores = [row["ambiguous_share"], *(row[f"oracle_{by}"]["f"] for by in KEYS)]
            table.add_row(part, name, *(f"{100 * score:.1f}" for score in scores))
        table.add_section()
    return table


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a report."""
    title = f"Sample corpus, seed {report['seed']}, scale {report['scale']:g}"
    console.print(_splits_table(report, ("texts", "threads", "tokens", "entities"), title))
    console.print(_splits_table(report, TYPES, "Entities by type"))
    console.print(_oracle_table(report))
