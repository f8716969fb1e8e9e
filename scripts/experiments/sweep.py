"""Figure 3: how long a prefix, which rank and alpha, and what each added parameter is worth.

    python -m scripts.experiments.sweep configs/runs/paper.cfg --corpus corpus/persian

Trainings of one head and one adapter with a small budget: [sweep] of the run config for LoRA,
[sweep_prefix] for prefixes. Only dev scores are looked at. First a curve of both kinds at given
shares of the core's parameters; then prefix lengths, and 2 and 4 beside the best; then ranks by
alphas, and neighbours of the best. The knee of a curve is the smallest adapter within a tolerance
of the best one of its kind.

What is done is not repeated: a setting is one run whoever asks for it. Only scores are kept, no
weights.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from rich.console import Console

from multibert_spacy.errors import ConfigError
from multibert_spacy.models.adapters import ALL_LINEAR

from ..build.runs import Run, run_settings, train
from ..domains import DOMAINS
from ..record import command_line, commit, readable_errors, save, table
from .sizes import PAPER_TARGETS, Shape

__all__ = ["Setting", "Sweep", "app", "knee_of", "setting_of_share"]

app = typer.Typer(add_completion=False)
console = Console()

SECTIONS = {"lora": "sweep", "prefix": "sweep_prefix"}
LENGTHS = (4, 20, 36)
RANKS, ALPHAS = (8, 16), (16, 32)
SHARES = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05)
TOLERANCE = 1.0
"""Of the knee, in points of F1."""


@dataclass(frozen=True)
class Setting:
    """An adapter. Either a prefix of some length or LoRA of some rank and alpha."""

    kind: str
    length: int = 0
    rank: int = 0
    alpha: int = 0
    targets: tuple[str, ...] = ALL_LINEAR

    @property
    def name(self) -> str:
        if self.kind == "prefix":
            return f"prefix_{self.length}"
        where = "" if self.targets == ALL_LINEAR else "_query_value"
        return f"lora_{self.rank}_{self.alpha}{where}"

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


def whole(number: float) -> int:
    """RETURNS (int): The nearest one above zero."""
    return max(1, round(number))


def setting_of_share(kind: str, share: float, shape: Shape, ratio: float) -> Setting:
    """The setting that adds about this share of the core's parameters.

    kind (str): "lora" or "prefix".
    share (float): Between 0 and 1.
    shape (Shape): Of the core.
    ratio (float): Alpha to rank.
    RETURNS (Setting): LoRA on all linear layers, or on query and value if that is too much even
        with rank 1.
    """
    wanted = share * shape.core
    if kind == "prefix":
        return Setting("prefix", length=whole(wanted / shape.prefix(1)))
    targets = ALL_LINEAR if wanted >= 0.75 * shape.lora(1) else PAPER_TARGETS
    rank = whole(wanted / shape.lora(1, targets))
    return Setting("lora", rank=rank, alpha=whole(ratio * rank), targets=targets)


def knee_of(points: Sequence[Mapping[str, Any]], tolerance: float) -> Mapping[str, Any] | None:
    """RETURNS (Mapping): The smallest one within tolerance (points of F1) of the best."""
    if not points:
        return None
    best = max(point["dev_f1"] for point in points)
    good = [point for point in points if point["dev_f1"] >= best - tolerance]
    return min(good, key=lambda point: point["parameters"])


@dataclass
class Sweep:
    """All runs of one budget.

    run (Path): The run config.
    domains (list[str]): Of one head.
    shape (Shape): Of the core.
    core (str): Its folder.
    corpus, out, configs (Path): With train and dev; of the runs; of the stages' configs.
    """

    run: Path
    domains: list[str]
    shape: Shape
    core: str
    corpus: Path
    out: Path
    configs: Path = Path("configs")
    seed: int = 0
    runs: dict[Setting, dict[str, Any]] = field(default_factory=dict)
    searched: set[Setting] = field(default_factory=set)

    def score(self, setting: Setting) -> float:
        """Train, unless it is done.

        RETURNS (float): The best dev F1, in percent.
        RAISES (ConfigError): If it was done with another budget, or the domains are of two heads.
        """
        if setting not in self.runs:
            heads = {DOMAINS[name].head for name in self.domains}
            if len(heads) != 1:
                raise ConfigError(f"Expected domains of one head, got {', '.join(self.domains)}")
            given = {
                "paths.core": self.core,
                "vars.head": heads.pop(),
                "vars.domains": self.domains,
                "system.seed": self.seed,
                **run_settings(self.run, SECTIONS[setting.kind]),
                **setting.overrides(),
            }
            config, name = self.configs / "pretrain.cfg", f"sweep/{setting.name}"
            run = Run.of(name, config, self.corpus, self.domains, given)
            folder = train(run, self.out).parent
            shutil.rmtree(folder / "model-best", ignore_errors=True)
            record = srsly.read_json(folder / "done.json")
            wanted = {k: v for k, v in run.overrides.items() if not k.startswith("paths.")}
            had = record["overrides"], record["epochs"], record["corpus"]
            if had != (wanted, run.epochs, self.corpus.name):
                raise ConfigError(
                    f"{folder} was trained with other settings: choose another --out, or delete "
                    f"{folder.parent}"
                )
            self.runs[setting] = record
        return 100 * float(self.runs[setting]["best_dev_score"])

    def best(self, settings: Iterable[Setting]) -> Setting:
        """RETURNS (Setting): Of equals the first."""
        tried = list(dict.fromkeys(settings))
        self.searched.update(tried)
        return max(tried, key=self.score)

    def search_prefix(self, lengths: Sequence[int]) -> Setting:
        """lengths (Sequence[int]): To try; then those 2 and 4 beside the best."""
        tried = [Setting("prefix", length=length) for length in lengths]
        at = self.best(tried).length
        near = [at + step for step in (-4, -2, 2, 4) if at + step > 0]
        return self.best([*tried, *(Setting("prefix", length=length) for length in near)])

    def search_lora(self, ranks: Sequence[int], alphas: Sequence[int]) -> Setting:
        """ranks, alphas (Sequence[int]): To try, each with each; then the best one's alpha 1.5
        times larger and smaller, and its rank too, with the same alpha to rank.
        """
        tried = [Setting("lora", rank=rank, alpha=alpha) for rank in ranks for alpha in alphas]
        best = self.best(tried)
        near = [(best.rank, best.alpha * by) for by in (1.5, 1 / 1.5)]
        near += [(best.rank * by, best.alpha * by) for by in (1.5, 1 / 1.5)]
        beside = [Setting("lora", rank=whole(rank), alpha=whole(alpha)) for rank, alpha in near]
        return self.best([*tried, *beside])

    def curve(self, kind: str, shares: Sequence[float], ratio: float = 2.0) -> dict[str, Any]:
        """Train the settings nearest to these shares of the core; see `setting_of_share`.

        RETURNS (dict): "points", by size, and their "knee".
        """
        settings = {setting_of_share(kind, share, self.shape, ratio) for share in shares}
        points = [self.point(s) for s in sorted(settings, key=lambda s: s.parameters(self.shape))]
        return {"points": points, "knee": knee_of(points, TOLERANCE)}

    def point(self, setting: Setting) -> dict[str, Any]:
        """RETURNS (dict): What a run is and has, for tables and plots."""
        score, parameters = self.score(setting), setting.parameters(self.shape)
        return {
            "kind": setting.kind,
            "setting": setting.title,
            "length": setting.length,
            "rank": setting.rank,
            "alpha": setting.alpha,
            "search": setting in self.searched,
            "parameters": parameters,
            "share": parameters / self.shape.core,
            "dev_f1": score,
            "minutes": self.runs[setting].get("minutes_with_evaluation"),
        }


@app.command(help=__doc__)
def main(
    run: Annotated[Path, typer.Argument(help="Run config.")],
    corpus: Annotated[Path, typer.Option(help="With train and dev.")] = Path("corpus/persian"),
    core: Annotated[Path, typer.Option(help="Folder of the core.")] = Path("assets/core"),
    out: Annotated[Path | None, typer.Option(help="Folder of all runs.")] = None,
    metrics: Annotated[Path, typer.Option(help="JSON file.")] = Path("metrics/persian/sweep.json"),
    domains: Annotated[str, typer.Option(help="Of one head.")] = "travel,sports,art",
    shares: Annotated[str, typer.Option(help="Of the curve.")] = ",".join(map(str, SHARES)),
    lengths: Annotated[str, typer.Option(help="Of prefixes.")] = ",".join(map(str, LENGTHS)),
    ranks: Annotated[str, typer.Option(help="Of LoRA.")] = ",".join(map(str, RANKS)),
    alphas: Annotated[str, typer.Option(help="Of LoRA.")] = ",".join(map(str, ALPHAS)),
    seed: Annotated[int, typer.Option(help="Seed.")] = 0,
    configs: Annotated[Path, typer.Option(help="Folder of the stages' configs.")] = Path(
        "configs"
    ),
) -> None:
    with readable_errors(ValueError):
        names = domains.split(",")
        shape = Shape.from_config(core / "config.json")
        folder = out or Path("training", corpus.name)
        sweep = Sweep(run, names, shape, str(core), corpus, folder, configs, seed)
        parts = [float(share) for share in shares.split(",")]
        curves = {kind: sweep.curve(kind, parts) for kind in SECTIONS}
        sweep.search_prefix([int(n) for n in lengths.split(",")])
        sweep.search_lora(*([int(n) for n in own.split(",")] for own in (ranks, alphas)))
        report = {
            "command": command_line("scripts.experiments.sweep"),
            "commit": commit(),
            "seed": seed,
            "split": "train, scored on dev",
            "corpus": corpus.name,
            "budget": {"domains": names, **run_settings(run, "sweep")},
            "core_parameters": shape.core,
            "tolerance": TOLERANCE,
            "runs": [sweep.point(setting) for setting in sweep.runs],
            "curves": curves,
        }
    save(report, metrics)
    columns = ("setting", "parameters", "dev_f1", "minutes")
    rows = [{column: point[column] for column in columns} for point in report["runs"]]
    console.print(table("Dev F1 of each setting", rows))


if __name__ == "__main__":
    app()
