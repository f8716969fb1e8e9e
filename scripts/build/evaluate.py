"""Score trained pipelines on the gold words of the test part of a corpus.

    python -m scripts.build.evaluate training/sample/fa_multibert --corpus corpus/sample
    python -m scripts.build.evaluate --models news=PATH,tweet=PATH,social=PATH
    python -m scripts.build.evaluate --models training/sample/general/{head}/model-best

With one MODEL, a folder or an installed package, what it has is scored: entities with the domain
`given`, entities with the domain `detected` in groups of eight texts, and the `detector` by size
of the groups, on raw words and without those that give a channel away.

With --models each model has a single adapter or a core fine-tuned as a whole, and no detector. It
is never told a domain, and is scored only on its own: the domain that it is named after, or all
domains of the head. The results are merged into one report, `single`: what the adapters are
compared with.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from rich.progress import track
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from multibert_spacy.errors import ConfigError
from multibert_spacy.pipeline.domain_detector import join_docs
from multibert_spacy.training.corpus import read_docs
from multibert_spacy.training.scorers import score_domains

from ..domains import DOMAINS, HEADS
from ..options import Corpus, Limit, Metrics, Model, Seed
from ..record import build_header, describe_model, readable_errors, save
from .scoring.detection import (
    SIZES,
    detect_with,
    draw_docs,
    given_docs,
    make_groups,
    predicted_docs,
    score_detector,
)
from .scoring.entities import N_RESAMPLES, count_docs, score_entities
from .scoring.report import detector_table, entity_table

app = typer.Typer(add_completion=False)
console = Console()

GROUP_SIZE = max(SIZES)


def evaluate(
    nlp: Language,
    docs: Sequence[Doc],
    *,
    seed: int = 0,
    limit_groups: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Any]:
    """Score a pipeline that knows several domains.

    nlp (Language): With `multibert_ner`, `domain_detector` or both.
    limit_groups (int): Groups of eight per domain at the most, for all scores; 0 is all.
    RETURNS (dict): "given", if there is a tagger, and "detector", if there is a detector; with
        both also "detected". "doc_counts" has the counts of each doc (see `count_docs`) of
        "given" and "detected".
    """
    tagger, detector = ("multibert_ner" in nlp.pipe_names, "domain_detector" in nlp.pipe_names)
    if not tagger and not detector:
        raise ConfigError(
            f"The pipeline has neither multibert_ner nor domain_detector, but {nlp.pipe_names}"
        )
    groups = make_groups(docs, GROUP_SIZE, seed=seed, limit_docs=limit_groups * GROUP_SIZE)
    references = [doc for group in groups for doc in group]
    report: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    draws: dict[str, Any] = {"seed": seed, "n_resamples": n_resamples, "groups": HEADS}
    if tagger:
        examples = run(nlp, given_docs(references, nlp), references, "domains given")
        report["given"] = score_entities(examples, **draws)
        counts["given"] = count_docs(examples, docs)
    if tagger and detector:
        examples = run(nlp, predicted_docs(groups, nlp), references, "domains detected")
        report["detected"] = score_entities(examples, **draws)
        report["detected"].update(score_domains(examples))
        counts["detected"] = count_docs(examples, docs)
    if detector:
        report["detector"] = score_detector(
            detect_with(nlp), docs, seed=seed, limit_groups=limit_groups, console=console
        )
    if counts:
        report["doc_counts"] = counts
    return report


def evaluate_single(
    models: Mapping[str, str],
    path: Path,
    *,
    seed: int = 0,
    limit_groups: int = 0,
    n_resamples: int = N_RESAMPLES,
    change: Callable[[Doc], Doc] | None = None,
) -> dict[str, Any]:
    """Score models that know one domain each, or treat all of a head's as one.

    models (Mapping): Name of a head or a domain -> folder or package.
    change (Callable): Gives the gold doc to score on in place of one of the corpus.
    RETURNS (dict): "models", what they are and on what they were scored, "single", the scores of
        all together, and "doc_counts" of these.
    """
    done: list[str] = []
    described: dict[str, Any] = {}
    examples: list[Example] = []
    scored: list[Doc] = []
    for name, source in models.items():
        nlp = spacy.load(source)
        _check_single(nlp, name)
        docs = read_docs(path, nlp.vocab)
        wanted = HEADS.get(name, [name])
        domains = sorted({doc._.domain for doc in docs if doc._.domain in wanted})
        if not domains:
            raise ConfigError(f"{path} has no doc of {name}: expected one of {', '.join(wanted)}")
        if twice := sorted(set(domains) & set(done)):
            raise ConfigError(f"More than one model is for {', '.join(twice)}")
        done.extend(domains)
        docs = [doc for doc in docs if doc._.domain in domains]
        docs = [change(doc) for doc in docs] if change else docs
        references = draw_docs(docs, seed=seed, limit_groups=limit_groups)
        predicted = [join_docs([doc], nlp.vocab) for doc in references]
        examples.extend(run(nlp, predicted, references, f"model of {name}"))
        scored.extend(docs)
        described[name] = {**describe_model(nlp, source), "domains": domains}
    # by domain, as those of `evaluate` are, so that both draw the same docs in resampling
    examples.sort(key=lambda eg: str(eg.reference._.domain))
    scores = score_entities(examples, seed=seed, n_resamples=n_resamples, groups=HEADS)
    counts = {"single": count_docs(examples, scored)}
    return {"models": described, "single": scores, "doc_counts": counts}


def _check_single(nlp: Language, name: str) -> None:
    tagger: Any = nlp.get_pipe("multibert_ner") if nlp.has_pipe("multibert_ner") else None
    if tagger is None or not tagger.cfg["default_domain"] or nlp.has_pipe("domain_detector"):
        raise ConfigError(
            f"The model of {name} should have multibert_ner, with a default_domain, and no "
            f"domain_detector; it has: {', '.join(nlp.pipe_names)}"
        )


def run(
    nlp: Language, predicted: Sequence[Doc], references: Sequence[Doc], title: str
) -> list[Example]:
    docs = track(nlp.pipe(predicted), title, total=len(references), console=console)
    return [Example(doc, gold) for doc, gold in zip(docs, references, strict=True)]


def parse_models(value: str) -> dict[str, str]:
    """value (str): HEAD=PATH,DOMAIN=PATH,..., or one path with {head} or {domain} in it, for all.
    RETURNS (dict): Name -> folder or package.
    RAISES (BadParameter): If an item is no such pair or a name is given twice.
    """
    for what, names in (("{head}", HEADS), ("{domain}", DOMAINS)):
        if what in value:
            return {name: value.replace(what, name) for name in names}
    models: dict[str, str] = {}
    for item in value.split(","):
        name, equals, source = (part.strip() for part in item.partition("="))
        if not (name and equals and source):
            raise typer.BadParameter(f"{item!r} should be HEAD=PATH or DOMAIN=PATH")
        if name in models:
            raise typer.BadParameter(f"{name} is given twice")
        models[name] = source
    return models


@app.command(help=__doc__)
def main(
    model: Model = "",
    corpus: Corpus = Path("corpus/sample"),
    metrics: Metrics = None,
    models: Annotated[str, typer.Option(help="NAME=PATH,..., or PATH with {head}, {domain}")] = "",
    limit_groups: Limit = 0,
    seed: Seed = 0,
) -> None:
    if bool(model) == bool(models):
        raise typer.BadParameter("Give either MODEL or --models")
    sources = parse_models(models) if models else {}
    given: dict[str, Any] = {"seed": seed, "limit_groups": limit_groups}
    with readable_errors():
        nlp = spacy.load(model) if model else spacy.blank("fa")
        docs = read_docs(corpus / "test", nlp.vocab)
        report = build_header("scripts.build.evaluate", docs, corpus=corpus, **given)
        if model:
            report["model"] = describe_model(nlp, model)
            report |= evaluate(nlp, docs, **given)
        else:
            report |= evaluate_single(sources, corpus / "test", **given)
    save(report, metrics or Path("metrics", corpus.name, "evaluate.json"))
    if modes := {mode: report[mode] for mode in report.get("doc_counts", ())}:
        console.print(entity_table(modes))
    if "detector" in report:
        console.print(detector_table(report["detector"]))


if __name__ == "__main__":
    app()
