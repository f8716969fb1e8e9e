"""How often the domain of a group of texts is found, whatever finds it.

A detector is a function from groups of docs to a domain for each. All detectors are asked about
the very same groups, so that an adapter, a bag of words and TF-IDF can be compared.
"""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import minibatch

from multibert_spacy.pipeline.domain_detector import join_docs
from multibert_spacy.training.corpus import mask_words

SIZES = (1, 2, 4, 8)

Group = list[Doc]
Detect = Callable[[Sequence[Group]], list[str | None]]


def make_groups(
    docs: Iterable[Doc], size: int, *, seed: int = 0, limit_docs: int = 0
) -> list[Group]:
    """Cut each domain, shuffled, into groups: every doc is in one of them.

    size (int): Docs per group; the last group of a domain may be smaller.
    limit_docs (int): Docs per domain at the most; 0 is all.
    """
    by_domain: dict[str, Group] = defaultdict(list)
    for doc in docs:
        by_domain[doc._.domain].append(doc)
    groups: list[Group] = []
    for domain, own in sorted(by_domain.items()):
        random.Random(f"{seed}/{domain}").shuffle(own)
        own = own[: limit_docs or None]
        groups.extend(own[i : i + size] for i in range(0, len(own), size))
    return groups


def thread_groups(docs: Iterable[Doc], *, limit: int = 0) -> list[Group]:
    """Group by the corpus's own threads; docs without one are left out.
    limit (int): Threads per domain at the most; 0 is all.
    """
    threads: dict[tuple[str, Any], Group] = defaultdict(list)
    for doc in docs:
        if doc._.thread is not None:
            threads[doc._.domain, doc._.thread].append(doc)
    seen: Counter[str] = Counter()
    groups = []
    for (domain, _), group in threads.items():
        seen[domain] += 1
        if not limit or seen[domain] <= limit:
            groups.append(group)
    return groups


def draw_docs(docs: Iterable[Doc], *, seed: int = 0, limit_groups: int = 0) -> list[Doc]:
    """RETURNS (list[Doc]): The docs of the largest groups, group by group; see `make_groups`.
    limit_groups (int): Groups per domain at the most; 0 is all.
    """
    size = max(SIZES)
    groups = make_groups(docs, size, seed=seed, limit_docs=limit_groups * size)
    return [doc for group in groups for doc in group]


def given_docs(references: Iterable[Doc], nlp: Language) -> list[Doc]:
    """RETURNS (list[Doc]): New docs with the same words and the domain given."""
    docs = []
    for reference in references:
        doc = join_docs([reference], nlp.vocab)
        doc._.domain = reference._.domain
        docs.append(doc)
    return docs


def predicted_docs(groups: Sequence[Group], nlp: Language) -> list[Doc]:
    """RETURNS (list[Doc]): New docs with the same words and no domain; a thread is a group."""
    docs = []
    for key, group in enumerate(groups):
        for reference in group:
            doc = join_docs([reference], nlp.vocab)
            doc._.thread = key
            docs.append(doc)
    return docs


def detect_with(nlp: Language) -> Detect:
    """RETURNS (Detect): Runs the pipeline up to its `domain_detector`."""
    tagger = [name for name in nlp.pipe_names if name == "multibert_ner"]

    def detect(groups: Sequence[Group]) -> list[str | None]:
        with nlp.select_pipes(disable=tagger):
            docs = nlp.pipe(predicted_docs(groups, nlp))
            found = {doc._.thread: doc._.domain for doc in docs}
        return [found[key] for key in range(len(groups))]

    return detect


def score_detector(
    detect: Detect,
    docs: Sequence[Doc],
    *,
    sizes: Sequence[int] = SIZES,
    seed: int = 0,
    limit_groups: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Ask a detector about groups of each size and about the corpus's threads.

    docs (Sequence[Doc]): Docs with their domains, each asked once per size.
    limit_groups (int): Per domain as many docs as make this many of the largest groups, and this
        many threads, at the most; 0 is all.
    RETURNS (dict): "raw" and "masked" (see `mask_words`), each with the scores of each size, of
        the "threads" if there are any, and the largest size's confusion matrix (truth ->
        answer -> groups).
    """
    largest = max(sizes)
    plans: dict[str, list[Group]] = {
        str(size): make_groups(docs, size, seed=seed, limit_docs=limit_groups * largest)
        for size in sizes
    }
    plans["threads"] = thread_groups(docs, limit=limit_groups)
    report: dict[str, Any] = {"raw": {}, "masked": {}}
    for how, scores in report.items():
        for name, groups in plans.items():
            if not groups:
                continue
            if how == "masked":
                groups = [[mask_words(doc) for doc in group] for group in groups]
            answers: list[str] = []
            start = time.perf_counter()
            for chunk in track(list(minibatch(groups, 128)), f"{how}, {name}", console=console):
                answers.extend(map(str, detect(chunk)))
            seconds = time.perf_counter() - start
            scores[name] = {
                **accuracies(groups, answers),
                "n_empty": sum(not any(len(doc) for doc in group) for group in groups),
                "ms_per_group": 1000 * seconds / len(groups),
            }
            if name == str(largest):
                scores["confusion"] = confusion(groups, answers)
    return report


def confusion(groups: Sequence[Group], answers: Sequence[str]) -> dict[str, dict[str, int]]:
    """RETURNS (dict): Domain of groups -> answer -> number of groups."""
    pairs = Counter((group[0]._.domain, a) for group, a in zip(groups, answers, strict=True))
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for (domain, answer), n in sorted(pairs.items()):
        counts[domain][answer] = n
    return dict(counts)


def accuracies(groups: Sequence[Group], answers: Sequence[str]) -> dict[str, Any]:
    """RETURNS (dict): The share of right answers, of all, by domain, and the mean of domains."""
    truth = np.array([group[0]._.domain for group in groups])
    right = truth == np.array(answers)
    per_domain = {str(name): float(right[truth == name].mean()) for name in np.unique(truth)}
    return {
        "n_groups": len(groups),
        "n_right": int(right.sum()),
        "accuracy": float(right.mean()),
        "macro_accuracy": float(np.mean(list(per_domain.values()))),
        "per_domain": per_domain,
    }
