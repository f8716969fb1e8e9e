"""The `evaluate` command scores a pipeline on annotated docs.

Their domains are given, detected, or both in turn.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from .group import Model, load_pipeline, multibert, printer, readable_errors

__all__ = ["evaluate_command", "score"]

MODES = ("given", "detected")


@multibert.command("evaluate")
def evaluate_command(
    model: Model,
    data: Annotated[str, typer.Argument(help="A .spacy file or a folder of them")],
    domains: Annotated[
        str, typer.Option(help="given, detected or both, where docs have one")
    ] = "both",
    output: Annotated[Path | None, typer.Option(help="Write the scores as JSON")] = None,
) -> None:
    """Score entities by domain and type, and the domains that are detected."""
    from ..text.keys import is_missing
    from ..training.corpus import read_docs

    with readable_errors():
        modes = MODES if domains == "both" else (domains,)
        if not set(modes) <= set(MODES):
            raise ConfigError(f"Unknown --domains {domains!r}: take given, detected or both")
        nlp = load_pipeline(model)
        docs = read_docs(data, nlp.vocab)
        n_without = sum(is_missing(doc._.domain) for doc in docs)
        if domains == "both" and n_without:
            modes = ("detected",)
            told = f"{n_without} of {len(docs)} docs have no domain: only detected is scored"
            printer().info(told)
        scores = {mode: score(nlp, docs, mode) for mode in modes}
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(scores, ensure_ascii=False, indent=1) + "\n", "utf8")
    for mode, own in scores.items():
        _show(f"Domains {mode}", own)


def score(nlp: Any, docs: Sequence[Any], mode: str) -> dict[str, Any]:
    """Score by the scorers of the pipeline's components.

    nlp (Language): The pipeline.
    docs (Sequence[Doc]): Annotated docs. Their tokens are taken as they are.
    mode (str): "given": each doc is tagged as of its own domain. "detected": the pipeline finds
        the domains; docs without a thread are put into groups of one domain each, as large as
        the detector's.
    RETURNS (dict): What `nlp.evaluate` returns; without the detector's scores where the domains
        were given, else with `domain_counts`, how many docs each domain was detected for.
    RAISES (ConfigError): If a domain is to be given and a doc has none.
    """
    from spacy.scorer import Scorer
    from spacy.training import Example

    from ..pipeline.domain_detector import join_docs

    class CountingScorer(Scorer):
        """The docs that were tagged are seen by a scorer alone."""

        def score(self, examples: Any, *, per_component: bool = False) -> dict[str, Any]:
            own = (eg.predicted._.domain for eg in examples)
            counts = Counter(domain for domain in own if domain is not None)
            scores: dict[str, Any] = super().score(examples, per_component=per_component)
            return {**scores, "domain_counts": dict(counts.most_common())}

    size = max((getattr(proc, "group_size", 1) for _, proc in nlp.pipeline), default=1)
    n_before: Counter[Any] = Counter()
    examples = []
    for number, doc in enumerate(docs, 1):
        predicted = join_docs([doc], nlp.vocab)
        if mode == "given":
            if doc._.domain is None:
                raise ConfigError(f"Doc {number} has no domain to give: take --domains detected")
            predicted._.domain = doc._.domain
        predicted._.thread = doc._.thread
        if doc._.thread is None:
            predicted._.thread = (doc._.domain, n_before[doc._.domain] // size)
            n_before[doc._.domain] += 1
        examples.append(Example(predicted, doc))
    if mode == "detected":  # groups are neighbours
        first: dict[Any, int] = {}
        for eg in examples:
            first.setdefault(eg.predicted._.thread, len(first))
        examples.sort(key=lambda eg: first[eg.predicted._.thread])
    scores: dict[str, Any] = nlp.evaluate(examples, scorer=CountingScorer(nlp=nlp))
    if mode == "given":
        scores = {k: v for k, v in scores.items() if not k.startswith(("domain_", "cats_"))}
    return scores


def _show(title: str, scores: dict[str, Any]) -> None:
    """Print the scores as tables."""
    msg = printer()
    msg.text(title)
    for name in ("ents_p", "ents_r", "ents_f", "ents_macro_f", "domain_acc"):
        if scores.get(name) is not None:
            msg.text(f"{name:<14}{_percent(scores[name])}")
    counts = scores.get("domain_counts")
    if counts and scores.get("domain_acc") is None:
        msg.table(counts, header=("detected", "docs"), aligns=("l", "r"))
    for name, first in (("ents_per_type", "label"), ("ents_per_domain", "domain")):
        rows = [
            (key, *(_percent(own[part]) for part in ("p", "r", "f")))
            for key, own in (scores.get(name) or {}).items()
        ]
        if rows:
            msg.table(rows, header=(first, "P", "R", "F"), aligns=("l", "r", "r", "r"))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
