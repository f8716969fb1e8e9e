"""Scores by label and by domain."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from spacy.scorer import PRFScore, Scorer, get_ner_prf
from spacy.training import Example
from spacy.util import registry

from ..pipeline.attributes import value_of

__all__ = [
    "build_attribute_scorer_v1",
    "build_domain_ner_scorer_v1",
    "build_domain_scorer_v1",
    "score_attribute",
    "score_domains",
    "score_ner",
]


@registry.scorers("multibert_spacy.attribute_scorer.v1")
def build_attribute_scorer_v1() -> Callable[..., dict[str, Any]]:
    """Return `score_attribute`."""
    return score_attribute


@registry.scorers("multibert_spacy.domain_ner_scorer.v1")
def build_domain_ner_scorer_v1() -> Callable[..., dict[str, Any]]:
    """Return `score_ner`."""
    return score_ner


@registry.scorers("multibert_spacy.domain_scorer.v1")
def build_domain_scorer_v1() -> Callable[..., dict[str, Any]]:
    """Return `score_domains`."""
    return score_domains


def score_attribute(
    examples: Iterable[Example], *, attribute: str = "tag", **kwargs: Any
) -> dict[str, Any]:
    """Accuracy of one attribute of words, as spaCy's `Scorer.score_token_attr` counts it.

    examples (Iterable[Example]): Words whose gold attribute is empty do not count.
    attribute (str): "tag", "pos", or "_.name"; see `multibert_tagger`.
    RETURNS (dict): tag_acc, pos_acc or name_acc; None where nothing is annotated.
    """
    name = attribute.removeprefix("_.")
    scores: dict[str, Any] = Scorer.score_token_attr(
        examples, name, getter=lambda word, _: value_of(word, attribute), missing_values={""}
    )
    return scores


def score_ner(
    examples: Iterable[Example], *, default_domain: str | None = None, **kwargs: Any
) -> dict[str, Any]:
    """Strict span scores: start, end and label must all be right.

    examples (Iterable[Example]): Domains come from the references' `doc._.domain`.
    default_domain (str): What was used for predicted docs without a domain.
    RETURNS (dict): ents_p, ents_r, ents_f (micro) and ents_per_type as spaCy's NER has them;
        ents_per_domain, the same four for each domain of the references, with `used`, how many of
        its docs were tagged as which domain; and ents_macro_f, the mean of the domains' F. None
        where nothing is annotated.
    """
    by_domain: dict[str, list[Example]] = defaultdict(list)
    examples = list(examples)
    for eg in examples:
        if eg.reference._.domain is not None:
            by_domain[eg.reference._.domain].append(eg)
    scores: dict[str, Any] = get_ner_prf(examples)
    per_domain = {name: get_ner_prf(own) for name, own in sorted(by_domain.items())}
    scores["ents_per_domain"] = {
        name: {
            **{key.removeprefix("ents_"): value for key, value in own.items()},
            "used": _count_used(by_domain[name], default_domain),
        }
        for name, own in per_domain.items()
    } or None
    known = [own["ents_f"] for own in per_domain.values() if own["ents_f"] is not None]
    scores["ents_macro_f"] = sum(known) / len(known) if known else None
    return scores


def _count_used(examples: Iterable[Example], default_domain: str | None) -> dict[str, int]:
    """Return how many predicted docs have which domain, the most frequent first."""
    used = (eg.predicted._.domain for eg in examples)
    return dict(Counter(str(name or default_domain) for name in used).most_common())


def score_domains(
    examples: Iterable[Example], *, labels: Iterable[str] | None = None, **kwargs: Any
) -> dict[str, Any]:
    """Scores of the detector, one vote per doc.

    examples (Iterable[Example]): The truth is in the references' `doc.cats`, or else in their
        `doc._.domain`; the prediction in the predicted docs' `doc._.domain`.
    labels (Iterable[str]): The detector's. Other keys of `doc.cats` belong to others; None is all.
    RETURNS (dict): domain_acc, the share that is right, and domain_per_type, p, r and f for each
        domain. None where there is no truth. Unless another component classifies the texts,
        cats_score, cats_score_desc and cats_f_per_type repeat them: the names under which
        `spacy evaluate` prints a classifier's.
    """
    own = None if labels is None else set(labels)
    per_domain: dict[str, PRFScore] = defaultdict(PRFScore)
    right = total = 0
    alone = True
    for eg in examples:
        cats = {k: v for k, v in eg.reference.cats.items() if own is None or k in own}
        alone &= own is not None and own.issuperset([*eg.reference.cats, *eg.predicted.cats])
        gold = max(cats, key=lambda name: cats[name]) if any(cats.values()) else None
        gold = eg.reference._.domain if gold is None else gold
        if gold is None:
            continue
        predicted = eg.predicted._.domain
        total += 1
        right += predicted == gold
        if predicted == gold:
            per_domain[gold].tp += 1
        else:
            per_domain[gold].fn += 1
            per_domain[str(predicted)].fp += 1
    accuracy = right / total if total else None
    per_type = {name: prf.to_dict() for name, prf in sorted(per_domain.items())} or None
    scores: dict[str, Any] = {"domain_acc": accuracy, "domain_per_type": per_type}
    if alone and total:
        scores["cats_score"] = accuracy
        scores["cats_score_desc"] = "domain_acc"
        scores["cats_f_per_type"] = per_type
    return scores
