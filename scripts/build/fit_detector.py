"""Make the detector that is shipped, without steps of gradient descent.

    python -m scripts.build.fit_detector training/persian/detector/model-best

The bag of configs/detector.cfg is a logistic regression on which pieces a group has, so it is
fitted as one (scikit-learn, over the train part in groups of 1, 2, 4 and 8 texts, and over those
in assets/written, its class of texts of no corpus): a minute where `spacy train` on the same
config takes a quarter of an hour to come near. Means, covariances, descriptions and the regression
on what was written are fitted on the dev part and assets/written, as `spacy train` does when it
saves.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from spacy.tokens import Doc
from spacy.util import load_config, load_model_from_config

from multibert_spacy.networks.classifier import BAG_GAIN
from multibert_spacy.networks.mixture_model import MixtureModel
from multibert_spacy.training.callbacks import build_fit_mixture_v1
from multibert_spacy.training.corpus import read_docs
from multibert_spacy.training.decoration import take_off
from multibert_spacy.training.written import draw_written, read_written

from ..domains import DOMAINS, FILE
from ..options import Core, Corpus, Seed
from ..record import readable_errors

__all__ = ["app", "fit_bag", "fit_detector"]

app = typer.Typer(add_completion=False)
console = Console()

WRITTEN = Path("assets/written")
CONFIG = Path(__file__).resolve().parents[2] / "configs" / "detector.cfg"
SIZES = (1, 2, 4, 8)
BARE, BARE_WRITTEN = 0.15, 0.35
"""Share of the groups that are learned without punctuation."""
STRENGTH = 30.0
"""Inverse of the L2 penalty, as scikit-learn has it."""
MOST_ROUNDS = 60


def fit_bag(
    model: MixtureModel,
    docs: Sequence[Doc],
    labels: Sequence[str],
    written: Sequence[Sequence[Doc]] = (),
    *,
    seed: int = 0,
) -> None:
    """Set a model's bag.

    model (MixtureModel): The model.
    docs (Sequence[Doc]): Of the train part.
    labels (Sequence[str]): The domains.
    written (Sequence): Groups of texts of no corpus, of which the bag has a class, the last.
    seed (int): Of the drawing of groups.
    """
    known = _versions(model, [*docs, *chain.from_iterable(written)])
    by_domain: dict[str, list[Doc]] = defaultdict(list)
    for doc in docs:
        by_domain[doc._.domain].append(doc)
    rng = random.Random(seed)

    def seen_in(group: Sequence[Doc], bare: float) -> set[int]:
        version = int(rng.random() < bare)
        return set().union(*(known[id(doc)][version] for doc in group))

    groups: list[set[int]] = []
    truth: list[int] = []
    for size in SIZES:
        for k, label in enumerate(labels):
            drawn = rng.sample(by_domain[label], len(by_domain[label]))
            for i in range(0, len(drawn) - size + 1, size):
                groups.append(seen_in(drawn[i : i + size], BARE))
                truth.append(k)
    groups += [seen_in(own, BARE_WRITTEN) for own in written]
    truth += [len(labels)] * len(written)
    row_ends = np.cumsum([0, *map(len, groups)])
    columns = np.fromiter((piece for group in groups for piece in sorted(group)), dtype=np.int64)
    lengths = np.maximum(np.diff(row_ends), 1)
    values = np.repeat(1 / np.sqrt(lengths), np.diff(row_ends)).astype(np.float32)
    shape = (len(groups), model.listener.core.n_pieces)
    matrix = csr_matrix((values, columns, row_ends), shape)
    regression = LogisticRegression(C=STRENGTH, max_iter=MOST_ROUNDS, class_weight="balanced")
    fitted = regression.fit(matrix, truth)
    tensors = {"bag": fitted.coef_.T / BAG_GAIN, "bias": fitted.intercept_}
    halves = {k: torch.from_numpy(own.astype(np.float16)).float() for k, own in tensors.items()}
    model.build(len(halves["bias"]), halves, None)


def _versions(model: MixtureModel, docs: Iterable[Doc]) -> dict[int, tuple[set[int], set[int]]]:
    """RETURNS (dict): Id of a doc -> its pieces, as it is and without punctuation. The same doc,
    which may be in several groups, is read once.
    """
    each = {id(doc): doc for doc in docs}
    whole = map(set, model.pieces(list(each.values())))
    bare = map(set, model.pieces([take_off(doc, ["punctuation"]) for doc in each.values()]))
    return dict(zip(each, zip(whole, bare, strict=True), strict=True))


def fit_detector(
    out: Path, corpus: Path, core: str, *, labels: Sequence[str] = (), seed: int = 0
) -> None:
    """Make and save a pipeline of core and detector.

    out (Path): Its folder.
    corpus (Path): With train and dev.
    core (str): Folder of the core.
    labels (Sequence[str]): The domains; none is all that there are.
    seed (int): Of the drawing of groups.
    """
    labels = sorted(labels or DOMAINS)
    paths = {"paths.core": core, "paths.train": str(corpus / "train")}
    config = load_config(CONFIG, overrides={**paths, "paths.dev": str(corpus / "dev")})
    nlp = load_model_from_config(config, auto_fill=True)
    nlp.get_pipe("transformer").initialize(lambda: [], nlp=nlp)  # type: ignore[attr-defined]
    detector: Any = nlp.get_pipe("domain_detector")
    detector.cfg["labels"] = labels
    docs = read_docs(corpus / "train", nlp.vocab, domains=labels)
    written = draw_written(read_written(WRITTEN, nlp, labels), seed=seed)
    fit_bag(detector.model, docs, labels, [own for _, own in written], seed=seed)
    build_fit_mixture_v1(corpus / "dev", FILE, WRITTEN, seed=seed)(nlp)
    out.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(out)


@app.command(help=__doc__)
def main(
    out: Annotated[Path, typer.Argument(help="Folder of the pipeline")],
    corpus: Corpus = Path("corpus/persian"),
    core: Core = "assets/core",
    without: Annotated[str, typer.Option(help="Domains it is not to see, comma-separated")] = "",
    seed: Seed = 0,
) -> None:
    labels = [name for name in DOMAINS if name not in without.split(",")]
    with readable_errors():
        fit_detector(out, corpus, core, labels=labels, seed=seed)
    console.print(f"{out}: knows {len(labels)} domains")


if __name__ == "__main__":
    app()
