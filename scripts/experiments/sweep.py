"""Figure 3: how long a prefix, which rank and alpha, and what each added parameter is worth.

    python -m scripts.experiments.sweep configs/runs/paper.cfg --corpus corpus/persian

Trainings of one head and one adapter with a small budget: [sweep] of the run config for LoRA,
[sweep_prefix] for prefixes. Only dev scores are looked at. SEARCHED are the settings that were
tried for the best one: on a grid first, then beside the best of it. SHARES are what the curves
spend: the setting of each kind that adds nearest to a share of the core's parameters. The knee of
a curve is the smallest adapter within a tolerance of the best one of its kind.

What is done is not repeated: a setting is one run. Only scores are kept, no weights.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from rich.console import Console
from rich.progress import track

from multibert_spacy.adapters.kinds import ALL_LINEAR
from multibert_spacy.errors import ConfigError

from ..build.runs import Run, run_settings, train
from ..domains import DOMAINS
from ..options import Configs, Corpus, Out, RunFile, Seed
from ..record import command_line, commit, readable_errors, save, table
from .sizes import PAPER_TARGETS, Shape

__all__ = ["SEARCHED", "Setting", "app", "knee_of", "score", "setting_of_share"]

app = typer.Typer(add_completion=False)
console = Console()

SECTIONS = {"lora": "sweep", "prefix": "sweep_prefix"}
SHARES = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05)
RATIO = 21 / 11
"""Alpha to rank on the curve: that of the best one searched."""
TOLERANCE = 1.0
"""Of the knee, in points of F1."""


@dataclass(frozen=True)
class Setting:
    """An adapter: either a prefix of some length or LoRA of some rank and alpha."""

    kind: str
    length: int = 0
    rank: int = 0
    alpha: int = 0
    targets: tuple[str, ...] = ALL_LINEAR

    @property
    def title(self) -> str:
        if self.kind == "prefix":
            return f"prefix of {self.length}"
        where = "" if self.targets == ALL_LINEAR else ", query and value"
        return f"LoRA r = {self.rank}, alpha = {self.alpha}{where}"

    def overrides(self) -> dict[str, Any]:
        """RETURNS (dict): Of configs/pretrain.cfg."""
        if self.kind == "prefix":
            return {"adapters.prefix.n_virtual": self.length}
        values = {"rank": self.rank, "alpha": self.alpha, "target_modules": list(self.targets)}
        return {f"adapters.lora.{key}": value for key, value in values.items()}

    def parameters(self, shape: Shape) -> int:
        """RETURNS (int): What it adds to a core."""
        if self.kind == "prefix":
            return shape.prefix(self.length)
        return shape.lora(self.rank, self.targets)


SEARCHED = tuple(Setting("prefix", length=n) for n in (4, 20, 36, 2, 6, 8))
SEARCHED += tuple(
    Setting("lora", rank=rank, alpha=alpha)
    for rank, alpha in (
        (8, 16),
        (8, 32),
        (16, 16),
        (16, 32),
        (16, 48),
        (16, 21),
        (24, 48),
        (11, 21),
    )
)


def setting_of_share(kind: str, share: float, shape: Shape) -> Setting:
    """The setting that adds about this share of the core's parameters.

    kind (str): "lora" or "prefix".
    share (float): Between 0 and 1.
    shape (Shape): Of the core.
    RETURNS (Setting): LoRA on all linear layers, or on query and value if that is too much even
        with rank 1.
    """
    wanted = share * shape.core
    if kind == "prefix":
        return Setting("prefix", length=max(1, round(wanted / shape.prefix(1))))
    targets = ALL_LINEAR if wanted >= 0.75 * shape.lora(1) else PAPER_TARGETS
    rank = max(1, round(wanted / shape.lora(1, targets)))
    return Setting("lora", rank=rank, alpha=max(1, round(RATIO * rank)), targets=targets)


def knee_of(points: Sequence[Mapping[str, Any]], tolerance: float) -> Mapping[str, Any] | None:
    """RETURNS (Mapping): The smallest one within tolerance (points of F1) of the best."""
    if not points:
        return None
    best = max(point["dev_f1"] for point in points)
    good = [point for point in points if point["dev_f1"] >= best - tolerance]
    return min(good, key=lambda point: point["parameters"])


def score(
    setting: Setting, path: Path, given: Mapping[str, Any], corpus: Path, out: Path, config: Path
) -> dict[str, Any]:
    """Train, unless it is done.

    path, config (Path): The run config; the stage's.
    given (Mapping): Overrides of the stage's config that all settings share.
    RETURNS (dict): The record of the training.
    RAISES (ConfigError): If it was done with another budget.
    """
    overrides = {**given, **run_settings(path, SECTIONS[setting.kind]), **setting.overrides()}
    name = f"sweep/{setting.title.replace(' ', '')}"
    run = Run.of(name, config, corpus, given["vars.domains"], overrides)
    folder = train(run, out).parent
    shutil.rmtree(folder / "model-best", ignore_errors=True)
    record: dict[str, Any] = srsly.read_json(folder / "done.json")
    wanted = {k: v for k, v in run.overrides.items() if not k.startswith("paths.")}
    had = record["overrides"], record["epochs"], record["corpus"]
    if had != (wanted, run.epochs, corpus.name):
        raise ConfigError(
            f"{folder} was trained with other settings: choose another --out, or delete "
            f"{folder.parent}"
        )
    return record


@app.command(help=__doc__)
def main(
    run: RunFile,
    corpus: Corpus = Path("corpus/persian"),
    core: Annotated[Path, typer.Option(help="Folder of the core.")] = Path("assets/core"),
    out: Out = None,
    metrics: Annotated[Path, typer.Option(help="JSON file.")] = Path("metrics/persian/sweep.json"),
    domains: Annotated[str, typer.Option(help="Of one head.")] = "travel,sports,art",
    shares: Annotated[str, typer.Option(help="Of the curves.")] = ",".join(map(str, SHARES)),
    search: Annotated[bool, typer.Option(help="Train what was searched too.")] = True,
    seed: Seed = 0,
    configs: Configs = Path("configs"),
) -> None:
    names = domains.split(",")
    shape = Shape.from_config(core / "config.json")
    given = {
        "paths.core": str(core),
        "vars.head": DOMAINS[names[0]].head,
        "vars.domains": names,
        "system.seed": seed,
    }
    parts = [float(share) for share in shares.split(",")]
    curves = {kind: [setting_of_share(kind, part, shape) for part in parts] for kind in SECTIONS}
    wanted = [setting for own in curves.values() for setting in own]
    points: dict[Setting, dict[str, Any]] = {}
    folder = out or Path("training", corpus.name)
    for setting in track(dict.fromkeys([*wanted, *(SEARCHED if search else ())]), "sweep"):
        with readable_errors():
            record = score(setting, run, given, corpus, folder, configs / "pretrain.cfg")
        points[setting] = {
            "kind": setting.kind,
            "setting": setting.title,
            "length": setting.length,
            "rank": setting.rank,
            "alpha": setting.alpha,
            "search": setting in SEARCHED,
            "parameters": setting.parameters(shape),
            "share": setting.parameters(shape) / shape.core,
            "dev_f1": 100 * float(record["best_dev_score"]),
            "minutes": record["minutes_with_evaluation"],
        }
    own_points = {kind: [points[s] for s in dict.fromkeys(own)] for kind, own in curves.items()}
    report = {
        "command": command_line("scripts.experiments.sweep"),
        "commit": commit(),
        "seed": seed,
        "split": "train, scored on dev",
        "corpus": corpus.name,
        "budget": {"domains": names, **run_settings(run, "sweep")},
        "core_parameters": shape.core,
        "tolerance": TOLERANCE,
        "runs": list(points.values()),
        "curves": {
            kind: {"points": own, "knee": knee_of(own, TOLERANCE)}
            for kind, own in own_points.items()
        },
    }
    save(report, metrics)
    columns = ("setting", "parameters", "dev_f1", "minutes")
    rows = [{column: point[column] for column in columns} for point in points.values()]
    console.print(table("Dev F1 of each setting", rows))


if __name__ == "__main__":
    app()
