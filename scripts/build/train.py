"""Training stages of the project: each command is one `spacy train` per run (see `runs.py`)."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer

from ..domains import DOMAINS, HEADS
from ..record import run_app
from .runs import Run, console, parse_settings, train

app = typer.Typer(add_completion=False, help=__doc__)


Corpus = Annotated[Path, typer.Option(help="Folder with train/ and dev/")]
Core = Annotated[str, typer.Option(help="Hugging Face name or folder of the core")]
Out = Annotated[Path, typer.Option(help="Folder of all runs")]
Metrics = Annotated[Path, typer.Option(help="Folder of the JSON results")]
Epochs = Annotated[float, typer.Option(help="Passes over the training part")]
Rate = Annotated[float, typer.Option(help="Learning rate at its highest")]
Adapter = Annotated[str, typer.Option(help="lora, prefix, paper_lora, paper_prefix or none")]
Seed = Annotated[int, typer.Option(help="Seed")]
Words = Annotated[int, typer.Option(help="Padded words of a batch")]
Configs = Annotated[Path, typer.Option(help="Folder of the configs")]
Settings = Annotated[
    list[str], typer.Option("--set", help="key=value of the config, as adapters.lora.rank=8")
]


@app.command()
def pretrain(
    head: str,
    corpus: Corpus = Path("corpus/sample"),
    core: Core = "assets/core",
    out: Out = Path("training/sample"),
    metrics: Metrics = Path("metrics/sample"),
    configs: Configs = Path("configs"),
    epochs: Epochs = 5,
    rate: Rate = 1e-3,
    adapter: Adapter = "lora",
    domains: Annotated[str, typer.Option(help="Comma-separated; empty is all of the head")] = "",
    name: Annotated[str, typer.Option(help="Name of the run; empty is the head's")] = "",
    evaluations: Annotated[int, typer.Option(help="Scorings of the dev part")] = 2,
    batch_words: Words = 512,
    seed: Seed = 0,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Step one: a shared adapter and the head, on all domains of a head."""
    names = domains.split(",") if domains else HEADS[head]
    overrides: dict[str, Any] = {
        "paths.core": core,
        "vars.head": head,
        "vars.domains": names,
        "vars.learn_rate": rate,
        "vars.trainable": adapter == "none",
        "components.multibert_ner.model.adapter": f"${{adapters.{adapter}}}",
        "system.seed": seed,
        **parse_settings(settings),
    }
    run = Run(
        name or f"pretrain/{head}", configs / "pretrain.cfg", corpus, names, epochs, overrides
    )
    run.evaluations, run.batch_words = evaluations, batch_words
    train(run, out, metrics)


@app.command()
def tune(
    corpus: Corpus = Path("corpus/sample"),
    out: Out = Path("training/sample"),
    metrics: Metrics = Path("metrics/sample"),
    configs: Configs = Path("configs"),
    epochs: Epochs = 5,
    rate: Rate = 5e-4,
    full: Annotated[bool, typer.Option(help="Tune the whole core: one model per domain")] = False,
    pretrained: Annotated[str, typer.Option(help="Folder of the step-one runs")] = "pretrain",
    to: Annotated[str, typer.Option(help="Folder of the runs")] = "domains",
    domains: Annotated[str, typer.Option(help="Comma-separated; empty is all")] = "",
    evaluations: Annotated[int, typer.Option(help="Scorings of the dev part")] = 2,
    batch_words: Words = 512,
    seed: Seed = 0,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Step two: a copy of the adapter is tuned on each domain, the head is frozen."""
    known = [(head, name) for head, names in HEADS.items() for name in names]
    chosen = domains.split(",") if domains else [name for _, name in known]
    if unknown := set(chosen) - {name for _, name in known}:
        raise typer.BadParameter(f"no domain {', '.join(sorted(unknown))}")
    todo = [(head, name) for head, name in known if name in chosen]
    for i, (head, domain) in enumerate(todo, 1):
        console.print(f"[bold]domain {i} of {len(todo)}: {domain}[/bold]")
        run = tune_run(
            domain,
            out / pretrained / head / "model-best",
            name=f"{to}/{domain}",
            config=configs / "domain.cfg",
            corpus=corpus,
            epochs=epochs,
            rate=rate,
            freeze_core=not full,
            freeze_head=not full,
            seed=seed,
            settings=settings,
        )
        run.evaluations, run.batch_words = evaluations, batch_words
        best = train(run, out, metrics)
        if not full:
            _collect(best, domain, out / "adapters")


def tune_run(
    domain: str,
    pretrained: Path,
    *,
    name: str,
    config: Path,
    corpus: Path,
    epochs: float,
    rate: float,
    freeze_core: bool = True,
    freeze_head: bool = True,
    seed: int = 0,
    settings: Sequence[str] = (),
) -> Run:
    """RETURNS (Run): Step two on one domain; pretrained (Path) is the checkpoint of step one."""
    overrides: dict[str, Any] = {
        "paths.pretrained": str(pretrained),
        "vars.domain": domain,
        "vars.learn_rate": rate,
        "vars.freeze_core": freeze_core,
        "vars.freeze_head": freeze_head,
        "system.seed": seed,
        **parse_settings(settings),
    }
    return Run(name, config, corpus, [domain], epochs, overrides)


def _collect(best: Path, domain: str, adapters: Path) -> None:
    """Copy a domain's folder to where `assemble.cfg` looks, and drop the copies of the core."""
    if (best / "multibert_ner" / "domains" / domain).is_dir():
        adapters.mkdir(parents=True, exist_ok=True)
        target = adapters / domain
        draft = adapters / f".{domain}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(best / "multibert_ner" / "domains" / domain, draft)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    shutil.rmtree(best / "transformer", ignore_errors=True)


@app.command()
def share(
    head: str,
    out: Out = Path("training/sample"),
    pretrained: Annotated[str, typer.Option(help="Folder of the step-one runs")] = "pretrain",
    domains: Annotated[str, typer.Option(help="Comma-separated; empty is all of the head")] = "",
) -> None:
    """In place of step two: domains that it does not improve keep the shared adapter."""
    best = out / pretrained / head / "model-best"
    model: Any = spacy.load(best).get_pipe("multibert_ner").model
    (shared,) = model.module.domains
    for domain in domains.split(",") if domains else HEADS[head]:
        model.read_domain(best / "multibert_ner" / "domains" / shared, domain)
        (out / "adapters").mkdir(parents=True, exist_ok=True)
        model.write_domain(domain, out / "adapters" / domain)
        console.print(f"{domain}: the shared adapter of {head}")


@app.command()
def detector(
    corpus: Corpus = Path("corpus/sample"),
    core: Core = "assets/core",
    out: Out = Path("training/sample"),
    metrics: Metrics = Path("metrics/sample"),
    configs: Configs = Path("configs"),
    steps: Annotated[int, typer.Option(help="Batches of 1,000 words")] = 150,
    smallest: Annotated[int, typer.Option(help="Texts of the smallest groups")] = 1,
    masked: Annotated[float, typer.Option(help="Share of groups without giveaway words")] = 0.0,
    rate: Rate = 1e-3,
    name: Annotated[str, typer.Option(help="Name of the run")] = "detector",
    evaluations: Annotated[int, typer.Option(help="Scorings of the dev part")] = 2,
    seed: Seed = 0,
    settings: Settings = [],  # noqa: B006
) -> None:
    """The domain detector, on shuffled groups of up to 8 texts."""
    overrides: dict[str, Any] = {
        "paths.core": core,
        "vars.domains": sorted(DOMAINS),
        "vars.learn_rate": rate,
        "vars.smallest": smallest,
        "vars.masked": masked,
        "vars.max_steps": steps,
        "vars.eval_frequency": max(1, steps // evaluations),
        "system.seed": seed,
        **parse_settings(settings),
    }
    run = Run(name, configs / "detector.cfg", corpus, sorted(DOMAINS), 0, overrides)
    train(run, out, metrics)


if __name__ == "__main__":
    run_app(app)
