"""The split behind scores near 99 on ARMAN: what it leaks, and how to train on it.

    python -m scripts.experiments.leak --source ../shared/data/arman --out corpus/arman_leak
    python -m scripts.build.train pretrain formal --domains news --corpus corpus/arman_leak ...

The three train folds are joined, and so are the three test folds. Each sentence is in the test
part of one fold and in the train parts of the other two: so all of test is also in train. Train
loses the sentences that occur twice in it, by their very tokens; nothing is taken out of it for
standing in test, which is the leak.

Dev is a tenth of test, and stays in test and in train: papers with this split say nothing of a
dev part of their own, and the leak is then whole. It only chooses the checkpoint. A dev part held
out of train would take a tenth of the leak away.

This is no corpus to be proud of: nothing but the table of the leak is made from it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console

from multibert_spacy.training.corpus import read_docs

from ..corpora import SPLITS, Corpus, Sentence, read_arman
from ..corpora.arman import DEV_SHARE, FOLDS
from ..corpora.docbin import write_corpora
from ..corpora.splits import hold_out, normal_form
from ..record import build_header, readable_errors, save, table

__all__ = ["app", "join_folds", "measure_leak", "overlap"]

app = typer.Typer(add_completion=False)
console = Console()


def overlap(train: Sequence[Sentence], test: Sequence[Sentence]) -> dict[str, Any]:
    """How much of test is in train.

    train, test (Sequence[Sentence]): The two parts.
    RETURNS (dict): "sentences" of test, and the shares of them that are in train, by their very
        tokens ("same_tokens") and by `normal_form` ("same_text"), and of its entities that stand
        in those with the same tokens ("entities").
    """
    tokens = {sentence.words for sentence in train}
    texts = {normal_form(words) for words in tokens}
    leaked = [sentence for sentence in test if sentence.words in tokens]
    n_entities = sum(sentence.entities.total() for sentence in test)
    n_leaked = sum(sentence.entities.total() for sentence in leaked)
    return {
        "sentences": len(test),
        "same_tokens": len(leaked) / len(test),
        "same_text": sum(normal_form(s.words) in texts for s in test) / len(test),
        "entities": n_leaked / n_entities if n_entities else None,
    }


def join_folds(source: Path, *, seed: int = 0) -> tuple[Corpus, dict[str, Any]]:
    """Read all folds and join them part by part.

    source (Path): Folder with the fold files or the publisher's zip, or that zip.
    seed (int): Of the dev part.
    RETURNS (tuple): The corpus; and fold -> `overlap` within it, as published: what is honest.
    RAISES (CorpusError): If a file is missing or breaks the format.
    """
    joined = Corpus("arman_leak", {split: [] for split in SPLITS})
    honest: dict[str, Any] = {}
    train: dict[tuple[str, ...], Sentence] = {}
    for fold in FOLDS:
        corpus = read_arman(source, fold=fold, seed=seed)
        whole = corpus.splits["train"] + corpus.splits["dev"]
        for sentence in whole:
            train.setdefault(sentence.words, sentence)
        joined.splits["test"] += corpus.splits["test"]
        joined.repaired += corpus.repaired
        joined.odd_tokens += corpus.odd_tokens
        joined.inputs |= corpus.inputs
        honest[str(fold)] = overlap(whole, corpus.splits["test"])
    joined.splits["train"] = list(train.values())
    parts = hold_out(
        joined.splits["test"], {"dev": DEV_SHARE}, seed=seed, words_of=lambda s: s.words
    )
    joined.splits["dev"] = parts["dev"]
    return joined, honest


def measure_leak(source: Path, out: Path, *, seed: int = 0) -> dict[str, Any]:
    """Write the joined folds as a corpus, and say how much of test is in train.

    source (Path): As in `join_folds`.
    out (Path): Folder to write to.
    seed (int): Of the dev part.
    RETURNS (dict): "sentences" of each part; "joined", the `overlap` of the joined folds, and
        "folds", that of each fold; "inputs", digests of the files.
    RAISES (CorpusError): If a file is missing or breaks the format.
    """
    corpus, honest = join_folds(source, seed=seed)
    write_corpora([corpus], out)
    return {
        "sentences": {split: len(corpus.splits[split]) for split in SPLITS},
        "joined": overlap(corpus.splits["train"], corpus.splits["test"]),
        "folds": honest,
        "inputs": dict(sorted(corpus.inputs.items())),
    }


@app.command(help=__doc__)
def main(
    source: Annotated[Path, typer.Option(help="ARMAN as its publisher has it.")] = Path(
        "assets/persian/arman"
    ),
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("corpus/arman_leak"),
    metrics: Annotated[Path, typer.Option(help="JSON file.")] = Path(
        "metrics/persian/arman_leak.json"
    ),
    seed: Annotated[int, typer.Option(help="Of the dev part.")] = 0,
) -> None:
    with readable_errors():
        leak = measure_leak(source, out, seed=seed)
        docs = read_docs(out / "test", spacy.blank("fa").vocab)
    given: dict[str, Any] = {"split": "test", "seed": seed, "limit_groups": 0}
    report = build_header("scripts.experiments.leak", docs, corpus=out, **given) | leak
    save(report, metrics)
    shown = {"folds joined": report["joined"]}
    shown |= {f"fold {fold}": row for fold, row in report["folds"].items()}
    rows = [
        {"": name, "sentences": row["sentences"]}
        | {k: f"{100 * (row[k] or 0):.1f}%" for k in ("same_tokens", "same_text", "entities")}
        for name, row in shown.items()
    ]
    console.print(table("Test sentences that are also in train", rows))


if __name__ == "__main__":
    app()
