"""Figure 3: how long a prefix, which rank and alpha, and what each added parameter is worth.

    python -m scripts.experiments.sweep configs/runs/paper.cfg --corpus corpus/persian

Trainings of one head and one adapter with a small budget: [sweep] of the run config for LoRA,
[sweep_prefix] for prefixes. Only dev scores are looked at. sweep.yml has the settings: those that
were searched for the best one, and those of the curves. The knee of a curve is the smallest
adapter within a tolerance of the best one of its kind.

What is done is not repeated: a setting is one run. Only scores are kept, no weights.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from rich.console import Console
from rich.progress import track

from multibert_spacy.core.families.bert import BERT
from multibert_spacy.errors import ConfigError

from ..build.runs import Run, run_settings, train
from ..domains import DOMAINS
from ..options import Core, Corpus, Out, RunFile, Seed
from ..record import command_line, commit, plain_path, readable_errors, save, table
from .sizes import Shape

app = typer.Typer(add_completion=False)
console = Console()

SECTIONS = {"lora": "sweep", "prefix": "sweep_prefix"}
SETTINGS = Path(__file__).with_suffix(".yml")
TOLERANCE = 1.0
"""Of the knee, in points of F1."""

Setting = Mapping[str, Any]
"""Of `adapters.lora` or `adapters.prefix`."""


def title(setting: Setting) -> str:
    """RETURNS (str): What it is called in the report."""
    if "n_virtual" in setting:
        return f"prefix of {setting['n_virtual']}"
    where = ", query and value" if "target_modules" in setting else ""
    return f"LoRA r = {setting['rank']}, alpha = {setting['alpha']}{where}"


def parameters(setting: Setting, shape: Shape) -> int:
    """RETURNS (int): What it adds to a core."""
    if "n_virtual" in setting:
        return shape.prefix(setting["n_virtual"])
    return shape.lora(setting["rank"], setting.get("target_modules", BERT.sites))


def knee_of(points: Sequence[Mapping[str, Any]], tolerance: float) -> Mapping[str, Any] | None:
    """RETURNS (Mapping): The smallest one within tolerance (points of F1) of the best."""
    best = max((point["dev_f1"] for point in points), default=0.0)
    good = [point for point in points if point["dev_f1"] >= best - tolerance]
    return min(good, key=lambda point: point["parameters"], default=None)


def score(run: Run, out: Path) -> dict[str, Any]:
    """Train, unless it is done.

    RETURNS (dict): The record of the training.
    RAISES (ConfigError): If it was done with another budget.
    """
    folder = train(run, out).parent
    shutil.rmtree(folder / "model-best", ignore_errors=True)
    record: dict[str, Any] = srsly.read_json(folder / "done.json")
    if any(record[key] != value for key, value in run.asked().items()):
        raise ConfigError(
            f"{folder} was trained with other settings: choose another --out, or delete "
            f"{folder.parent}"
        )
    return record


@app.command(help=__doc__)
def main(
    run: RunFile,
    settings: Annotated[Path, typer.Argument(help="As sweep.yml")] = SETTINGS,
    corpus: Corpus = Path("corpus/persian"),
    core: Core = "assets/core",
    out: Out = None,
    metrics: Annotated[Path, typer.Option(help="JSON file")] = Path("metrics/persian/sweep.json"),
    seed: Seed = 0,
) -> None:
    asked = srsly.read_yaml(settings)
    names, shape = asked["domains"], Shape.from_config(Path(core, "config.json"))
    given = {"vars.head": DOMAINS[names[0]].head, "vars.domains": names}
    given |= {"paths.core": core, "system.seed": seed}
    wanted = [
        (kind, setting, part == "searched")
        for part in ("searched", "curves")
        for kind, own in asked[part].items()
        for setting in own
    ]
    points: dict[str, dict[str, Any]] = {}
    for kind, setting, searched in track(wanted, "sweep", console=console):
        if (name := title(setting)) in points:
            continue
        own = {f"adapters.{kind}.{key}": value for key, value in setting.items()}
        overrides = {**given, **run_settings(run, SECTIONS[kind]), **own}
        one = Run(f"sweep/{name.replace(' ', '')}", "pretrain", corpus, names, overrides)
        with readable_errors():
            record = score(one, out or Path("training", corpus.name))
        points[name] = {
            "kind": kind,
            "setting": name,
            "length": setting.get("n_virtual", 0),
            "rank": setting.get("rank", 0),
            "alpha": setting.get("alpha", 0),
            "search": searched,
            "parameters": parameters(setting, shape),
            "share": parameters(setting, shape) / shape.core,
            "dev_f1": 100 * float(record["best_dev_score"]),
            "minutes": record["minutes_with_evaluation"],
        }
    curves = {kind: [points[title(s)] for s in own] for kind, own in asked["curves"].items()}
    report = {
        "command": command_line("scripts.experiments.sweep"),
        "commit": commit(),
        "seed": seed,
        "split": "train, scored on dev",
        "corpus": corpus.name,
        "budget": {"domains": names, **run_settings(run, "sweep")},
        "settings": plain_path(str(settings)),
        "core_parameters": shape.core,
        "tolerance": TOLERANCE,
        "runs": list(points.values()),
        "curves": {
            kind: {"points": own, "knee": knee_of(own, TOLERANCE)} for kind, own in curves.items()
        },
    }
    save(report, metrics)
    columns = ("setting", "parameters", "dev_f1", "minutes")
    rows = [{column: point[column] for column in columns} for point in points.values()]
    console.print(table("Dev F1 of each setting", rows))


if __name__ == "__main__":
    app()
