"""What finding the domain costs: milliseconds per group, for our detector and what it replaces.

    python -m scripts.detector_cost training/pretrained/fa_multibert --corpus corpus/persian

The same groups for all detectors, which take turns; the median of the rounds counts. Beside the
pipeline's detector: the same adapter on all layers of the core, the bag of words of
configs/detector_bow.cfg, and TF-IDF with logistic regression. Only time is looked at, so the
adapter on all layers has new weights, and the two cheap ones are fitted on a few texts. Reading
and cutting the words is not timed, since all of them need it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import spacy
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from multibert_spacy.errors import ConfigError
from multibert_spacy.models.adapters import ALL_LINEAR, LoraSettings
from multibert_spacy.models.classifier import ClassifierModel
from multibert_spacy.training.corpus import read_docs

from .baseline import fit_tfidf, train_bow
from .record import readable_errors
from .scoring.detection import SIZES, Detect, Group, detect_with, draw_docs, make_groups
from .scoring.report import build_header, describe_model, save

__all__ = ["app", "detectors_of", "time_detectors", "with_all_layers"]

app = typer.Typer(add_completion=False)
console = Console()

ROUNDS = 5
FITTED_ON = 25
"""Groups of eight per domain."""


def with_all_layers(model: ClassifierModel) -> ClassifierModel:
    """RETURNS (ClassifierModel): The same detector on all layers of the core, with new weights."""
    settings = model.module.adapter.settings
    if isinstance(settings, LoraSettings):
        settings = replace(settings, target_modules=ALL_LINEAR, first_layer=0)
    whole = ClassifierModel(
        settings,
        model.listener,
        model.normalizer,
        max_pieces=model.max_pieces,
        batch_pieces=model.batch_pieces,
        pooling=model.pooling,
        dropout=model.dropout,
        bag=model.bag,
    )
    whole.build(model.module.linear.out_features, settings.build(model.listener.core))
    return whole


def detectors_of(
    nlp: Language, train: Sequence[Doc], *, bow: Path | None, config: Path, seed: int = 0
) -> dict[str, Detect]:
    """Make all detectors.

    nlp (Language): A pipeline with our detector.
    train (Sequence[Doc]): Texts that the two cheap ones are fitted on.
    bow (Path): A trained bag of words; without it one is trained for a few steps.
    config (Path): configs/detector_bow.cfg.
    seed (int): Of fitting.
    RETURNS (dict): Name -> detector.
    """
    proc: Any = nlp.get_pipe("domain_detector")
    core, shipped = proc.model.listener.core, proc.model
    models = {f"ours, {shipped.n_layers or core.n_layers} layers": shipped}
    if shipped.n_layers:
        models[f"ours, {core.n_layers} layers"] = with_all_layers(shipped)

    def ours(model: ClassifierModel) -> Detect:
        run = detect_with(nlp)

        def detect(groups: Sequence[Group]) -> list[str | None]:
            proc.model = model
            try:
                return run(groups)
            finally:
                proc.model = shipped

        return detect

    detectors = {name: ours(model) for name, model in models.items()}
    drawn = draw_docs(train, seed=seed, limit_groups=FITTED_ON)
    if bow is not None:
        bag = spacy.load(bow)
    else:
        domains = sorted({doc._.domain for doc in drawn})
        with TemporaryDirectory() as folder:
            corpus = Path(folder)
            _write(drawn, corpus)
            bag = train_bow(corpus, corpus / "bow", config=config, domains=domains, steps=5)
    detectors["bag of words"] = detect_with(bag)
    detectors["tf-idf"], _ = fit_tfidf(drawn, drawn, seed=seed, strengths=(1.0,))
    return detectors


def _write(docs: Sequence[Doc], corpus: Path) -> None:
    for part in ("train", "dev"):
        (corpus / part).mkdir()
        DocBin(docs=docs, store_user_data=True).to_disk(corpus / part / "docs.spacy")


def time_detectors(
    detectors: Mapping[str, Detect],
    groups: Mapping[int, Sequence[Group]],
    *,
    rounds: int = ROUNDS,
) -> dict[str, dict[str, dict[str, float]]]:
    """Let the detectors take turns.

    detectors (Mapping): Name -> detector.
    groups (Mapping): Texts in a group -> groups.
    rounds (int): Runs of each that count, after one that does not.
    RETURNS (dict): Name -> texts in a group -> "ms", the median per group, and "range", the
        fastest and the slowest round.
    """
    times: dict[tuple[str, int], list[float]] = {}
    for i in track(range(rounds + 1), "rounds", console=console):
        for name, detect in detectors.items():
            for size, own in groups.items():
                start = time.perf_counter()
                detect(own)
                seconds = time.perf_counter() - start
                if i:
                    times.setdefault((name, size), []).append(1000 * seconds / len(own))
    return {
        name: {
            str(size): {"ms": median(own := times[name, size]), "range": [min(own), max(own)]}
            for size in groups
        }
        for name in detectors
    }


@app.command(help=__doc__)
def main(
    model: Annotated[str, typer.Argument(help="Folder or installed package.")],
    corpus: Annotated[Path, typer.Option(help="Folder with the parts.")] = Path("corpus/persian"),
    split: Annotated[str, typer.Option(help="Part of the groups.")] = "test",
    metrics: Annotated[
        Path | None,
        typer.Option(help="JSON file; by default metrics/<corpus>/detector_cost.json."),
    ] = None,
    bow: Annotated[Path | None, typer.Option(help="A trained bag of words.")] = None,
    configs: Annotated[Path, typer.Option(help="Folder of the configs.")] = Path("configs"),
    per_domain: Annotated[int, typer.Option(min=1, help="Groups of each size.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="That count.")] = ROUNDS,
    seed: Annotated[int, typer.Option(help="Of the groups.")] = 0,
) -> None:
    with readable_errors():
        nlp = spacy.load(model)
        if "domain_detector" not in nlp.pipe_names:
            raise ConfigError(f"The pipeline has no domain_detector, but {nlp.pipe_names}")
        docs = read_docs(corpus / split, nlp.vocab)
        train = read_docs(corpus / "train", nlp.vocab)
        given: dict[str, Any] = {"seed": seed, "limit_groups": per_domain}
        report = build_header("scripts.detector_cost", docs, corpus=corpus, split=split, **given)
        report["model"] = describe_model(nlp, model)
        groups = {
            size: make_groups(docs, size, seed=seed, limit_docs=per_domain * size)
            for size in SIZES
        }
        config = configs / "detector_bow.cfg"
        detectors = detectors_of(nlp, train, bow=bow, config=config, seed=seed)
        report |= {
            "rounds": rounds,
            "threads": torch.get_num_threads(),
            "groups": len(groups[SIZES[0]]),
            "detectors": time_detectors(detectors, groups, rounds=rounds),
        }
    save(report, metrics or Path("metrics", corpus.name, "detector_cost.json"))
    table = Table(title="Milliseconds per group, by texts in a group")
    for column in ("", *map(str, SIZES)):
        table.add_column(column, justify="right" if column else "left")
    for name, own in report["detectors"].items():
        table.add_row(name, *(f"{own[str(size)]['ms']:.2f}" for size in SIZES))
    console.print(table)


if __name__ == "__main__":
    app()
