"""The ways, and what each is trained and scored on."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from rich.console import Console

from multibert_spacy.errors import ConfigError, DomainError
from multibert_spacy.training.corpus import read_docs

from ...build import train
from ...build.evaluate import evaluate_single
from ...record import command_line, commit, save

__all__ = ["WAYS", "Recipe"]

console = Console()

WAYS = {
    "shared": "shared adapter, not tuned",
    "tuned": "tuned, head frozen (the paper's)",
    "head": "tuned, head too",
    "scratch": "new adapter and head, this domain only",
    "without": "shared adapter of the other domains, not tuned",
    "excluded": "shared adapter of the other domains, tuned",
}


@dataclass(frozen=True)
class Recipe:
    """Settings that all ways share.

    corpus (Path): With train, dev and the part that is scored.
    out, metrics (Path): Where the runs and their JSON files go.
    shared (str): Folder in `out` of the step-one runs, trained if they are not there.
    pretrain_epochs, tune_epochs (float): Of the two steps.
    pretrain_rate, tune_rate (float): Learning rates of the two steps.
    settings, tune_settings (Sequence[str]): key=value of the configs of the two steps.
    """

    corpus: Path
    core: str
    out: Path
    metrics: Path
    configs: Path = Path("configs")
    shared: str = "pretrain"
    split: str = "test"
    adapter: str = "lora"
    pretrain_epochs: float = 3
    tune_epochs: float = 2
    pretrain_rate: float = 1e-3
    tune_rate: float = 5e-4
    batch_words: int = 512
    evaluations: int = 2
    seed: int = 0
    settings: Sequence[str] = ()
    tune_settings: Sequence[str] = ()

    def head_of(self, domain: str) -> str:
        """RAISES (DomainError): If no head has the domain."""
        for head, domains in train.HEADS.items():
            if domain in domains:
                return head
        known = [name for domains in train.HEADS.values() for name in domains]
        raise DomainError(f"Unknown domain {domain!r}; there are: {', '.join(known)}")

    def labels_of(self, head: str) -> list[str]:
        """RETURNS (list[str]): Labels in the train parts of all domains of a head."""
        vocab = spacy.blank("fa").vocab
        docs = read_docs(self.corpus / "train", vocab, domains=train.HEADS[head])
        return sorted({ent.label_ for doc in docs for ent in doc.ents})

    def run(self, way: str, domain: str) -> dict[str, Any]:
        """Train and score one way, unless it is done.

        RETURNS (dict): The record of the training, and the scores in "scored".
        RAISES (ConfigError): If it was done with other settings.
        """
        name = f"recipe/{way}/{domain}"
        done = self.out / name / "scored.json"
        wanted = self.chosen()
        if done.exists():
            report: dict[str, Any] = json.loads(done.read_text(encoding="utf8"))
            if report["recipe"] != wanted:
                raise ConfigError(
                    f"{done.parent} was made with {report['recipe']}, not {wanted}: choose "
                    f"another --out, or delete {done.parent.parent.parent}"
                )
            console.print(f"{name}: done before")
        else:
            best = self._train(way, domain, name)
            report = json.loads((best.parent / "done.json").read_text(encoding="utf8"))
            scores = evaluate_single({domain: str(best)}, self.corpus / self.split, seed=self.seed)
            report["recipe"] = wanted
            report["scored"] = {
                "command": command_line("scripts.experiments.recipe"),
                "commit": commit(),
                "split": self.split,
                **scores,
            }
            save(report, done)
        save(report, self.metrics / "recipe" / f"{way}_{domain}.json")
        return report

    def forget(self, domain: str) -> None:
        """Delete the weights of a target's runs."""
        for way in WAYS:
            folder = self.out / "recipe" / way / domain / "model-best"
            shutil.rmtree(folder, ignore_errors=True)

    def chosen(self) -> dict[str, Any]:
        """RETURNS (dict): The settings that a run depends on."""
        names = ("split", "adapter", "pretrain_epochs", "tune_epochs", "pretrain_rate")
        names += ("tune_rate", "batch_words", "seed")
        own = {name: getattr(self, name) for name in names}
        settings = {"settings": list(self.settings), "tune_settings": list(self.tune_settings)}
        return {"corpus": self.corpus.name, **own, **settings}

    def _train(self, way: str, domain: str, name: str) -> Path:
        """RETURNS (Path): The best checkpoint."""
        head = self.head_of(domain)
        names = train.HEADS[head]
        if way == "shared":
            return self._pretrain(head, names, f"{self.shared}/{head}", self.pretrain_epochs)
        if way == "without":
            others = [other for other in names if other != domain]
            return self._pretrain(head, others, name, self.pretrain_epochs)
        if way == "scratch":
            return self._pretrain(head, [domain], name, self.pretrain_epochs + self.tune_epochs)
        source = self._train(
            "without" if way == "excluded" else "shared", domain, f"recipe/without/{domain}"
        )
        run = train.tune_run(
            domain,
            source,
            name=name,
            config=self.configs / "domain.cfg",
            corpus=self.corpus,
            epochs=self.tune_epochs,
            rate=self.tune_rate,
            freeze_head=way != "head",
            seed=self.seed,
            settings=self.tune_settings,
        )
        run.evaluations, run.batch_words = self.evaluations, self.batch_words
        return train.train(run, self.out, self.out / "recipe" / "records")

    def _pretrain(self, head: str, domains: Sequence[str], name: str, epochs: float) -> Path:
        labels = json.dumps(self.labels_of(head))
        train.pretrain(
            head,
            corpus=self.corpus,
            core=self.core,
            out=self.out,
            metrics=self.out / "recipe" / "records",
            configs=self.configs,
            epochs=epochs,
            rate=self.pretrain_rate,
            adapter=self.adapter,
            domains=",".join(domains),
            name=name,
            evaluations=self.evaluations,
            batch_words=self.batch_words,
            seed=self.seed,
            settings=[*self.settings, f"initialize.components.multibert_ner.labels={labels}"],
        )
        best = self.out / name / "model-best"
        record = json.loads((best.parent / "done.json").read_text(encoding="utf8"))
        had = record["epochs"], record["overrides"]["vars.learn_rate"], record["seed"]
        if had != (epochs, self.pretrain_rate, self.seed):
            raise ConfigError(
                f"{best.parent} was trained with epochs, rate and seed {had}, not "
                f"{(epochs, self.pretrain_rate, self.seed)}: choose another --shared or --out"
            )
        return best
