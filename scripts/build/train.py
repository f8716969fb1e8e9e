"""Training stages of the project: each command is one `spacy train` per run (see `runs.py`).

    python -m scripts.build.train pretrain configs/runs/lora.cfg --corpus corpus/sample
    python -m scripts.build.train tune configs/runs/lora.cfg --system.seed 1

What a run config does not say may stand behind a command as behind `spacy train`. A run is the
folder OUT/SECTION/NAME, of a head or a domain.
"""

import shutil
from pathlib import Path
from typing import Annotated, Any

import spacy
import torch
import typer
from spacy.cli._util import parse_config_overrides

from multibert_spacy.errors import ConfigError, DomainError

from ..domains import DOMAINS, HEADS
from ..options import Corpus, Out, RunFile
from ..record import replaced, run_app
from .runs import Run, console, run_settings, train

app = typer.Typer(add_completion=False, help=__doc__)

Section = Annotated[str, typer.Option(help="Its section")]
Domains = Annotated[str, typer.Option(help="Comma-separated; empty is all of the head or heads")]
From = Annotated[str, typer.Option(help="Section of the step-one runs")]
OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
"""What is left are settings of the stage's config, for `parse_config_overrides`."""


def _chosen(domains: str) -> dict[str, list[str]]:
    """RETURNS (dict): Head -> its domains that are wanted; heads without any are left out.
    RAISES (DomainError): If there is no such domain.
    """
    known = [name for names in HEADS.values() for name in names]
    wanted = domains.split(",") if domains else known
    if missing := [name for name in wanted if name not in known]:
        raise DomainError(f"Unknown domain {missing[0]!r}; there are: {', '.join(known)}")
    chosen = {head: [name for name in names if name in wanted] for head, names in HEADS.items()}
    return {head: names for head, names in chosen.items() if names}


@app.command(context_settings=OVERRIDES)
def pretrain(
    context: typer.Context,
    run: RunFile,
    section: Section = "pretrain",
    corpus: Corpus = Path("corpus/sample"),
    out: Out = None,
    domains: Domains = "",
) -> None:
    """Step one: a shared adapter and the head, for each head on all its domains."""
    overrides = parse_config_overrides(context.args)
    for head, names in _chosen(domains).items():
        given = {"vars.head": head, "vars.domains": names, **run_settings(run, section, head)}
        one = Run(f"{section}/{head}", "pretrain", corpus, names, given | overrides)
        train(one, out or Path("training", corpus.name))


@app.command(context_settings=OVERRIDES)
def joint(
    context: typer.Context,
    run: RunFile,
    section: Section = "joint",
    corpus: Corpus = Path("corpus/sample"),
    out: Out = None,
) -> None:
    """In place of step one: one adapter for domains of any heads, all unless vars.domains says."""
    names = [name for own in HEADS.values() for name in own]
    given = {"vars.domains": names, **run_settings(run, section)}
    given |= parse_config_overrides(context.args)
    one = Run(section, "joint", corpus, given["vars.domains"], given)
    train(one, out or Path("training", corpus.name))


@app.command(context_settings=OVERRIDES)
def tune(
    context: typer.Context,
    run: RunFile,
    section: Section = "tune",
    corpus: Corpus = Path("corpus/sample"),
    out: Out = None,
    domains: Domains = "",
    pretrained: From = "pretrain",
) -> None:
    """Step two: a copy of the adapter is tuned on each domain, the head is frozen."""
    overrides = parse_config_overrides(context.args)
    out = out or Path("training", corpus.name)
    todo = [(head, name) for head, names in _chosen(domains).items() for name in names]
    for i, (head, domain) in enumerate(todo, 1):
        console.print(f"[bold]domain {i} of {len(todo)}: {domain}[/bold]")
        start = {"paths.pretrained": str(out / pretrained / head / "model-best")}
        given = {**start, "vars.domain": domain, **run_settings(run, section, head), **overrides}
        best = train(Run(f"{section}/{domain}", "domain", corpus, [domain], given), out)
        if given.get("vars.freeze_core", True):
            _collect(best, domain, out / "adapters")


def _collect(best: Path, domain: str, adapters: Path) -> None:
    """Copy a domain's folder to where `assemble.cfg` looks, and drop the copies of the core."""
    own = best / "multibert_ner" / "domains" / domain
    if own.is_dir():
        with replaced(adapters / domain) as draft:
            shutil.copytree(own, draft, dirs_exist_ok=True)
    shutil.rmtree(best / "transformer", ignore_errors=True)


@app.command()
def share(
    out: Annotated[Path, typer.Argument(help="Folder of all runs")],
    pretrained: From = "pretrain",
    domains: Domains = "",
) -> None:
    """In place of step two: domains that it does not improve keep the shared adapter."""
    (out / "adapters").mkdir(parents=True, exist_ok=True)
    for head, names in _chosen(domains).items():
        best = out / pretrained / head / "model-best"
        model: Any = spacy.load(best).get_pipe("multibert_ner").model
        (shared,) = model.module.domains
        for domain in names:
            model.read_domain(best / "multibert_ner" / "domains" / shared, domain)
            model.write_domain(domain, out / "adapters" / domain)
            console.print(f"{domain}: the shared adapter of {head}")


@app.command()
def mean(
    folders: Annotated[list[Path], typer.Argument(help="Checkpoints of step one, two or more")],
    out: Annotated[Path, typer.Option(help="Folder of the new pipeline")],
) -> None:
    """The mean of several checkpoints of runs from one start value, mostly better than each
    (Wortsman et al. 2022, "Model soups").
    """
    nlp, *others = (spacy.load(folder) for folder in folders)
    module: Any = nlp.get_pipe("multibert_ner").model.module.float()
    states = [module.state_dict()]
    for folder, other in zip(folders[1:], others, strict=True):
        tagger: Any = other.get_pipe("multibert_ner")
        states.append(tagger.model.module.state_dict())
        shapes = [{name: own.shape for name, own in state.items()} for state in states]
        if shapes[-1] != shapes[0] or tagger.labels != nlp.get_pipe("multibert_ner").labels:
            raise ConfigError(
                f"The tagger in {folder} is not of the shape of that in {folders[0]}"
            )
    means = {n: torch.stack([s[n].float() for s in states]).mean(0) for n in states[0]}
    module.load_state_dict(means)
    module.weights_changed()
    nlp.to_disk(out)
    console.print(f"{out}: the mean of {len(folders)} checkpoints")


@app.command(context_settings=OVERRIDES)
def detector(
    context: typer.Context,
    run: RunFile,
    section: Section = "detector",
    stage: Annotated[str, typer.Option(help="Or detector_paper, detector_bow")] = "detector",
    corpus: Corpus = Path("corpus/sample"),
    out: Out = None,
) -> None:
    """The domain detector, on shuffled groups of up to 8 texts."""
    names = sorted(DOMAINS)
    given = {"vars.domains": names, **run_settings(run, section)}
    given |= parse_config_overrides(context.args)
    train(Run(stage, stage, corpus, names, given), out or Path("training", corpus.name))


if __name__ == "__main__":
    run_app(app)
