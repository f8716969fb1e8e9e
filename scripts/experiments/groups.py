"""What detection costs in F1: the whole pipeline with detected against given domains.

    python -m scripts.experiments.groups training/pretrained/fa_multibert --corpus corpus/persian

With the domains given, then with each detected for groups of 1, 2, 4 and 8 texts of it, on the
corpus's own words; then both once more from raw text, joined as a writer would, cut by our own
tokenizer: what a user gets. The differences are paired: the same docs are drawn for both.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
import typer
from rich.console import Console
from rich.progress import track
from spacy.language import Language
from spacy.tokens import Doc

from multibert_spacy.errors import ConfigError
from multibert_spacy.training.corpus import read_docs
from multibert_spacy.training.scorers import score_domains

from ..build.evaluate import run
from ..build.scoring.detection import SIZES, given_docs, make_groups, predicted_docs
from ..build.scoring.entities import N_RESAMPLES, count_docs, score_entities
from ..build.scoring.raw_text import raw_examples
from ..build.scoring.report import entity_table
from ..domains import HEADS
from ..options import Corpus, Limit, Metrics, Model, Seed
from ..record import build_header, describe_model, readable_errors, save
from .compare import N_DRAWS, compare

app = typer.Typer(add_completion=False)
console = Console()


def score_groups(
    nlp: Language,
    docs: Sequence[Doc],
    *,
    sizes: Sequence[int] = SIZES,
    seed: int = 0,
    limit_groups: int = 0,
    n_resamples: int = N_RESAMPLES,
    n_draws: int = N_DRAWS,
) -> dict[str, Any]:
    """Score entities with domains given and detected.

    nlp (Language): A whole pipeline.
    docs (Sequence[Doc]): Gold docs with their domains.
    sizes (Sequence[int]): Docs per group; raw text is in groups of the largest.
    seed (int): Of the groups and of the resampling.
    limit_groups (int): Groups of the largest size per domain at the most; 0 is all.
    n_resamples, n_draws (int): Resamples of the scores, and of the differences.
    RETURNS (dict): "given", "raw_given" and "raw_detected" with scores, "detected" and
        "difference" (detected minus given) by size, "raw_difference" (detected minus given, from
        raw text) and "tokenizer" (raw text minus the corpus's words, domains given).
    """
    largest = max(sizes)
    limit = limit_groups * largest
    drawn = [
        doc for group in make_groups(docs, largest, seed=seed, limit_docs=limit) for doc in group
    ]
    wanted = {id(doc) for doc in drawn}
    docs = [doc for doc in docs if id(doc) in wanted]
    draws: dict[str, Any] = {"seed": seed, "n_resamples": n_resamples, "groups": HEADS}

    def paired(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
        return compare(a, b, seed=seed, n_resamples=n_draws)

    given = run(nlp, given_docs(docs, nlp), docs, "domains given")
    given_counts = count_docs(given, docs)
    place = {id(doc): i for i, doc in enumerate(docs)}
    report: dict[str, Any] = {"given": score_entities(given, **draws)}
    report |= {"detected": {}, "difference": {}}
    for size in sizes:
        groups = make_groups(docs, size, seed=seed)
        references = [doc for group in groups for doc in group]
        examples = run(nlp, predicted_docs(groups, nlp), references, f"groups of {size}")
        # in the order of the docs, so that the same ones are drawn in every resampling
        ordered = sorted(examples, key=lambda eg: place[id(eg.reference)])
        own = score_entities(ordered, **draws)
        report["detected"][str(size)] = {**own, **score_domains(examples)}
        report["difference"][str(size)] = paired(count_docs(examples, docs), given_counts)
    groups = make_groups(docs, largest, seed=seed)
    threads = {id(doc): key for key, group in enumerate(groups) for doc in group}
    order = sorted(docs, key=lambda doc: threads[id(doc)])  # a thread's texts stand together
    raw = list(track(raw_examples(nlp, docs), "raw text, given", total=len(docs), console=console))
    keys = [threads[id(doc)] for doc in order]
    found = raw_examples(nlp, order, threads=keys)
    found = list(track(found, "raw text, detected", total=len(docs), console=console))
    pairs = sorted(zip(order, found, strict=True), key=lambda pair: place[id(pair[0])])
    detected = [eg for _, eg in pairs]
    report["raw_given"] = score_entities(raw, **draws)
    report["raw_detected"] = {**score_entities(detected, **draws), **score_domains(detected)}
    counts = [count_docs(egs, [eg.reference for eg in egs]) for egs in (raw, detected)]
    report["raw_difference"] = paired(counts[1], counts[0])
    report["tokenizer"] = paired(counts[0], given_counts)
    return report


@app.command(help=__doc__)
def main(
    model: Model,
    corpus: Corpus = Path("corpus/persian"),
    metrics: Metrics = None,
    limit_groups: Limit = 0,
    seed: Seed = 0,
) -> None:
    with readable_errors():
        nlp = spacy.load(model)
        for name in ("domain_detector", "multibert_ner"):
            if name not in nlp.pipe_names:
                raise ConfigError(f"The pipeline has no {name}, but {', '.join(nlp.pipe_names)}")
        docs = read_docs(corpus / "test", nlp.vocab)
        given: dict[str, Any] = {"seed": seed, "limit_groups": limit_groups}
        name = "scripts.experiments.groups"
        report = build_header(name, docs, corpus=corpus, split="test", **given)
        report["model"] = describe_model(nlp, model)
        report |= score_groups(nlp, docs, **given)
    save(report, metrics or Path("metrics", corpus.name, "groups.json"))
    modes = {f"groups of {size}": own for size, own in report["detected"].items()}
    modes |= {"raw, given": report["raw_given"], "raw, detected": report["raw_detected"]}
    console.print(entity_table({"given": report["given"], **modes}))


if __name__ == "__main__":
    app()
