"""The command and its table; what it does stands in the package."""

from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from multibert_spacy.errors import ConfigError

from ...record import command_line, commit, readable_errors, save
from ..compare import N_DRAWS, compare
from . import __doc__ as description
from .ways import WAYS, Recipe

__all__ = ["app", "summarise"]

app = typer.Typer(add_completion=False)
console = Console()


def summarise(
    recipe: Recipe, found: dict[str, dict[str, Any]], *, n_resamples: int = N_DRAWS
) -> dict[str, Any]:
    """Put the ways side by side.

    found (dict): Domain -> way -> what `Recipe.run` returned.
    n_resamples (int): Of the paired bootstrap.
    RETURNS (dict): "targets", domain -> way -> F1, its interval and "against_tuned", the paired
        difference to the paper's way if that is there; "mean", way -> mean F1 of the targets.
    """
    targets: dict[str, Any] = {}
    for domain, reports in found.items():
        targets[domain] = {}
        tuned = reports.get("tuned")
        for way, report in reports.items():
            scores = report["scored"]["single"]["per_domain"][domain]
            own = {key: scores[key] for key in ("f", "f_interval", "n_docs", "n_entities")}
            own["dev_f"] = report["best_dev_score"]
            if tuned is not None and way != "tuned":
                counts = [r["scored"]["doc_counts"]["single"] for r in (report, tuned)]
                result = compare(*counts, seed=recipe.seed, n_resamples=n_resamples)
                own["against_tuned"] = result["per_domain"][domain]
            targets[domain][way] = own
    ways = [way for way in WAYS if any(way in own for own in targets.values())]
    known = {way: [own[way]["f"] for own in targets.values() if way in own] for way in ways}
    return {
        "command": command_line("scripts.experiments.recipe"),
        "commit": commit(),
        "seed": recipe.seed,
        "split": recipe.split,
        "corpus": recipe.corpus.name,
        "settings": recipe.chosen(),
        "ways": {way: WAYS[way] for way in ways},
        "targets": targets,
        "mean": {way: mean(f or 0.0 for f in scores) for way, scores in known.items()},
    }


def _print_report(report: dict[str, Any]) -> None:
    table = Table(title=f"F1 on {report['split']}, best dev checkpoints")
    for column in ("", *report["targets"], "mean"):
        table.add_column(column, justify="right" if column else "left")
    for way, title in report["ways"].items():
        cells = []
        for own in report["targets"].values():
            cell = f"{100 * own[way]['f']:.1f}" if way in own and own[way]["f"] else "-"
            if (against := own.get(way, {}).get("against_tuned")) and against["p"] is not None:
                cell += f" ({100 * against['difference']:+.1f}, p {against['p']:.3f})"
            cells.append(cell)
        table.add_row(title, *cells, f"{100 * report['mean'][way]:.1f}")
    console.print(table)


@app.command(help=description)
def main(
    corpus: Annotated[Path, typer.Option(help="Folder with the parts.")] = Path("corpus/persian"),
    core: Annotated[str, typer.Option(help="Hugging Face name or folder.")] = "assets/core",
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("training/persian"),
    metrics: Annotated[Path, typer.Option(help="Folder of the JSON results.")] = Path(
        "metrics/persian"
    ),
    configs: Annotated[Path, typer.Option(help="Folder of the configs.")] = Path("configs"),
    targets: Annotated[str, typer.Option(help="Domains, comma-separated.")] = "travel,sports,art",
    ways: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(WAYS),
    shared: Annotated[str, typer.Option(help="Folder in OUT of step one.")] = "pretrain",
    split: Annotated[str, typer.Option(help="Part to score on.")] = "test",
    adapter: Annotated[str, typer.Option(help="lora or prefix.")] = "lora",
    pretrain_epochs: Annotated[float, typer.Option(help="Of step one.")] = 3,
    tune_epochs: Annotated[float, typer.Option(help="Of step two.")] = 2,
    pretrain_rate: Annotated[float, typer.Option(help="Learning rate of step one.")] = 1e-3,
    tune_rate: Annotated[float, typer.Option(help="Learning rate of step two.")] = 5e-4,
    batch_words: Annotated[int, typer.Option(help="Padded words of a batch.")] = 512,
    evaluations: Annotated[int, typer.Option(help="Scorings of the dev part.")] = 2,
    seed: Annotated[int, typer.Option(help="Of training and resampling.")] = 0,
    settings: Annotated[list[str], typer.Option("--set", help="key=value of step one.")] = [],  # noqa: B006
    tune_settings: Annotated[list[str], typer.Option("--tune-set", help="Of step two.")] = [],  # noqa: B006
) -> None:
    chosen = ways.split(",")
    with readable_errors():
        if unknown := [way for way in chosen if way not in WAYS]:
            raise ConfigError(f"Unknown way {unknown[0]!r}; there are: {', '.join(WAYS)}")
        recipe = Recipe(
            corpus,
            core,
            out,
            metrics,
            configs,
            shared,
            split,
            adapter,
            pretrain_epochs,
            tune_epochs,
            pretrain_rate,
            tune_rate,
            batch_words,
            evaluations,
            seed,
            settings,
            tune_settings,
        )
        found: dict[str, dict[str, Any]] = {}
        for domain in targets.split(","):
            recipe.head_of(domain)
        for domain in targets.split(","):
            found[domain] = {}
            for way in chosen:
                found[domain][way] = recipe.run(way, domain)
            recipe.forget(domain)
            report = summarise(recipe, found)
            save(report, metrics / "recipe.json")
    _print_report(report)


if __name__ == "__main__":
    app()
