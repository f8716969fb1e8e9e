"""One `spacy train`: with a budget in epochs, resumable, on record.

What it adds to `spacy train`: the number of steps that an epoch has, which a schedule needs
beforehand; skipping runs that are complete; and a record of command, seed, commit, budget and dev
scores. A run writes into a draft folder that is renamed when it is complete.

A run config (configs/runs) says how: a section holds overrides of a stage's config, by the dotted
names that `spacy train` takes, and its part of a head's name what is different for that head.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
import srsly
from rich.console import Console
from spacy.cli.train import train as spacy_train
from spacy.training.batchers import minibatch_by_padded_size
from thinc.api import Config

from multibert_spacy.errors import ConfigError
from multibert_spacy.training.corpus import read_docs

from ..domains import HEADS
from ..record import command_line, commit

console = Console()

CONFIGS = Path("configs")
BUDGET: dict[str, Any] = {"epochs": 5, "evaluations": 2, "batch_words": 512}
"""Of a run's `vars`, what `spacy train` does not know by itself."""
PATIENCE = 3
"""Scorings of the dev part without a new best after which a run stops."""


@dataclass
class Run:
    """One `spacy train`: its name is that of its folder under `training/`, its stage that of a
    config; a corpus has the folders train and dev; settings are overrides of the config, with the
    budget.
    """

    name: str
    stage: str
    corpus: Path
    domains: list[str]
    settings: dict[str, Any]

    def budget(self, key: str) -> Any:
        """RETURNS (Any): What the settings say of it. key (str): Of BUDGET."""
        return self.settings.get(f"vars.{key}", BUDGET[key])

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings without the budget."""
        own = {f"vars.{key}" for key in BUDGET}
        return {key: value for key, value in self.settings.items() if key not in own}

    def steps(self) -> int:
        """RETURNS (int): Batches of an epoch."""
        docs = read_docs(self.corpus / "train", spacy.blank("fa").vocab, domains=self.domains)
        size = self.budget("batch_words")
        return sum(1 for _ in minibatch_by_padded_size(docs, size=size, buffer=256))

    def asked(self) -> dict[str, Any]:
        """RETURNS (dict): What a run's record says of what was asked for."""
        overrides = self.overrides
        return {
            "corpus": self.corpus.name,
            "domains": self.domains,
            "overrides": {k: v for k, v in overrides.items() if not k.startswith("paths.")},
            "epochs": None if "vars.max_steps" in overrides else self.budget("epochs"),
        }


def run_settings(path: Path, section: str, head: str = "") -> dict[str, Any]:
    """Read a section of a run config.

    head (str): Whose part of it is merged on top.
    RETURNS (dict): Overrides of a stage's config, by dotted names.
    RAISES (ConfigError): If there is no such file or section.
    """
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.cfg"))) or "none"
        raise ConfigError(f"{path}: expected a run config here, found none. There are: {known}")
    config = Config().from_disk(path, interpolate=False)
    if section not in config:
        raise ConfigError(f"{path} has no section [{section}]; it has: {', '.join(config)}")
    own = {key: value for key, value in config[section].items() if key not in HEADS}
    return own | config[section].get(head, {})


def train(run: Run, out: Path) -> Path:
    """Train, unless it is done.

    RETURNS (Path): The best checkpoint.
    RAISES (ConfigError): If there is a checkpoint that no run has made, as an average: it would be
        replaced.
    """
    folder = out / run.name
    if (folder / "done.json").exists():
        result = srsly.read_json(folder / "done.json")
        console.print(f"{run.name}: done before")
        for key, value in run.asked().items():
            if key in result and result[key] != value:
                old = f"{run.name}: {key} was {result[key]}, not {value}"
                console.print(f"{old}; delete {folder} to train anew", style="red", markup=False)
        return folder / "model-best"
    if (folder / "model-best").exists():
        raise ConfigError(
            f"{folder} has a model-best but no done.json, the record of its training, and would "
            "be replaced: choose another folder"
        )
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    parts = {f"paths.{part}": str(run.corpus / part) for part in ("train", "dev")}
    overrides = {**parts, "paths.log": str(draft / "log.jsonl"), **run.overrides}
    if "vars.max_steps" not in overrides:
        overrides["vars.max_steps"] = max(1, round(run.steps() * run.budget("epochs")))
        overrides["vars.batch_words"] = run.budget("batch_words")
    steps, evaluations = overrides["vars.max_steps"], max(1, run.budget("evaluations"))
    overrides.setdefault("vars.eval_frequency", max(1, -(-steps // evaluations)))
    overrides.setdefault("vars.patience", PATIENCE * overrides["vars.eval_frequency"])
    overrides["vars.warmup_steps"] = min(50, steps // 10)
    console.rule(f"{run.name}: {steps} steps")
    start = time.perf_counter()
    config = CONFIGS / f"{run.stage}.cfg"
    spacy_train(config, draft, overrides=overrides)
    rows = [row for row in srsly.read_jsonl(draft / "log.jsonl") if row.get("score") is not None]
    result = {
        "run": run.name,
        "command": command_line("scripts.build.train"),
        "config": config.as_posix(),
        "commit": commit(),
        "seed": overrides.get("system.seed", 0),
        "split": "train, scored on dev",
        **run.asked(),
        "steps": steps,
        "minutes_with_evaluation": round((time.perf_counter() - start) / 60, 2),
        "dev": [{"step": row["step"], "score": row["score"], **_scores(row)} for row in rows],
        "best_dev_score": max(row["score"] for row in rows),
    }
    shutil.rmtree(draft / "model-last", ignore_errors=True)
    srsly.write_json(draft / "done.json", result)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return folder / "model-best"


def _scores(row: dict[str, Any]) -> dict[str, Any]:
    scores = row.get("scores") or row.get("other_scores") or {}
    return {k: v for k, v in scores.items() if isinstance(v, float) and k != "speed"}
