"""The same small training again and again: what chance, a fold or a leak is worth.

    python -m scripts.experiments.again seeds configs/runs/paper.cfg
    python -m scripts.experiments.again folds configs/runs/paper.cfg

`seeds`: step one from nothing with three seeds. `folds`: step one on news alone, for the second
and third fold of ARMAN, the first, and for its joined folds (scripts.experiments.leak). The budget
is the section [once] of the run config.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..build import evaluate, train
from ..corpora import convert
from ..corpora.arman import DOMAIN
from ..domains import DOMAINS
from ..record import run_app

app = typer.Typer(add_completion=False, help=__doc__)

RunFile = Annotated[Path, typer.Argument(help="Run config")]
Core = Annotated[str, typer.Option(help="Hugging Face name or folder of the core")]
Metrics = Annotated[Path, typer.Option(help="Folder of the JSON results")]
SEEDS = (0, 1, 2)


@app.command()
def seeds(
    run: RunFile,
    corpus: Annotated[Path, typer.Option(help="With train, dev, test")] = Path("corpus/persian"),
    core: Core = "assets/core",
    metrics: Metrics = Path("metrics/persian"),
) -> None:
    """Step one with three seeds, each scored on test."""
    for seed in SEEDS:
        out = Path("training", f"{corpus.name}-seed{seed}")
        train.pretrain(run, section="once", corpus=corpus, core=core, out=out, seed=seed)
        models = f"{out}/once/{{head}}/model-best"
        evaluate.main(models=models, corpus=corpus, metrics=metrics / f"seed{seed}.json")


@app.command()
def folds(
    run: RunFile,
    source: Annotated[Path, typer.Option(help="Corpora as downloaded")] = Path("assets/persian"),
    corpora: Annotated[Path, typer.Option(help="Folder of corpora")] = Path("corpus"),
    core: Core = "assets/core",
    metrics: Metrics = Path("metrics/persian"),
    seed: Annotated[int, typer.Option(help="Seed")] = 0,
) -> None:
    """Step one on ARMAN alone: folds 2 and 3, the first, and all joined."""
    tests = {"leak_honest": corpora / "persian", "leak_joined": corpora / "arman_leak"}
    parts = dict(tests)
    for fold in (2, 3):
        name = f"fold{fold}"
        # train without what stands in another corpus's test part, but a whole test part
        parts[name], tests[name] = corpora / f"persian-{name}", corpora / f"arman-{name}"
        convert.convert_persian(source, parts[name], fold=fold, seed=seed)
        convert.convert_arman(source / "arman", tests[name], fold=fold, seed=seed)
    head = DOMAINS[DOMAIN].head
    for name, corpus in parts.items():
        out = Path("training", f"persian-{name}")
        train.pretrain(
            run, section="once", domains=DOMAIN, corpus=corpus, core=core, out=out, seed=seed
        )
        models = f"{DOMAIN}={out}/once/{head}/model-best"
        evaluate.main(
            models=models, corpus=tests[name], metrics=metrics / f"{name}.json", seed=seed
        )


if __name__ == "__main__":
    run_app(app)
