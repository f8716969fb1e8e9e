"""What few examples of a new domain are worth: domains that the shared adapter has not seen.

    python -m scripts.experiments.grow training/grow/pretrain/social/model-best

The pipeline has one domain of the head `social`, trained without those asked about. Each of these
is added to it from the first sentences of its train part, shuffled, as a user would, without a dev
part, and scored on its dev part; the test part stays unseen. Beside it stand the same from a
random adapter and head (`scratch`), with labels of its own (`own`), with the sentences that
`suggest` names, and a CRF. Cells of the first draw are made first, those in the file never again.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

from multibert_spacy import add_domain, rename_domain, suggest
from multibert_spacy.domains.components import tagger_of
from multibert_spacy.domains.data import read_examples
from multibert_spacy.domains.training import score_entities
from multibert_spacy.training.corpus import read_docs

from ..corpora.bio import doc_tags, repair_bio
from ..options import Corpus, Metrics, Model
from ..record import command_line, commit, readable_errors, save, table
from .pos import crf_tags

app = typer.Typer(add_completion=False)
console = Console()

Scores = dict[str, Any]
Way = Callable[..., Scores]
Key = tuple[int, int, str, str]
"""Draw, number of sentences (-1 is all), domain, way."""
OWN = {"PER": "PERSON", "ORG": "BODY", "LOC": "PLACE", "MISC": "VALUE"}
"""Labels that no head has."""
DRAWS = 3


def add(model: str, domain: str, train: Sequence[Doc], dev: Sequence[Doc], **given: Any) -> Scores:
    """Add the domain as a user would; without texts, tag with what it would start as."""
    nlp = spacy.load(model)
    if train:
        add_domain(nlp, domain, train, **given)
    else:
        rename_domain(nlp, tagger_of(nlp).domains[0], domain)
    return score_entities(tagger_of(nlp), read_examples(dev, nlp.vocab, domain, "dev"))


def scratch(
    model: str, domain: str, train: Sequence[Doc], dev: Sequence[Doc], **given: Any
) -> Scores:
    """Learn it from a random adapter and head."""
    nlp = spacy.load(model)
    tagger = tagger_of(nlp)
    labels = tagger.labels
    tagger.model.remove_domain(tagger.domains[0])
    add_domain(nlp, domain, train, labels=labels, **given)
    return score_entities(tagger, read_examples(dev, nlp.vocab, domain, "dev"))


def own(model: str, domain: str, train: Sequence[Doc], dev: Sequence[Doc], **given: Any) -> Scores:
    """Add it with labels that are new, which makes a head."""
    renamed = ([_renamed(doc) for doc in part] for part in (train, dev))
    return add(model, domain, *renamed, labels=[*OWN.values()], **given)


def _renamed(doc: Doc) -> Doc:
    doc = doc.copy()
    doc.ents = [Span(doc, ent.start, ent.end, label=OWN[ent.label_]) for ent in doc.ents]
    return doc


def crf(model: str, domain: str, train: Sequence[Doc], dev: Sequence[Doc], **given: Any) -> Scores:
    """Fit a CRF, with crfsuite's own settings."""
    found = crf_tags(train, [doc_tags(doc) for doc in train], dev)
    examples = []
    for doc, tags in zip(dev, found, strict=True):
        tagged = Doc(doc.vocab, [word.text for word in doc], ents=list(repair_bio(tags)[0]))
        examples.append(Example(tagged, doc))
    return dict(get_ner_prf(examples))


WAYS: dict[str, Way] = {"added": add, "suggest": add, "own": own, "crf": crf, "scratch": scratch}


def in_order(model: str, train: Sequence[Doc], way: str, most: int, draw: int) -> list[Doc]:
    """Put texts into the order in which they are labelled. `suggest` names only some."""
    shuffled = random.Random(draw).sample(train, len(train))
    if way != "suggest":
        return shuffled
    texts = [doc.text for doc in shuffled]
    nlp = spacy.load(model)
    shared = tagger_of(nlp).domains[0]
    return [shuffled[one.place] for one in suggest(nlp, texts, most, domain=shared, seed=draw)]


def fill(cells: Scores, keys: Sequence[Key], model: str, corpus: Path) -> Iterator[str]:
    """Make the cells that are not there yet.

    cells (dict): Domain -> way -> number of sentences -> draw -> what was found.
    keys (Sequence): Which, in the order of making.
    YIELDS (str): What to tell of each.
    """
    vocab = spacy.blank("fa").vocab
    ordered: dict[Any, list[Doc]] = {}
    for draw, size, domain, way in keys:
        made = cells.setdefault(domain, {}).setdefault(way, {})
        made = made.setdefault("all" if size < 0 else str(size), {})
        if str(draw) in made:
            continue
        train, dev = (read_docs(corpus / p, vocab, domains=[domain]) for p in ("train", "dev"))
        begin = time.perf_counter()
        if (key := (domain, way, draw)) not in ordered:
            most = max(own for d, own, *rest in keys if (*rest, d) == key)
            ordered[key] = in_order(model, train, way, most, draw)
        texts = ordered[key] if size < 0 else ordered[key][:size]
        found = WAYS[way](model, domain, texts, dev, seed=draw)
        made[str(draw)] = {
            **{key: found[f"ents_{key}"] for key in "fpr"},
            "words": sum(map(len, texts)),
            "entities": sum(len(doc.ents) for doc in texts),
            "minutes": (time.perf_counter() - begin) / 60,
        }
        yield f"{domain} {way} {size}: {100 * found['ents_f']:.1f}"


@app.command(help=__doc__)
def main(
    model: Model,
    corpus: Corpus = Path("corpus/persian"),
    domains: Annotated[str, typer.Option(help="Not seen")] = "game,travel,sports,wiki,press",
    ways: Annotated[str, typer.Option(help="Of " + ", ".join(WAYS))] = "added",
    sizes: Annotated[str, typer.Option(help="Sentences; -1 is all")] = "0,16,32,64,128,512",
    metrics: Metrics = None,
) -> None:
    path = metrics or Path("metrics/grow.json")
    report: Scores = {"split": "dev", "cells": {}}
    report |= json.loads(path.read_text("utf8")) if path.is_file() else {}
    what = (range(DRAWS), map(int, sizes.split(",")), domains.split(","), ways.split(","))
    commands = {command_line("scripts.experiments.grow"), *report.get("commands", ())}
    report |= {"commands": sorted(commands), "commit": commit(), "corpus": corpus.name}
    with readable_errors():
        keys = [key for key in product(*what) if key[1] or key[3] == "added"]
        for told in fill(report["cells"], keys, model, corpus):
            console.print(told)
            save(report, path)
    shown = []
    for domain, way in product(domains.split(","), ways.split(",")):
        row = report["cells"][domain][way]
        f = {n: 100 * fmean(one["f"] for one in own.values()) for n, own in row.items()}
        shown.append({"domain": domain, "way": way, **f})
    console.print(table("F1 on dev, means", shown))


if __name__ == "__main__":
    app()
