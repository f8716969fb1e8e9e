"""The same small training again and again: what chance or a fold is worth.

    python -m scripts.experiments.again seeds configs/runs/paper.cfg
    python -m scripts.experiments.again folds configs/runs/paper.cfg

`seeds`: step one from nothing with three seeds. `folds`: step one on news alone, for
each fold of ARMAN. The budget is the section [once] of the run config.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..build import evaluate, train
from ..corpora import convert
from ..corpora.arman import DOMAIN, FOLDS
from ..domains import DOMAINS
from ..options import Core, RunFile
from ..record import run_app

app = typer.Typer(add_completion=False, help=__doc__)

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
    """Step one on ARMAN alone, for each fold."""
    for fold in FOLDS:
        # train without what stands in another corpus's test part, but a whole test part
        corpus, whole = corpora / f"persian-fold{fold}", corpora / f"arman-fold{fold}"
        convert.convert_persian(source, corpus, fold=fold, seed=seed)
        convert.convert_corpus("arman", source / "arman", whole, fold=fold, seed=seed)
        given = {"corpus": corpus, "core": core, "seed": seed}
        out = Path("training", corpus.name)
        train.pretrain(run, section="once", domains=DOMAIN, out=out, **given)
        models = f"{DOMAIN}={out}/once/{DOMAINS[DOMAIN].head}/model-best"
        evaluate.main(models=models, corpus=whole, metrics=metrics / f"fold{fold}.json", seed=seed)


if __name__ == "__main__":
    run_app(app)
