"""Whether memory stays flat over a long stream, and bounded on a long text.

    python -m scripts.benchmark.stream --metrics metrics/stream.json

A tiny random core, since what could grow (caches, buffers, spaCy's strings) does not depend on
its size. Texts are sentences of the sample corpus in random order; with --new-words each text has
a word that was never seen before, which spaCy's own string store keeps for ever.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console

from multibert_spacy.training.corpus import read_docs

from ..build.toy_core import build_toy_core
from ..record import build_header, readable_errors, save
from . import fresh
from .build import folder_of, write_pipelines
from .streaming import STEPS, long_text_memory, stream_memory

__all__ = ["app"]

app = typer.Typer(add_completion=False)
console = Console()

LONG_WORDS = 100_000


@app.command(help=__doc__)
def main(
    corpus: Annotated[Path, typer.Option(help="Whose sentences are drawn.")] = Path(
        "corpus/sample"
    ),
    n_texts: Annotated[int, typer.Option("--texts", min=STEPS, help="Of each stream.")] = 100_000,
    n_words: Annotated[int, typer.Option("--words", min=1, help="Of the long text.")] = LONG_WORDS,
    metrics: Annotated[Path, typer.Option(help="JSON file.")] = Path("metrics/stream.json"),
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 0,
) -> None:
    with readable_errors(ValueError, fresh.FreshError), tempfile.TemporaryDirectory() as root:
        docs = read_docs(corpus / "test", spacy.blank("fa").vocab)
        header = build_header(
            "scripts.benchmark.stream",
            docs,
            corpus=corpus,
            split="test",
            seed=seed,
            limit_groups=0,
        )
        sentences = [doc.text for doc in docs]
        build_toy_core(Path(root) / "core", seed=seed)
        core = str(Path(root) / "core")
        write_pipelines(core, [("lora", 12, "lora")], sentences[:64], root, seed)
        folder = str(folder_of(Path(root), "lora", 12, "lora"))
        common: dict[str, Any] = {"folder": folder, "sentences": sentences}
        report = {
            name: fresh.call(
                stream_memory,
                {**common, "n_texts": n_texts, "new_words": new_words, "seed": seed},
                threads=1,
            )[0]
            for name, new_words in (("known_words", False), ("new_words", True))
        }
        report["long_text"] = fresh.call(
            long_text_memory, {**common, "n_words": n_words}, threads=1
        )[0]
    save({**header, **report}, metrics)
    console.print_json(data=report)


if __name__ == "__main__":
    app()
