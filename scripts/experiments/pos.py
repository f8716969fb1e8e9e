"""Parts of speech of ParsNER's channels beside what one would take instead, on the test part.

    python -m scripts.experiments.pos training/parsner_social/pos/model-best

The column was written by a tagger and not by people: the figures are silver, and say how well a
system repeats that tagger, not how often it is right. `frequent` gives each word the tag that it
has most often in the train part, and the most frequent tag of all to words that are new. `crf` is
a linear chain over words, affixes and neighbours, with crfsuite's own settings. An interval is of
docs drawn with replacement.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import pycrfsuite
import spacy
import typer
from spacy.tokens import Doc

from multibert_spacy.training.corpus import read_docs

from ..build.scoring.detection import given_docs
from ..build.scoring.entities import interval_of
from ..domains import domains_of
from ..options import Corpus, Model, Seed
from ..record import build_header, readable_errors, save

app = typer.Typer(add_completion=False)

Tags = list[list[str]]
DRAWS = 1000


def frequent_tags(train: Sequence[Doc], docs: Sequence[Doc]) -> Tags:
    """RETURNS (list): For each doc the most frequent tag of each word."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for doc in train:
        for word in doc:
            counts[word.text][word.tag_] += 1
    (common, _), *_ = sum(counts.values(), Counter()).most_common(1)
    best = {word: own.most_common(1)[0][0] for word, own in counts.items()}
    return [[best.get(word.text, common) for word in doc] for doc in docs]


def features(doc: Doc) -> Iterator[list[str]]:
    """YIELDS (list[str]): What the CRF sees of each word."""
    words = ["<", *(word.text for word in doc), ">"]
    for i in range(1, len(words) - 1):
        own = words[i]
        affixes = (a for n in (1, 2, 3) for a in (f"first{n}={own[:n]}", f"last{n}={own[-n:]}"))
        digit = f"digit={any(map(str.isdigit, own))}"
        yield [own, *affixes, digit, f"before={words[i - 1]}", f"behind={words[i + 1]}"]


def crf_tags(train: Sequence[Doc], gold: Tags, docs: Sequence[Doc]) -> Tags:
    """RETURNS (list): For each doc the tags of a CRF that was fitted on the train part.
    gold (list): For each doc of the train part its tags.
    """
    trainer = pycrfsuite.Trainer(verbose=False, params={"max_iterations": 100})
    for doc, tags in zip(train, gold, strict=True):
        trainer.append(list(features(doc)), tags)
    with TemporaryDirectory() as folder:
        trainer.train(str(Path(folder, "crf")))
        tagger = pycrfsuite.Tagger()
        tagger.open(str(Path(folder, "crf")))
        return [tagger.tag(list(features(doc))) for doc in docs]


def score(docs: Sequence[Doc], tags: Tags, *, seed: int) -> dict[str, object]:
    """Score one system.

    RETURNS (dict): Accuracy over all words, its 95 % interval, and accuracy by domain.
    """
    gold = [[word.tag_ for word in doc] for doc in docs]
    right = np.array([np.equal(a, b).sum() for a, b in zip(gold, tags, strict=True)])
    all_ = np.array([len(doc) for doc in docs])
    drawn = np.random.default_rng(seed).integers(len(docs), size=(DRAWS, len(docs)))
    shares = right[drawn].sum(1) / all_[drawn].sum(1)
    names = np.array([doc._.domain for doc in docs])
    of = {str(n): right[names == n].sum() / all_[names == n].sum() for n in np.unique(names)}
    return {
        "accuracy": float(right.sum() / all_.sum()),
        "interval": interval_of(shares),
        "per_domain": {name: float(own) for name, own in of.items()},
    }


@app.command(help=__doc__)
def main(
    model: Model,
    corpus: Corpus = Path("corpus/parsner_social"),
    metrics: Annotated[Path, typer.Option(help="JSON file")] = Path("metrics/pos.json"),
    seed: Seed = 0,
) -> None:
    with readable_errors():
        nlp, domains = spacy.load(model), domains_of("parsner_social")
        train = read_docs(corpus / "train", nlp.vocab, domains=domains)
        docs = read_docs(corpus / "test", nlp.vocab, domains=domains)
        report = build_header("scripts.experiments.pos", docs, corpus=corpus, seed=seed)
        ours = [[word.tag_ for word in doc] for doc in nlp.pipe(given_docs(docs, nlp))]
    crf = crf_tags(train, [[word.tag_ for word in doc] for doc in train], docs)
    systems = {"frequent": frequent_tags(train, docs), "crf": crf, "ours": ours}
    report["words"] = sum(map(len, docs))
    report["silver"] = "the tags were written by a tagger"
    report["systems"] = {name: score(docs, own, seed=seed) for name, own in systems.items()}
    save(report, metrics)


if __name__ == "__main__":
    app()
