"""Strict entity scores with a 95% bootstrap interval beside every F1.

The scores themselves are `multibert_spacy.training.scorers.score_ner`'s. Docs are what is drawn
again with replacement, not entities: those of one doc are right and wrong together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example

from multibert_spacy.training.scorers import score_ner

N_RESAMPLES = 1000
CHUNK = 250
"""Resamples at a time: each takes as many numbers as there are docs."""

Counts = NDArray[np.int64]
"""(docs or resamples, labels, 3): true positives, false positives, false negatives."""


def count_spans(examples: Sequence[Example], labels: Sequence[str]) -> Counts:
    """RETURNS (docs, labels, 3): What is right, wrong and missed in each doc."""
    column = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(examples), len(labels), 3), dtype=np.int64)
    for row, eg in zip(counts, examples, strict=True):
        gold, found = (
            {(ent.start, ent.end, ent.label_) for ent in doc.ents}
            for doc in (eg.reference, eg.predicted)
        )
        for kind, spans in enumerate((gold & found, found - gold, gold - found)):
            for _, _, label in spans:
                row[column[label], kind] += 1
    return counts


def count_docs(examples: Sequence[Example], docs: Sequence[Doc]) -> dict[str, list[list[int]]]:
    """Count as `count_spans` does, over all labels, in an order that no system has a say in: so
    the counts of two systems pair up (see `scripts.experiments.compare`).

    RETURNS (dict): Domain -> true positives, false positives, false negatives of each doc.
    """
    place = {id(doc): i for i, doc in enumerate(docs)}
    ordered = sorted(examples, key=lambda eg: place[id(eg.reference)])
    both = [doc for eg in examples for doc in (eg.reference, eg.predicted)]
    labels = sorted({ent.label_ for doc in both for ent in doc.ents})
    by_domain: dict[str, list[list[int]]] = {}
    for eg, counts in zip(ordered, count_spans(ordered, labels).sum(axis=1), strict=True):
        by_domain.setdefault(str(eg.reference._.domain), []).append(counts.tolist())
    return dict(sorted(by_domain.items()))


def score_entities(
    examples: Sequence[Example],
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Score spans: start, end and label must all be right.

    examples (Sequence[Example]): The truth has its domain in `reference._.domain`.
    groups (Mapping): Name -> domains that have a macro of their own, as those of a head. Only the
        domains that occur count; a group of which none does is left out.
    RETURNS (dict): "micro", "per_type", "per_domain" (the same for each domain, with its own
        "per_type") and "macro", the mean of the domains' F1, resampled within each domain. Each
        holds "f" and "f_interval", all but the macro "p" and "r" too; None where nothing is
        annotated and nothing found. Micro and domains say how many docs and entities they are of.
        With groups also "macro_by_head", name -> the same as in "macro".
    """
    rng = np.random.default_rng(seed)
    docs = [doc for eg in examples for doc in (eg.reference, eg.predicted)]
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    counts = count_spans(examples, labels)
    scores = score_ner(examples)
    report = _report(
        {key.removeprefix("ents_"): value for key, value in scores.items()},
        labels,
        counts,
        resample(counts, rng, n_resamples),
    )
    domains = np.array([str(eg.reference._.domain) for eg in examples])
    per_domain: dict[str, Any] = {}
    resampled: dict[str, NDArray[np.float64]] = {}
    for domain, own in (scores["ents_per_domain"] or {}).items():
        own_counts = counts[domains == domain]
        sums = resample(own_counts, rng, n_resamples)
        entry = _report(own, labels, own_counts, sums)
        per_domain[domain] = {**entry["micro"], "per_type": entry["per_type"]}
        resampled[domain] = f1_of(sums.sum(axis=1))
    report["per_domain"] = per_domain
    report["macro"] = _macro(per_domain, resampled)
    if groups is not None:
        report["macro_by_head"] = {
            name: _macro({domain: per_domain[domain] for domain in found}, resampled)
            for name, wanted in groups.items()
            if (found := [domain for domain in wanted if domain in per_domain])
        }
    return report


def _macro(
    per_domain: Mapping[str, Any], resampled: Mapping[str, NDArray[np.float64]]
) -> dict[str, Any]:
    known = [own["f"] for own in per_domain.values() if own["f"] is not None]
    rows = [resampled[domain] for domain in per_domain]
    means = mean_of_known(np.array(rows)) if rows else np.array([])
    return {"f": sum(known) / len(known) if known else None, "f_interval": interval_of(means)}


def _report(
    scores: dict[str, Any], labels: Sequence[str], counts: Counts, sums: Counts
) -> dict[str, Any]:
    per_type = scores["per_type"] or {}
    return {
        "micro": {
            "n_docs": len(counts),
            "n_entities": int(counts[..., [0, 2]].sum()),
            **{key: scores[key] for key in "prf"},
            "f_interval": interval_of(f1_of(sums.sum(axis=1))),
        },
        "per_type": {
            label: {**per_type[label], "f_interval": interval_of(f1_of(sums[:, i]))}
            for i, label in enumerate(labels)
            if label in per_type
        },
    }


def resample(counts: Counts, rng: np.random.Generator, n: int) -> Counts:
    """RETURNS (n, ..., 3): Sums over as many docs as there are, drawn with replacement.
    counts (docs, ..., 3): Of one system, by label, or of two: the same docs are drawn for both.
    """
    n_docs = len(counts)
    if not n_docs:
        return np.zeros((n, *counts.shape[1:]), dtype=np.int64)
    shares, parts = np.full(n_docs, 1 / n_docs), [CHUNK] * (n // CHUNK) + [n % CHUNK]
    draws = (rng.multinomial(n_docs, shares, size=size) for size in parts)
    return np.concatenate([np.tensordot(own, counts, axes=1) for own in draws])


def f1_of(sums: Counts) -> NDArray[np.float64]:
    """RETURNS (n): F1 of counts (n, 3), or (k, n) of (n, k, 3); NaN where nothing is annotated and
    nothing found.
    """
    tp, fp, fn = sums.T
    total = 2 * tp + fp + fn
    return np.where(total > 0, 2 * tp / np.maximum(total, 1), np.nan)


def mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """RETURNS (n): Means of (domains, n) over the domains that have a value."""
    means: NDArray[np.float64] = np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)
    return means


def interval_of(values: NDArray[np.float64]) -> list[float] | None:
    """RETURNS (list): The middle 95% of the resamples that have a value."""
    values = values[~np.isnan(values)]
    return [float(v) for v in np.percentile(values, [2.5, 97.5])] if len(values) else None
