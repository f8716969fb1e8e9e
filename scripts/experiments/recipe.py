"""Does the paper's recipe help? Five ways to an adapter for a domain, and two without tuning.

    python -m scripts.experiments.recipe configs/runs/paper.cfg --corpus corpus/persian

Of each target domain: the shared adapter of its head as it is; a copy of it tuned on the domain
with the head frozen (the paper's way) or free; a new adapter and head trained on the domain
alone, for as many epochs as both steps have together; and an adapter that was pre-trained on all
other domains of the head, as it is and tuned. A head always has the labels of all its domains.
The sections [recipe] and [recipe_tune] of the run config have the budgets of the two steps.

Best dev checkpoints are scored on the test part; each way is compared with the paper's on the
same docs. What is done is not repeated, and its weights are deleted once a target is done.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import spacy
import srsly
import typer
from rich.console import Console

from multibert_spacy.errors import ConfigError, DomainError
from multibert_spacy.training.corpus import read_docs

from ..build.evaluate import evaluate_single
from ..build.runs import Run, run_settings, train
from ..domains import DOMAINS, HEADS
from ..record import command_line, commit, readable_errors, save, table
from .compare import N_DRAWS, compare

__all__ = ["WAYS", "Recipe", "app", "summarise"]

app = typer.Typer(add_completion=False)
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
    """What all ways share.

    run (Path): The run config.
    corpus (Path): With train, dev and test.
    core (str): Hugging Face name or folder.
    out (Path): Folder of the runs.
    """

    run: Path
    corpus: Path
    core: str
    out: Path
    configs: Path = Path("configs")
    seed: int = 0

    def labels_of(self, head: str) -> list[str]:
        """RETURNS (list[str]): Labels in the train parts of all domains of a head."""
        vocab = spacy.blank("fa").vocab
        docs = read_docs(self.corpus / "train", vocab, domains=HEADS[head])
        return sorted({ent.label_ for doc in docs for ent in doc.ents})

    def chosen(self) -> dict[str, Any]:
        """RETURNS (dict): The settings that a run depends on."""
        steps = {name: run_settings(self.run, name) for name in ("recipe", "recipe_tune")}
        return {"corpus": self.corpus.name, "seed": self.seed, **steps}

    def score(self, way: str, domain: str) -> dict[str, Any]:
        """Train and score one way, unless it is done.

        RETURNS (dict): The record of the training, and the scores in "scored".
        RAISES (ConfigError): If it was done with other settings.
        """
        done = self.out / "recipe" / way / domain / "scored.json"
        if done.exists():
            report: dict[str, Any] = srsly.read_json(done)
            if report["recipe"] != self.chosen():
                raise ConfigError(
                    f"{done.parent} was made with {report['recipe']}, not {self.chosen()}: choose "
                    f"another --out, or delete {self.out / 'recipe'}"
                )
            console.print(f"recipe/{way}/{domain}: done before")
            return report
        best = self.train(way, domain)
        scores = evaluate_single({domain: str(best)}, self.corpus / "test", seed=self.seed)
        record = srsly.read_json(best.parent / "done.json")
        report = {**record, "recipe": self.chosen(), "scored": scores}
        save(report, done)
        return report

    def train(self, way: str, domain: str) -> Path:
        """RETURNS (Path): The best checkpoint of a way."""
        head = DOMAINS[domain].head
        if way == "shared":
            return self._pretrain(head, HEADS[head], f"recipe/shared/{head}")
        if way == "without":
            others = [name for name in HEADS[head] if name != domain]
            return self._pretrain(head, others, f"recipe/without/{domain}")
        if way == "scratch":
            return self._pretrain(head, [domain], f"recipe/scratch/{domain}", whole=True)
        source = self.train("without" if way == "excluded" else "shared", domain)
        given = {
            "paths.pretrained": str(source),
            "vars.domain": domain,
            "vars.freeze_head": way != "head",
            "system.seed": self.seed,
            **run_settings(self.run, "recipe_tune", head),
        }
        config = self.configs / "domain.cfg"
        run = Run.of(f"recipe/{way}/{domain}", config, self.corpus, [domain], given)
        return train(run, self.out)

    def _pretrain(self, head: str, names: list[str], name: str, *, whole: bool = False) -> Path:
        """whole (bool): Whether it gets the epochs of both steps."""
        given = {
            "paths.core": self.core,
            "vars.head": head,
            "vars.domains": names,
            "system.seed": self.seed,
            "initialize.components.multibert_ner.labels": self.labels_of(head),
            **run_settings(self.run, "recipe", head),
        }
        if whole:
            given["vars.epochs"] += run_settings(self.run, "recipe_tune", head)["vars.epochs"]
        run = Run.of(name, self.configs / "pretrain.cfg", self.corpus, names, given)
        return train(run, self.out)

    def forget(self, domain: str) -> None:
        """Delete the weights of a target's runs."""
        for way in WAYS:
            folder = self.out / "recipe" / way / domain / "model-best"
            shutil.rmtree(folder, ignore_errors=True)


def summarise(
    found: dict[str, dict[str, Any]], *, seed: int = 0, n_resamples: int = N_DRAWS
) -> dict[str, Any]:
    """Put the ways side by side.

    found (dict): Domain -> way -> what `Recipe.score` returned.
    seed, n_resamples (int): Of the paired bootstrap.
    RETURNS (dict): "targets", domain -> way -> F1, its interval and "against_tuned", the paired
        difference to the paper's way if that is there; "mean", way -> mean F1 of the targets.
    """
    targets: dict[str, Any] = {}
    for domain, reports in found.items():
        targets[domain] = {}
        for way, report in reports.items():
            scores = report["scored"]["single"]["per_domain"][domain]
            own = {key: scores[key] for key in ("f", "f_interval", "n_docs", "n_entities")}
            own["dev_f"] = report["best_dev_score"]
            if "tuned" in reports and way != "tuned":
                pair = (report, reports["tuned"])
                counts = [one["scored"]["doc_counts"]["single"] for one in pair]
                result = compare(*counts, seed=seed, n_resamples=n_resamples)
                own["against_tuned"] = result["per_domain"][domain]
            targets[domain][way] = own
    ways = [way for way in WAYS if any(way in own for own in targets.values())]
    known = {way: [own[way]["f"] for own in targets.values() if way in own] for way in ways}
    return {
        "ways": {way: WAYS[way] for way in ways},
        "targets": targets,
        "mean": {way: mean(f or 0.0 for f in scores) for way, scores in known.items()},
    }


@app.command(help=__doc__)
def main(
    run: Annotated[Path, typer.Argument(help="Run config.")],
    corpus: Annotated[Path, typer.Option(help="Folder with the parts.")] = Path("corpus/persian"),
    core: Annotated[str, typer.Option(help="Hugging Face name or folder.")] = "assets/core",
    out: Annotated[Path | None, typer.Option(help="Folder of all runs.")] = None,
    metrics: Annotated[Path, typer.Option(help="JSON file.")] = Path(
        "metrics/persian/recipe.json"
    ),
    targets: Annotated[str, typer.Option(help="Domains, comma-separated.")] = "travel,sports,art",
    ways: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(WAYS),
    seed: Annotated[int, typer.Option(help="Of training and resampling.")] = 0,
    configs: Annotated[Path, typer.Option(help="Folder of the stages' configs.")] = Path(
        "configs"
    ),
) -> None:
    chosen, domains = ways.split(","), targets.split(",")
    with readable_errors():
        if unknown := [way for way in chosen if way not in WAYS]:
            raise ConfigError(f"Unknown way {unknown[0]!r}; there are: {', '.join(WAYS)}")
        if unknown := [domain for domain in domains if domain not in DOMAINS]:
            raise DomainError(f"Unknown domain {unknown[0]!r}; there are: {', '.join(DOMAINS)}")
        recipe = Recipe(run, corpus, core, out or Path("training", corpus.name), configs, seed)
        found: dict[str, dict[str, Any]] = {}
        for domain in domains:
            found[domain] = {way: recipe.score(way, domain) for way in chosen}
            recipe.forget(domain)
            origin = {"command": command_line("scripts.experiments.recipe"), "commit": commit()}
            about = {"seed": seed, "split": "test", "settings": recipe.chosen()}
            report = {**origin, **about, **summarise(found, seed=seed)}
            save(report, metrics)
    rows = [
        {
            "": title,
            **{d: 100 * own[way]["f"] for d, own in report["targets"].items() if way in own},
            "mean": 100 * report["mean"][way],
        }
        for way, title in report["ways"].items()
    ]
    console.print(table("F1 on the test part, best dev checkpoints", rows))


if __name__ == "__main__":
    app()
