"""What is trained: one run for each setting, resumable, all with one budget."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multibert_spacy.errors import ConfigError

from ...build import train
from ..sizes import Shape
from .setting import Setting, setting_of_share, whole

__all__ = ["Budget", "Sweep"]


@dataclass(frozen=True)
class Budget:
    """What every run has: domains of one head, epochs, learning rate of each kind."""

    domains: tuple[str, ...]
    epochs: float
    rates: Mapping[str, float]
    projection: bool = False
    batch_words: int = 512
    evaluations: int = 1
    seed: int = 0

    @property
    def head(self) -> str:
        """RAISES (ConfigError): If the domains are not of one head."""
        for head, known in train.HEADS.items():
            if self.domains and set(self.domains) <= set(known):
                return head
        raise ConfigError(
            f"Expected domains of one head, got {', '.join(self.domains) or 'none'}; the heads: "
            + "; ".join(f"{head}: {', '.join(known)}" for head, known in train.HEADS.items())
        )


@dataclass
class Sweep:
    """All runs of one budget.

    shape (Shape): Of the core.
    core (str): Its folder.
    corpus (Path): With train and dev.
    out, metrics (Path): Where the runs and their JSON files go.
    """

    budget: Budget
    shape: Shape
    core: str
    corpus: Path
    out: Path
    metrics: Path
    configs: Path = Path("configs")

    def __post_init__(self) -> None:
        self.runs: dict[Setting, dict[str, Any]] = {}
        self.searched: set[Setting] = set()

    def score(self, setting: Setting) -> float:
        """Train, unless it is done.

        RETURNS (float): The best dev F1, in percent.
        RAISES (ConfigError): If it was done with another budget.
        """
        budget, name = self.budget, f"sweep/{setting.name}"
        folder, rate = self.out / name, budget.rates[setting.kind]
        if setting not in self.runs:
            settings = setting.overrides()
            if setting.kind == "prefix":
                settings.append(f"adapters.prefix.projection={json.dumps(budget.projection)}")
            train.pretrain(
                budget.head,
                corpus=self.corpus,
                core=self.core,
                out=self.out,
                metrics=self.metrics / "sweep",
                configs=self.configs,
                epochs=budget.epochs,
                rate=rate,
                adapter=setting.kind,
                domains=",".join(budget.domains),
                name=name,
                evaluations=budget.evaluations,
                batch_words=budget.batch_words,
                seed=budget.seed,
                settings=settings,
            )
            shutil.rmtree(folder / "model-best", ignore_errors=True)
            record = json.loads((folder / "done.json").read_text(encoding="utf8"))
            had = (
                tuple(record["domains"]),
                record["epochs"],
                record["overrides"]["vars.learn_rate"],
                record["seed"],
                record["corpus"],
            )
            wanted = (budget.domains, budget.epochs, rate, budget.seed, self.corpus.name)
            if had != wanted:
                raise ConfigError(
                    f"{folder} was trained with domains, epochs, rate, seed and corpus {had}, not "
                    f"{wanted}: choose another --out, or delete {folder.parent}"
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
        return self.best(
            [
                *tried,
                *(Setting("lora", rank=whole(rank), alpha=whole(alpha)) for rank, alpha in near),
            ]
        )

    def curve(self, kind: str, shares: Sequence[float], ratio: float) -> list[Setting]:
        """Train the settings nearest to these shares of the core; see `setting_of_share`."""
        settings = [setting_of_share(kind, share, self.shape, ratio) for share in shares]
        settings = sorted(set(settings), key=lambda own: own.parameters(self.shape))
        for setting in settings:
            self.score(setting)
        return settings

    def point(self, setting: Setting) -> dict[str, Any]:
        """RETURNS (dict): What a run is and has, for tables and plots."""
        record, parameters = self.runs[setting], setting.parameters(self.shape)
        return {
            "kind": setting.kind,
            "setting": setting.title,
            "run": record["run"],
            "length": setting.length,
            "rank": setting.rank,
            "alpha": setting.alpha,
            "search": setting in self.searched,
            "parameters": parameters,
            "share": parameters / self.shape.core,
            "dev_f1": self.score(setting),
            "minutes": record["minutes_with_evaluation"],
        }
