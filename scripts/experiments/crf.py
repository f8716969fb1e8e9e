"""The floor that every adapter has to be above: a CRF on hand-made features.

    python -m scripts.experiments.crf --corpus corpus/persian --metrics metrics/persian/crf.json
    python -m scripts.experiments.crf --corpus corpus/persian-refit --like metrics/persian/crf.json

One model for news, one for tweets, one for all ten channels together. Features are of the words'
normal forms: the word, its affixes of one to four letters, its shape and kind, the same of its
neighbours and the words two places away. The strengths of regularisation are chosen on the dev
part, for each model alone; the test part is scored once. The report is that of
`scripts.build.evaluate --models`, on the same docs in the same order.

Trained models are kept in a folder and not trained again: delete it after changing a feature.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import pycrfsuite
import spacy
import typer
from rich.console import Console
from rich.progress import track
from spacy.tokens import Doc, Span
from spacy.training import Example

from multibert_spacy.errors import ConfigError
from multibert_spacy.pipeline.domain_detector import join_docs
from multibert_spacy.text.spans import bio_tags, tags_to_entities
from multibert_spacy.training.corpus import read_docs
from multibert_spacy.training.scorers import score_ner

from ..build.evaluate import print_report, report_single
from ..build.scoring.detection import draw_docs
from ..build.scoring.entities import N_RESAMPLES
from ..corpora.bio import doc_tags, repair_bio
from ..domains import HEADS
from ..record import build_header, readable_errors, save
from .crf_features import AFFIX, REACH, word_features

__all__ = [
    "GRID",
    "MODELS",
    "Crf",
    "app",
    "evaluate_crf",
    "fit_crf",
    "strengths_of",
]

app = typer.Typer(add_completion=False)
console = Console()

MODELS = {"news": ["news"], "tweet": ["tweet"], "social": HEADS["social"]}
"""Name of a model -> its domains."""

GRID = ((0.05, 0.01), (0.05, 0.1), (0.2, 0.01), (0.2, 0.1))
"""Weights of the L1 and L2 penalties (c1 and c2)."""

MAX_ITERATIONS = 120


class Crf:
    """A trained model.

    path (Path): File of python-crfsuite.
    """

    def __init__(self, path: Path):
        self.tagger = pycrfsuite.Tagger()
        self.tagger.open(str(path))
        self.labels = sorted({tag[2:] for tag in self.tagger.labels() if tag != "O"})
        self.illegal = 0
        """Tags that were repaired: nothing forbids a CRF a step that it has never seen."""

    def tag(self, doc: Doc) -> Doc:
        """RETURNS (Doc): The same doc, with its entities."""
        tags, repairs = repair_bio(self.tagger.tag(word_features([word.text for word in doc])))
        self.illegal += sum(repairs.values())
        column = {tag: i for i, tag in enumerate(bio_tags(self.labels))}
        found = tags_to_entities([column[tag] for tag in tags], self.labels, [1.0] * len(doc))
        doc.set_ents([Span(doc, ent.start, ent.end, label=ent.label) for ent in found])
        return doc

    def examples(self, references: Sequence[Doc], title: str) -> list[Example]:
        """RETURNS (list[Example]): Predicted docs beside the gold ones."""
        docs = track(references, title, console=console)
        return [Example(self.tag(join_docs([doc], doc.vocab)), doc) for doc in docs]


def fit_crf(
    train: Sequence[Doc],
    dev: Sequence[Doc],
    folder: Path,
    *,
    grid: Sequence[tuple[float, float]] = GRID,
    max_iterations: int = MAX_ITERATIONS,
) -> tuple[Crf, dict[str, Any]]:
    """Train for each pair of strengths; the one with the best micro F1 on dev is taken.

    train, dev (Sequence[Doc]): Gold docs.
    folder (Path): Gets a file for each pair; what is there is not trained again.
    grid (Sequence[tuple]): Pairs of c1 and c2. Of equals the first is taken.
    max_iterations (int): Of L-BFGS.
    RETURNS (tuple): The model, and a dict of its settings.
    """
    trainer = None
    on_dev: dict[str, float] = {}
    models: dict[str, Crf] = {}
    for c1, c2 in grid:
        name = f"c1={c1:g},c2={c2:g}"
        path = folder / f"{name}.crfsuite"
        if not path.exists():
            trainer = trainer or _load(train)
            trainer.set_params({"c1": c1, "c2": c2, "max_iterations": max_iterations})
            draft = path.with_name(f".{path.name}.draft")
            path.parent.mkdir(parents=True, exist_ok=True)
            trainer.train(str(draft))
            draft.rename(path)
        models[name] = Crf(path)
        scores = score_ner(models[name].examples(dev, f"{folder.name}, {name}: dev"))
        on_dev[name] = scores["ents_f"] or 0.0
        console.print(f"{folder.name}, {name}: {100 * on_dev[name]:.1f} on dev")
    best = max(on_dev, key=on_dev.__getitem__)
    c1, c2 = list(grid)[list(on_dev).index(best)]
    models[best].illegal = 0
    settings = {
        "algorithm": "lbfgs",
        "c1": c1,
        "c2": c2,
        "max_iterations": max_iterations,
        "features": {"words": REACH, "affixes": AFFIX, "shape_affixes_kind_of": REACH - 1},
        "attributes": int(models[best].tagger.info().header["num_attrs"]),
        "dev_f": on_dev,
    }
    return models[best], settings


def _load(docs: Sequence[Doc]) -> pycrfsuite.Trainer:
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    for doc in docs:
        trainer.append(word_features([word.text for word in doc]), doc_tags(doc))
    return trainer


def evaluate_crf(
    corpus: Path,
    out: Path,
    *,
    split: str = "test",
    models: Mapping[str, Sequence[str]] = MODELS,
    grid: Sequence[tuple[float, float]] = GRID,
    chosen: Mapping[str, tuple[float, float]] | None = None,
    seed: int = 0,
    limit_groups: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Any]:
    """Train the models whose domains the part has, and score them together.

    corpus (Path): Folder with train, dev and the part.
    out (Path): Folder of the trained models.
    split (str): The part to score on.
    models (Mapping): Name -> domains. A domain is in one of them.
    grid (Sequence[tuple]): As in `fit_crf`.
    chosen (Mapping): Name of a model -> c1 and c2, in the place of the grid.
    seed, limit_groups, n_resamples (int): As in `scripts.build.evaluate.evaluate`.
    RETURNS (dict): "models", "single" and "doc_counts", as `evaluate_single` has them.
    RAISES (ConfigError): If the part has no domain of any model.
    """
    vocab = spacy.blank("fa").vocab
    train, dev, docs = (read_docs(corpus / part, vocab) for part in ("train", "dev", split))
    described: dict[str, Any] = {}
    examples: list[Example] = []
    for name, wanted in models.items():
        domains = sorted({doc._.domain for doc in docs} & set(wanted))
        if not domains:
            continue
        own_train, own_dev, own = (
            [doc for doc in part if doc._.domain in domains] for part in (train, dev, docs)
        )
        strengths = grid if chosen is None else [chosen[name]]
        crf, settings = fit_crf(own_train, own_dev, out / name, grid=strengths)
        drawn = draw_docs(own, seed=seed, limit_groups=limit_groups)
        examples += crf.examples(drawn, f"{name}: {split}")
        described[name] = {
            "name": "crf",
            "version": version("python-crfsuite"),
            "source": "python-crfsuite",
            "domains": domains,
            "settings": {**settings, "repaired_tags": crf.illegal},
        }
    if not examples:
        known = ", ".join(domain for wanted in models.values() for domain in wanted)
        raise ConfigError(f"{corpus / split} has none of these domains: {known}")
    scores = report_single(examples, docs, seed=seed, n_resamples=n_resamples)
    return {"models": described, **scores}


def strengths_of(report: Path) -> dict[str, tuple[float, float]]:
    """report (Path): What this command has written. RETURNS (dict): Name of a model -> c1 and c2.
    RAISES (ConfigError): If it is none.
    """
    try:
        models = json.loads(report.read_text(encoding="utf8"))["models"]
        return {
            name: (float(own["settings"]["c1"]), float(own["settings"]["c2"]))
            for name, own in models.items()
        }
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{report} is no report of scripts.crf: {e!r}") from e


@app.command(help=__doc__)
def main(
    corpus: Annotated[Path, typer.Option(help="Folder with the parts.")] = Path("corpus/persian"),
    split: Annotated[str, typer.Option(help="Part to score on.")] = "test",
    metrics: Annotated[
        Path | None, typer.Option(help="JSON file; by default metrics/<corpus>/crf.json.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the models; by default training/<corpus>/crf.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Report whose strengths are taken; none are chosen on dev.")
    ] = None,
    limit_groups: Annotated[int, typer.Option(min=0, help="Groups per domain; 0 is all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of groups and intervals.")] = 0,
) -> None:
    with readable_errors():
        docs = read_docs(corpus / split, spacy.blank("fa").vocab)
        given: dict[str, Any] = {"split": split, "seed": seed, "limit_groups": limit_groups}
        header = build_header("scripts.experiments.crf", docs, corpus=corpus, **given)
        chosen = None if like is None else strengths_of(like)
        folder = out or Path("training", corpus.name, "crf")
        scores = evaluate_crf(corpus, folder, chosen=chosen, **given)
    report = {**header, **scores}
    save(report, metrics or Path("metrics", corpus.name, "crf.json"))
    print_report(report, console)


if __name__ == "__main__":
    app()
