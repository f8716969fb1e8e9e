"""Do our variants find the same entities? In fp32, so that a difference is no rounding of bf16."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from spacy.language import Language

from .build import folder_of, load
from .systems import MANY, Setup

__all__ = ["Found", "Mismatch", "check_alone", "check_pipelines", "compare", "entities"]

Found = list[tuple[str | None, list[tuple[int, int, str]]]]
"""For each text: its domain, and first character, end and label of each entity."""


class Mismatch(ValueError):
    """Two variants of one pipeline found different entities."""


def entities(
    nlp: Language,
    texts: Sequence[str],
    domains: Sequence[str] | None,
    *,
    batch_size: int | None = None,
) -> Found:
    """Tag texts.

    domains (Sequence[str]): None where they are to be detected.
    batch_size (int): Of `nlp.pipe`; None is the pipeline's.
    """
    contexts = [{"domain": name} for name in domains] if domains else [{} for _ in texts]
    pairs = zip(texts, contexts, strict=True)
    docs = nlp.pipe(pairs, as_tuples=True, batch_size=batch_size)
    return [
        (doc._.domain, [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents])
        for doc, _ in docs
    ]


def compare(name: str, expected: Found, found: Found) -> None:
    """name (str): Of the variant.
    RAISES (Mismatch): With the first text that is different.
    """
    for i, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one != other:
            raise Mismatch(f"{name}: text {i} has {other}, expected {one}")


def check_alone(
    nlp: Language, folder: Path, expected: Found, texts: Sequence[str], domains: Sequence[str]
) -> None:
    """Tag each domain's texts with a pipeline that has only this domain.

    nlp (Language): A pipeline; its domains are replaced.
    folder (Path): Of the saved pipeline with all domains.
    expected (Found): What that one found.
    RAISES (Mismatch): If something else is found.
    """
    tagger: Any = nlp.get_pipe("multibert_ner")
    for name in sorted(set(domains)):
        for other in tagger.domains:
            tagger.model.module.remove_domain(other)
        tagger.model.read_domain(folder / "multibert_ner" / "domains" / name, name)
        own = [i for i, domain in enumerate(domains) if domain == name]
        found = entities(nlp, [texts[i] for i in own], [name] * len(own))
        compare(f"{name} alone", [expected[i] for i in own], found)


def check_pipelines(setup: Setup, *, limit: int) -> dict[str, Any]:
    """Compare batch sizes 1 and 64, neighbours in another order, and twelve domains in one bank
    with each of them alone.

    setup (Setup): With saved pipelines; those with MANY domains are checked.
    limit (int): Texts to tag.
    RETURNS (dict): What was compared, and how many entities were found.
    RAISES (Mismatch): If two variants differ.
    """
    texts = setup.strings[:limit]
    given = setup.domains(MANY)[:limit]
    report: dict[str, Any] = {"texts": len(texts), "precision": "fp32", "pipelines": {}}
    for adapter, n_domains, detector in setup.saved():
        if n_domains != MANY:
            continue
        folder = folder_of(setup.folders, adapter, n_domains, detector)
        nlp = load(folder, precision="fp32")
        domains = None if detector else given
        name = f"{adapter} {n_domains}" + (f", detected by {detector}" if detector else "")
        expected = entities(nlp, texts, domains, batch_size=64)
        compare(f"{name}, batch size 1", expected, entities(nlp, texts, domains, batch_size=1))
        compared = ["batch size 1 and 64"]
        if domains is not None:
            order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
            found = entities(nlp, [texts[i] for i in order], [domains[i] for i in order])
            compare(f"{name}, shuffled", [expected[i] for i in order], found)
            check_alone(nlp, folder, expected, texts, domains)
            compared += ["shuffled", "each domain alone"]
        n_entities = sum(len(found) for _, found in expected)
        report["pipelines"][name] = {"compared": compared, "entities": n_entities}
    return report
