"""What the domain detector is compared with, on the same groups as in `scripts.build.evaluate`.

    python -m scripts.experiments.baseline --corpus corpus/sample

`tfidf`: character n-grams within words and logistic regression, trained on texts on their own and
on groups of 2, 4 and 8. It is given the words as the network sees them: in normal form, a space
between each two. Its strength of regularisation is chosen on the dev part.

A bag of words is the other one: configs/detector_bow.cfg, by `spacy train` and
`scripts.build.evaluate`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
import typer
from rich.console import Console
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from spacy.tokens import Doc

from multibert_spacy.text.normalize import normalize_word
from multibert_spacy.training.corpus import read_docs

from ..build.scoring.detection import SIZES, Detect, make_groups, score_detector
from ..build.scoring.report import detector_table
from ..options import Corpus, Limit, Metrics, Seed
from ..record import build_header, readable_errors, save

app = typer.Typer(add_completion=False)
console = Console()

STRENGTHS = (1.0, 10.0, 100.0)
"""C of the logistic regression: the inverse of the regularisation."""


def group_text(group: Sequence[Doc]) -> str:
    """RETURNS (str): The normal forms of a group's words, a space between each two."""
    return " ".join(normalize_word(word.text) for doc in group for word in doc)


def fit_tfidf(
    train: Sequence[Doc],
    dev: Sequence[Doc],
    *,
    seed: int = 0,
    strengths: Sequence[float] = STRENGTHS,
) -> tuple[Detect, dict[str, Any]]:
    """Fit the classifier for each strength; the one that is right most often on dev is taken.

    train, dev (Sequence[Doc]): Docs with their domains; each is in one group of each size.
    seed (int): Of the groups.
    strengths (Sequence[float]): Values of C. Of equals the first is taken.
    RETURNS (tuple): The classifier, and a dict of its settings.
    """
    texts, domains = _texts(train, seed)
    dev_texts, dev_domains = _texts(dev, seed)
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2, lowercase=False
    )
    x, dev_x = vectorizer.fit_transform(texts), vectorizer.transform(dev_texts)
    fitted, on_dev = {}, {}
    for strength in strengths:
        fitted[strength] = LogisticRegression(C=strength, max_iter=2000).fit(x, domains)
        on_dev[strength] = float(fitted[strength].score(dev_x, dev_domains))
        console.print(f"C = {strength:g}: {100 * on_dev[strength]:.1f}% of dev")
    best = max(strengths, key=on_dev.__getitem__)

    def detect(groups: Sequence[list[Doc]]) -> list[str | None]:
        return list(fitted[best].predict(vectorizer.transform(map(group_text, groups))))

    settings = {
        "analyzer": "char_wb",
        "ngram_range": [1, 4],
        "sublinear_tf": True,
        "min_df": 2,
        "features": len(vectorizer.vocabulary_),
        "C": best,
        "dev_accuracy": {f"{strength:g}": score for strength, score in on_dev.items()},
    }
    return detect, settings


def _texts(docs: Sequence[Doc], seed: int) -> tuple[list[str], list[str]]:
    groups = [group for size in SIZES for group in make_groups(docs, size, seed=seed)]
    return [group_text(group) for group in groups], [group[0]._.domain for group in groups]


@app.command(help=__doc__)
def main(
    corpus: Corpus = Path("corpus/sample"),
    metrics: Metrics = None,
    limit_groups: Limit = 0,
    seed: Seed = 0,
) -> None:
    with readable_errors():
        vocab = spacy.blank("fa").vocab
        train, dev, docs = (read_docs(corpus / part, vocab) for part in ("train", "dev", "test"))
        given: dict[str, Any] = {"seed": seed, "limit_groups": limit_groups}
        name = "scripts.experiments.baseline"
        report = build_header(name, docs, corpus=corpus, split="test", **given)
        detect, settings = fit_tfidf(train, dev, seed=seed)
        scores = score_detector(detect, docs, console=console, **given)
        report["tfidf"] = {"settings": settings, **scores}
    save(report, metrics or Path("metrics", corpus.name, "baseline.json"))
    console.print(detector_table({"tfidf": report["tfidf"]}))


if __name__ == "__main__":
    app()
