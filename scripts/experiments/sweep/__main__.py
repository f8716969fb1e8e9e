"""The command; what it does stands in the package."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from multibert_spacy.errors import ConfigError

from ...record import command_line, commit, readable_errors, save
from ..sizes import Shape
from . import __doc__ as description
from .search import Budget, Sweep
from .setting import Setting, knee_of

__all__ = ["PARTS", "app", "run_parts", "summarise"]

app = typer.Typer(add_completion=False)
console = Console()

PARTS = ("prefix", "lora", "curve")


def summarise(
    sweep: Sweep, curves: Mapping[str, Sequence[Setting]], tolerance: float
) -> dict[str, Any]:
    """RETURNS (dict): The budget, all runs, the curves and their knees."""
    budget = sweep.budget
    points = {
        kind: [sweep.point(setting) for setting in settings] for kind, settings in curves.items()
    }
    return {
        "command": command_line("scripts.experiments.sweep"),
        "commit": commit(),
        "seed": budget.seed,
        "split": "train, scored on dev",
        "corpus": sweep.corpus.name,
        "budget": {
            "head": budget.head,
            "domains": list(budget.domains),
            "epochs": budget.epochs,
            "rates": dict(budget.rates),
            "projection": budget.projection,
            "batch_words": budget.batch_words,
        },
        "core_parameters": sweep.shape.core,
        "tolerance": tolerance,
        "runs": [sweep.point(setting) for setting in sweep.runs],
        "curves": {
            kind: {"points": own, "knee": knee_of(own, tolerance)} for kind, own in points.items()
        },
    }


def run_parts(
    sweep: Sweep,
    parts: Sequence[str],
    path: Path,
    *,
    lengths: Sequence[int],
    ranks: Sequence[int],
    alphas: Sequence[int],
    shares: Sequence[float],
    ratio: float,
    tolerance: float,
) -> dict[str, Any]:
    """Run the parts in their order; the result is written after each.

    sweep (Sweep): The runs.
    parts (Sequence[str]): Of PARTS.
    path (Path): JSON file of the result.
    lengths, ranks, alphas (Sequence[int]): To search.
    shares (Sequence[float]): Of the core, for the curve.
    ratio (float): Alpha to rank on the curve, if LoRA is not searched.
    tolerance (float): See `knee_of`.
    RETURNS (dict): See `summarise`.
    """
    curves: dict[str, list[Setting]] = {}
    report: dict[str, Any] = {}
    for part in parts:
        if part == "prefix":
            sweep.search_prefix(lengths)
        elif part == "lora":
            best = sweep.search_lora(ranks, alphas)
            ratio = best.alpha / best.rank
        else:
            for kind in ("lora", "prefix"):
                curves[kind] = sweep.curve(kind, shares, ratio)
        report = summarise(sweep, curves, tolerance)
        save(report, path)
    return report


def _numbers(value: str, kind: type) -> list[Any]:
    try:
        return [kind(item) for item in value.split(",")]
    except ValueError as err:
        raise typer.BadParameter(f"expected numbers with commas between, got {value!r}") from err


def _print_report(report: Mapping[str, Any]) -> None:
    table = Table(title="Dev F1 of each setting")
    for column in ("setting", "parameters", "% of the core", "dev F1", "minutes"):
        table.add_column(column, justify="left" if column == "setting" else "right")
    for run in sorted(report["runs"], key=lambda run: (run["kind"], run["parameters"])):
        table.add_row(
            run["setting"],
            f"{run['parameters']:,}",
            f"{100 * run['share']:.2f}",
            f"{run['dev_f1']:.1f}",
            f"{run['minutes']:.1f}",
        )
    console.print(table)
    for kind, curve in report["curves"].items():
        knee = curve["knee"]
        console.print(f"knee of {kind}: {knee['setting']}, dev F1 {knee['dev_f1']:.1f}")


@app.command(help=description)
def main(
    corpus: Annotated[Path, typer.Option(help="Folder with train and dev.")] = Path(
        "corpus/persian"
    ),
    core: Annotated[Path, typer.Option(help="Folder of the core.")] = Path("assets/core"),
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("training/persian"),
    metrics: Annotated[Path, typer.Option(help="Folder of the JSON results.")] = Path(
        "metrics/persian"
    ),
    configs: Annotated[Path, typer.Option(help="Folder of the configs.")] = Path("configs"),
    domains: Annotated[str, typer.Option(help="Of one head, comma-separated.")] = "tweet",
    epochs: Annotated[float, typer.Option(help="Of each run.")] = 1.0,
    parts: Annotated[str, typer.Option(help="prefix, lora, curve.")] = ",".join(PARTS),
    lengths: Annotated[str, typer.Option(help="Of the prefix.")] = "4,12,20,28,36",
    ranks: Annotated[str, typer.Option(help="Of LoRA.")] = "3,8,16",
    alphas: Annotated[str, typer.Option(help="Of LoRA.")] = "1,16,32",
    shares: Annotated[str, typer.Option(help="Of the core, in percent.")] = "0.1,0.25,0.5,1,2,5",
    ratio: Annotated[float, typer.Option(help="Alpha to rank, if lora is not searched.")] = 2.0,
    lora_rate: Annotated[float, typer.Option(help="Learning rate of LoRA.")] = 1e-3,
    prefix_rate: Annotated[float, typer.Option(help="Learning rate of a prefix.")] = 2e-2,
    projection: Annotated[bool, typer.Option(help="A network makes the prefix.")] = False,
    tolerance: Annotated[float, typer.Option(help="Of the knee, in points of F1.")] = 1.0,
    batch_words: Annotated[int, typer.Option(help="Padded words of a batch.")] = 512,
    evaluations: Annotated[int, typer.Option(help="Scorings of the dev part.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed.")] = 0,
) -> None:
    wanted = parts.split(",")
    with readable_errors():
        if unknown := [part for part in wanted if part not in PARTS]:
            raise ConfigError(f"Unknown part {unknown[0]!r}; there are: {', '.join(PARTS)}")
        budget = Budget(
            tuple(domains.split(",")),
            epochs,
            {"lora": lora_rate, "prefix": prefix_rate},
            projection=projection,
            batch_words=batch_words,
            evaluations=evaluations,
            seed=seed,
        )
        shape = Shape.from_config(core / "config.json")
        sweep = Sweep(budget, shape, str(core), corpus, out, metrics, configs)
        report = run_parts(
            sweep,
            [part for part in PARTS if part in wanted],
            metrics / "sweep.json",
            lengths=_numbers(lengths, int),
            ranks=_numbers(ranks, int),
            alphas=_numbers(alphas, int),
            shares=[share / 100 for share in _numbers(shares, float)],
            ratio=ratio,
            tolerance=tolerance,
        )
    _print_report(report)


if __name__ == "__main__":
    app()
