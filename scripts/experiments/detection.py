"""What the detector knows: of texts that no corpus holds first, of its corpora second, and whether
it says so where it knows nothing.

    python -m scripts.experiments.detection training/pretrained/fa_multibert --corpus CORPUS

MODEL is a pipeline with a detector, scored among all of the detector's own domains, whatever a
tagger has. `--paper` is another one, with the paper's classifier, a row beside it. `--unseen` is
one that has not seen the newspapers. Outside are assets/outside/dev.jsonl and none.jsonl, threads
of eight texts that are cut into groups of the sizes that the corpora's have.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import spacy
import typer
from rich.console import Console
from sklearn.metrics import roc_auc_score
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import minibatch

from multibert_spacy.pipeline.domain_detector import join_docs
from multibert_spacy.text.threads import install_extensions
from multibert_spacy.training.corpus import read_docs
from multibert_spacy.training.decoration import take_off
from multibert_spacy.training.written import read_rows
from multibert_spacy.types import Floats2d

from ..build.scoring.detection import SIZES, Group, accuracies, confusion, draw_docs, make_groups
from ..domains import DOMAINS, HEADS
from ..options import Corpus, Metrics, Model
from ..record import build_header, describe_model, percent, readable_errors, save, table

__all__ = ["app", "calibration_error", "outside_groups", "score_detection"]

app = typer.Typer(add_completion=False)
console = Console()

OUTSIDE = Path("assets/outside")
FORMAL = tuple(HEADS["formal"])
UNSEEN = DOMAINS["press"]
N_BINS = 10
_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789")

VARIANTS: dict[str, Callable[[Doc], Doc]] = {
    "one emoji more": lambda doc: _reworded(doc, [*(w.text for w in doc), "😊"]),
    "no punctuation": lambda doc: take_off(doc, ["punctuation"]),
    "no links": lambda doc: take_off(doc, ["link"]),
    "Latin digits": lambda doc: _reworded(doc, [w.text.translate(_DIGITS) for w in doc]),
    "ZWNJ as space": lambda doc: take_off(doc, ["zwnj"]),
}
"""Changes after which a text is about what it was about before."""


def _reworded(doc: Doc, words: list[str]) -> Doc:
    new = Doc(doc.vocab, words=words)
    new._.domain, new._.thread = doc._.domain, doc._.thread
    return new


def outside_groups(path: Path, nlp: Language, size: int) -> tuple[list[Group], list[str]]:
    """Cut each thread of a file to groups.

    path (Path): JSONL with domain, thread, style and text.
    """
    install_extensions()
    groups, styles = [], []
    rows = read_rows(path, ("text", "domain", "thread", "style"))
    for _, thread in groupby(rows, itemgetter("thread")):
        for part in minibatch(thread, size):
            groups.append([nlp.make_doc(row["text"]) for row in part])
            for doc in groups[-1]:
                doc._.domain, doc._.thread = part[0]["domain"], part[0]["thread"]
            styles.append(part[0]["style"])
    return groups, styles


def scores_of(nlp: Language, groups: Sequence[Group]) -> Floats2d:
    """RETURNS (n, labels): What the detector gives each group, its domains not being told."""
    detector: Any = nlp.get_pipe("domain_detector")
    found = [np.zeros((0, len(detector.labels)), dtype=np.float32)]
    for i in range(0, len(groups), 256):
        found.append(detector.predict([join_docs(g, nlp.vocab) for g in groups[i : i + 256]]))
    whole: Floats2d = np.concatenate(found)
    return whole


def calibration_error(scores: Sequence[float], right: Sequence[bool]) -> float:
    """RETURNS (float): Expected calibration error in ten equal bins (Guo et al. 2017): how far
    scores are from the share that is right.
    """
    given = np.asarray(scores)
    bins = np.minimum((given * N_BINS).astype(int), N_BINS - 1)
    gaps = np.bincount(bins, np.asarray(right) - given)
    return float(np.abs(gaps).sum() / max(len(given), 1))


def _accuracy(
    labels: Sequence[str], scores: Floats2d, groups: Sequence[Group], styles: Sequence[str] = ()
) -> dict[str, Any]:
    told = [labels[i] for i in scores.argmax(1)]
    right = [group[0]._.domain == own for group, own in zip(groups, told, strict=True)]
    report = accuracies(groups, told)
    report["calibration_error"] = calibration_error(scores.max(1).tolist(), right)
    if styles:
        own_style = Counter(s for s, own in zip(styles, right, strict=True) if own)
        report["right_by_style"] = {style: own_style[style] for style in sorted(set(styles))}
        report["confusion"] = confusion(groups, told)
    return report


def score_detection(nlp: Language, docs: Sequence[Doc], *, seed: int = 0) -> dict[str, Any]:
    """Score a detector.

    RETURNS (dict): "outside" and "corpora" by size; "formal_informal"; "none", what it says of
        texts of no domain; "changed", the share of decisions that a change of spelling changes.
    """
    detector: Any = nlp.get_pipe("domain_detector")
    labels = list(detector.labels)
    known = [doc for doc in docs if doc._.domain in labels]
    report: dict[str, Any] = {"labels": labels, "outside": {}, "corpora": {}, "none": {}}
    threshold = float(detector.cfg["threshold"])
    for size in SIZES:
        groups, styles = outside_groups(OUTSIDE / "dev.jsonl", nlp, size)
        outside = scores_of(nlp, groups)
        report["outside"][str(size)] = _accuracy(labels, outside, groups, styles)
        strange, _ = outside_groups(OUTSIDE / "none.jsonl", nlp, size)
        none = scores_of(nlp, strange)
        truth = [1] * len(groups) + [0] * len(strange)
        best = np.concatenate([outside.max(1), none.max(1)])
        report["none"][str(size)] = {
            "auroc": float(roc_auc_score(truth, best)),
            "threshold": threshold,
            "n_none": len(strange),
            "none_below": int((none.max(1) < threshold).sum()),
            "n_domains": len(groups),
            "domains_below": int((outside.max(1) < threshold).sum()),
        }
        own = make_groups(known, size, seed=seed)
        found = scores_of(nlp, own)
        report["corpora"][str(size)] = _accuracy(labels, found, own)
        report["corpora"][str(size)]["below_threshold"] = float((found.max(1) < threshold).mean())
        if size == max(SIZES):
            if set(FORMAL) <= set(labels):
                report["formal_informal"] = _formal(labels, found, own)
            report["changed"] = {
                "outside": _changed(nlp, groups, outside),
                "corpora": _changed(nlp, own, found),
            }
    return report


def _formal(labels: Sequence[str], scores: Floats2d, groups: Sequence[Group]) -> float:
    """RETURNS (float): Of the groups of news and tweets, those that are told apart."""
    columns = [labels.index(name) for name in FORMAL]
    own = [i for i, group in enumerate(groups) if group[0]._.domain in FORMAL]
    told = scores[own][:, columns].argmax(1)
    truth = [FORMAL.index(groups[i][0]._.domain) for i in own]
    return float(np.equal(told, truth).mean())


def _changed(nlp: Language, groups: Sequence[Group], scores: Floats2d) -> dict[str, float]:
    """RETURNS (dict): Change -> share of groups that it gives another domain."""
    before = scores.argmax(1)
    found = {}
    for name, change in VARIANTS.items():
        after = scores_of(nlp, [[change(doc) for doc in group] for group in groups]).argmax(1)
        found[name] = float((before != after).mean())
    return found


def score_unseen(nlp: Language, docs: Sequence[Doc], seed: int) -> dict[str, Any]:
    """RETURNS (dict): What a detector that has not seen a domain calls groups of eight of it."""
    detector: Any = nlp.get_pipe("domain_detector")
    own = [doc for doc in docs if doc._.domain == UNSEEN.name]
    groups = make_groups(own, max(SIZES), seed=seed)
    told = [detector.labels[i] for i in scores_of(nlp, groups).argmax(1)]
    counts = confusion(groups, told)[UNSEEN.name]
    return {
        "labels": list(detector.labels),
        "n_groups": len(groups),
        "called": counts,
        "called_alike": sum(counts.get(name, 0) for name in UNSEEN.alike) / len(groups),
    }


def cost(nlp: Language, docs: Sequence[Doc]) -> dict[str, float]:
    """RETURNS (dict): Processor seconds of detector and tagger on the same texts in groups of
    eight, the median of three, the first's share of the second's, and how long the texts are.
    """
    seconds: dict[str, list[float]] = {"detector": [], "tagger": []}
    for _ in range(4):
        fresh = [join_docs([doc], nlp.vocab) for doc in docs]
        for name, pipe in (("detector", "domain_detector"), ("tagger", "multibert_ner")):
            start = time.process_time()
            fresh = list(nlp.get_pipe(pipe).pipe(fresh, batch_size=512))  # type: ignore[attr-defined]
            seconds[name].append(time.process_time() - start)
    medians = {name: float(np.median(own[1:])) for name, own in seconds.items()}
    sizes = {"n_texts": len(docs), "n_words": sum(map(len, docs))}
    return {**medians, "share": medians["detector"] / medians["tagger"], **sizes}


@app.command(help=__doc__)
def main(
    model: Model,
    corpus: Corpus = Path("corpus/persian"),
    paper: Annotated[str, typer.Option(help="A pipeline with the paper's classifier")] = "",
    unseen: Annotated[str, typer.Option(help="One that has not seen the newspapers")] = "",
    metrics: Metrics = None,
    limit_groups: Annotated[int, typer.Option(min=0, help="Groups of 8 per domain")] = 0,
) -> None:
    seed = 0
    with readable_errors():
        nlp = spacy.load(model)
        docs = read_docs(corpus / "test", nlp.vocab)
        given: dict[str, Any] = {"seed": seed, "limit_groups": limit_groups}
        report = build_header("scripts.experiments.detection", docs, corpus=corpus, **given)
        docs = draw_docs(docs, **given)
        report["detectors"] = {}
        for name, source in (("mixture", model), ("classifier", paper)):
            if source:
                nlp = spacy.load(source)
                own = score_detection(nlp, docs, seed=seed)
                report["detectors"][name] = {"model": describe_model(nlp, source), **own}
                if "multibert_ner" in nlp.pipe_names:
                    tweets = [doc for doc in docs if doc._.domain == FORMAL[-1]]
                    report["detectors"][name]["cost"] = cost(nlp, tweets)
        if unseen:
            report["unseen"] = score_unseen(spacy.load(unseen), docs, seed)
    save(report, metrics or Path("metrics", "detection.json"))
    for name, own in report["detectors"].items():
        rows = [
            {"": part, **{n: percent(one["accuracy"]) for n, one in own[part].items()}}
            for part in ("outside", "corpora")
        ]
        console.print(table(f"{name}: right by texts in a group", rows))


if __name__ == "__main__":
    app()
