"""One `spacy train`: with a budget in epochs, resumable, on record.

What it adds to `spacy train`: the number of steps that an epoch has, which a schedule needs
beforehand; skipping runs that are complete; and a JSON in `metrics/` with the command, seed,
commit, budget, speed and dev scores. A run writes into a draft folder that is renamed when it is
complete.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spacy
import srsly
import typer
from rich.console import Console
from spacy.cli.train import train as spacy_train
from spacy.training.batchers import minibatch_by_padded_size

from multibert_spacy.errors import ConfigError
from multibert_spacy.training.corpus import read_docs

from ..record import command_line, commit, running_module

__all__ = ["Run", "console", "parse_settings", "train"]

console = Console()

PATIENCE = 3
"""Scorings of the dev part without a new best after which a run stops."""


@dataclass
class Run:
    """One `spacy train`.

    name (str): Names the folder under `training/` and the file under `metrics/`.
    config (Path): The config.
    overrides (dict): Of the config.
    epochs (float): Passes over the training part.
    corpus (Path): With the folders train and dev.
    domains (list[str]): Domains to train on.
    """

    name: str
    config: Path
    corpus: Path
    domains: list[str]
    epochs: float
    overrides: dict[str, Any] = field(default_factory=dict)
    evaluations: int = 1
    batch_words: int = 512

    def steps(self) -> int:
        """RETURNS (int): Batches of an epoch."""
        docs = read_docs(self.corpus / "train", spacy.blank("fa").vocab, domains=self.domains)
        return sum(1 for _ in minibatch_by_padded_size(docs, size=self.batch_words, buffer=256))


def count_pieces(model: Path, corpus: Path, domains: list[str]) -> int:
    """RETURNS (int): Pieces of the training part, as the tagger or detector sees them."""
    nlp = spacy.load(model)
    core = nlp.get_pipe("transformer").core
    proc = nlp.get_pipe(nlp.pipe_names[-1])
    normalize = getattr(proc, "normalizer", None) or proc.model.normalizer
    docs = read_docs(corpus / "train", nlp.vocab, domains=domains)
    return sum(len(p) for doc in docs for p in core.pieces([normalize(w.text) for w in doc]))


def train(run: Run, out: Path, metrics: Path) -> Path:
    """Train, unless it is done.

    run (Run): What to train.
    out (Path): Folder of all runs.
    metrics (Path): Folder of the JSON files.
    RETURNS (Path): The best checkpoint.
    RAISES (ConfigError): If there is a checkpoint that no run has made, as an average: it would be
        replaced.
    """
    folder = out / run.name
    record = metrics / f"{run.name.replace('/', '_')}.json"
    if (folder / "done.json").exists():
        result = json.loads((folder / "done.json").read_text(encoding="utf8"))
        console.print(f"{run.name}: done before")
        for key, value in _settings(run).items():
            if key in result and result[key] != value:
                old = f"{run.name}: {key} was {result[key]}, not {value}"
                console.print(f"{old}; delete {folder} to train anew", style="red", markup=False)
        if not record.exists():  # killed in between
            _write(record, result)
        return folder / "model-best"
    if (folder / "model-best").exists():
        raise ConfigError(
            f"{folder} has a model-best but no done.json, the record of its training, and would "
            "be replaced: choose another folder"
        )
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    overrides = {
        "paths.train": str(run.corpus / "train"),
        "paths.dev": str(run.corpus / "dev"),
        "paths.log": str(draft / "log.jsonl"),
        **run.overrides,
    }
    per_epoch = None
    if "vars.max_steps" not in overrides:
        per_epoch = run.steps()
        steps = max(1, round(per_epoch * run.epochs))
        overrides["vars.max_steps"] = steps
        overrides["vars.eval_frequency"] = max(1, -(-steps // max(1, run.evaluations)))
        overrides["vars.batch_words"] = run.batch_words
    overrides.setdefault("vars.patience", PATIENCE * overrides.get("vars.eval_frequency", 0))
    overrides["vars.warmup_steps"] = min(50, overrides["vars.max_steps"] // 10)
    console.rule(f"{run.name}: {overrides['vars.max_steps']} steps")
    start = time.perf_counter()
    spacy_train(run.config, draft, overrides=overrides)
    seconds = time.perf_counter() - start
    log = list(srsly.read_jsonl(draft / "log.jsonl"))
    pieces = count_pieces(draft / "model-best", run.corpus, run.domains)
    result: dict[str, Any] = {
        "run": run.name,
        "command": command_line(running_module("scripts.build.train")),
        "config": run.config.as_posix(),
        "commit": commit(),
        "seed": overrides.get("system.seed", 0),
        "split": "train, scored on dev",
        **_settings(run),
        "steps": overrides["vars.max_steps"],
        "pieces_per_epoch": pieces,
        "minutes_with_evaluation": round(seconds / 60, 2),
        "dev": [
            {"step": row["step"], "score": row["score"], **_scores(row)}
            for row in log
            if row.get("score") is not None
        ],
    }
    if per_epoch:
        result["pieces_per_second_with_evaluation"] = round(pieces * run.epochs / seconds)
    result["best_dev_score"] = max(row["score"] for row in result["dev"])
    shutil.rmtree(draft / "model-last", ignore_errors=True)
    srsly.write_json(draft / "done.json", result)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    _write(record, result)
    return folder / "model-best"


def _settings(run: Run) -> dict[str, Any]:
    """What a run's record says of what was asked for."""
    return {
        "corpus": run.corpus.name,
        "domains": run.domains,
        "overrides": {k: v for k, v in run.overrides.items() if not k.startswith("paths.")},
        "epochs": None if "vars.max_steps" in run.overrides else run.epochs,
    }


def _write(path: Path, result: dict[str, Any]) -> None:
    """Write a record beside and rename it, so that there is no half one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf8")
    draft.replace(path)


def _scores(row: dict[str, Any]) -> dict[str, Any]:
    scores = row.get("scores") or row.get("other_scores") or {}
    return {k: v for k, v in scores.items() if isinstance(v, float) and k != "speed"}


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """settings (Sequence[str]): key=value, the value in JSON or a plain string.
    RETURNS (dict): Overrides of a config.
    """
    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"expected key=value, got {setting!r}", param_hint="--set")
        try:
            overrides[key] = json.loads(value)
        except json.JSONDecodeError:
            overrides[key] = value
    return overrides
