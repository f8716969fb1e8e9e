"""Which differences between two systems are real: a paired bootstrap over the docs of a part.

    python -m scripts.experiments.compare metrics/persian/evaluate.json:given metrics/other.json
    python -m scripts.experiments.compare

A and B are reports of `scripts.build.evaluate` on the same part; a report with more than one mode
needs its name after a colon. Without A and B, PAIRS are compared. The docs of each domain are
drawn again with replacement, the same ones for both systems. The difference is A minus B: of the
micro F1 of each domain, of the macro of the ten channels, and of the macro of all domains.

The p value is two-sided: twice the share of resamples in which the sign is not that of most of
them. It is below 0.05 where the interval leaves out zero, but for rounding; with 10,000 resamples
it cannot be smaller than 0.0002.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import srsly
import typer
from numpy.typing import NDArray
from rich.console import Console

from multibert_spacy.errors import ConfigError

from ..build.scoring.entities import f1_of, interval_of, mean_of_known, resample
from ..domains import HEADS
from ..options import Seed
from ..record import (
    build_header,
    percent,
    plain_path,
    points,
    readable_errors,
    save,
    span,
    table,
)  # fmt: skip

app = typer.Typer(add_completion=False)
console = Console()

METRICS = Path("metrics/persian")
N_DRAWS = 10_000
PAIRS = {
    "lora_crf": ("multi_lora.json:given", "crf.json"),
    "lora_general": ("multi_lora.json:given", "general.json"),
    "lora_special": ("multi_lora.json:given", "special.json"),
    "lora_prefix": ("multi_lora.json:given", "multi_prefix.json:given"),
    "shipped_crf": ("pretrained.json:given", "crf_refit.json"),
    "shipped_lora": ("pretrained.json:given", "multi_lora.json:given"),
    "int8_shipped": ("int8.json:detected", "pretrained.json:detected"),
}
"""What compare_<name>.json is of."""

DocCounts = Mapping[str, Sequence[Sequence[int]]]
"""Domain -> true positives, false positives, false negatives of each doc, in one order for all."""


def read_counts(source: str) -> tuple[DocCounts, dict[str, Any]]:
    """Read the counts of one system.

    source (str): Path of a report, if need be with a colon and the mode.
    RETURNS (tuple): The counts, and the report with the key "mode".
    RAISES (ConfigError): If there is no such report or mode, or more than one to choose from.
    """
    name, colon, mode = source.rpartition(":")
    path, mode = (Path(name), mode) if colon and not Path(source).is_file() else (Path(source), "")
    if not path.is_file():
        raise ConfigError(f"{source}: expected FILE or FILE:MODE, found no such file")
    report = srsly.read_json(path)
    modes = report.get("doc_counts")
    if not modes:
        raise ConfigError(f"{path} has no counts of docs: make it again with the evaluate script")
    if not mode and len(modes) == 1:
        (mode,) = modes
    if mode not in modes:
        raise ConfigError(f"{path} has no mode {mode!r}: add :MODE, one of {', '.join(modes)}")
    return modes[mode], {**report, "mode": mode}


def _check_pair(a: DocCounts, b: DocCounts) -> list[str]:
    """RETURNS (list[str]): The domains of both, in which the docs must be the same."""
    domains = sorted(a.keys() & b.keys())
    if not domains:
        raise ConfigError(f"No domain in common: {', '.join(a)} against {', '.join(b)}")
    for domain in domains:
        gold = [[tp + fn for tp, _, fn in counts[domain]] for counts in (a, b)]
        if gold[0] != gold[1]:
            raise ConfigError(
                f"The docs of {domain} are not the same: {len(gold[0])} with {sum(gold[0])} "
                f"entities, {len(gold[1])} with {sum(gold[1])}, or in another order"
            )
    return domains


def _resampled(
    a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], rng: np.random.Generator, n: int
) -> NDArray[np.float64]:
    """RETURNS (2, 1 + n): F1 of both systems, first on the docs as they are, then resampled."""
    counts = np.stack([np.array(a), np.array(b)], axis=1)
    sums = np.concatenate([counts.sum(axis=0)[None], resample(counts, rng, n)])
    return f1_of(sums)


def _entry(scores: NDArray[np.float64]) -> dict[str, Any]:
    """scores (2, 1 + n): As `_resampled` has them."""
    known = scores[:, 1:][:, ~np.isnan(scores[:, 1:]).any(axis=0)]
    differences = known[0] - known[1]
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    p = 2 * (min(below, above) + 1) / (len(differences) + 1)
    a, b = (None if np.isnan(value) else float(value) for value in scores[:, 0])
    return {
        "a": a,
        "b": b,
        "difference": None if a is None or b is None else a - b,
        "interval": interval_of(differences),
        "p": min(p, 1.0) if len(differences) else None,
    }


def compare(
    a: DocCounts,
    b: DocCounts,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    n_resamples: int = N_DRAWS,
) -> dict[str, Any]:
    """Compare two systems on the domains that both were scored on.

    groups (Mapping): Name -> domains that have a macro of their own; by default the channels as
        "social". All domains together are "all".
    RETURNS (dict): "per_domain" and "macro": name -> F1 of "a" and "b" (None where nothing is
        annotated and nothing found), their "difference", its 95% "interval" and "p"; a macro says
        of how many "domains" it is. "only_a" and "only_b" are the domains that were left out.
    RAISES (ConfigError): If the docs are not the same, or no domain is.
    """
    domains = _check_pair(a, b)
    rng = np.random.default_rng(seed)
    scores = {name: _resampled(a[name], b[name], rng, n_resamples) for name in domains}
    groups = {"social": HEADS["social"]} if groups is None else groups
    macros = {}
    for name, wanted in {**groups, "all": domains}.items():
        if found := [domain for domain in wanted if domain in scores]:
            stacked = np.stack([scores[domain] for domain in found])
            means = np.stack([mean_of_known(stacked[:, system]) for system in (0, 1)])
            macros[name] = {"domains": len(found), **_entry(means)}
    return {
        "n_resamples": n_resamples,
        "per_domain": {name: _entry(scores[name]) for name in domains},
        "macro": macros,
        "only_a": sorted(a.keys() - b.keys()),
        "only_b": sorted(b.keys() - a.keys()),
    }


def compare_reports(
    a: str, b: str, *, seed: int = 0, n_resamples: int = N_DRAWS
) -> dict[str, Any]:
    """a, b (str): Reports, see `read_counts`.
    RETURNS (dict): As `compare`, with what was compared.
    """
    (a_counts, a_report), (b_counts, b_report) = read_counts(a), read_counts(b)
    result = compare(a_counts, b_counts, seed=seed, n_resamples=n_resamples)
    report = build_header(
        "scripts.experiments.compare",
        [],
        corpus=Path(a_report["corpus"]),
        split=a_report["split"],
        seed=seed,
        limit_groups=a_report["limit_groups"],
    )
    report["domains"] = {
        name: {"docs": len(a_counts[name]), "entities": sum(c[0] + c[2] for c in a_counts[name])}
        for name in result["per_domain"]
    }
    for name, source, read in (("a", a, a_report), ("b", b, b_report)):
        kept = ("mode", "command", "commit", "seed")
        report[name] = {"source": plain_path(source), **{key: read[key] for key in kept}}
    return report | result


def print_comparison(report: Mapping[str, Any], console: Console) -> None:
    """Print the table of a comparison."""
    macros = {f"macro, {name} ({own['domains']})": own for name, own in report["macro"].items()}
    rows = [
        {
            "": name,
            "A": percent(own["a"]),
            "B": percent(own["b"]),
            "A - B": points(own["difference"]),
            "interval": span(own),
            "p": "–" if own["p"] is None else f"{own['p']:.4f}",
        }
        for name, own in {**report["per_domain"], **macros}.items()
    ]
    console.print(table("F1 of entities, paired bootstrap over docs (95% interval)", rows))


@app.command(help=__doc__)
def main(
    a: Annotated[str, typer.Argument(help="Report of one system: FILE or FILE:MODE.")] = "",
    b: Annotated[str, typer.Argument(help="Report of the other one.")] = "",
    metrics: Annotated[Path, typer.Option(help="JSON; of PAIRS, folder")] = METRICS,
    resamples: Annotated[int, typer.Option(min=1, help="How often docs are drawn.")] = N_DRAWS,
    seed: Seed = 0,
) -> None:
    if a and b:
        pairs = {metrics: (a, b)}
    else:
        pairs = {
            metrics / f"compare_{name}.json": (f"{metrics}/{a}", f"{metrics}/{b}")
            for name, (a, b) in PAIRS.items()
        }
    for path, (one, other) in pairs.items():
        with readable_errors():
            report = compare_reports(one, other, seed=seed, n_resamples=resamples)
        save(report, path)
        console.print(path.stem)
        print_comparison(report, console)


if __name__ == "__main__":
    app()
