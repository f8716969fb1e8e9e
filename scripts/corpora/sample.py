"""Write the sample corpus: invented Persian threads in all domains, from a seed.

    python -m scripts.corpora.sample --out corpus/sample --seed 0 --scale 1.0
    python -m scripts.corpora.sample example --out example/threads.jsonl

Output: `<out>/{train,dev,test}/sample.spacy` and `<out>/report.json`. It needs no download, so it
is the corpus with which the whole project runs anywhere; `sampling` has what is in it.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from spacy.tokens import Doc

from .docbin import make_vocab, write_atomically, write_docs
from .report import save_report
from .sampling.gazetteers import build_gazetteer
from .sampling.generate import make_texts
from .sampling.render import text_to_doc
from .sampling.report import build_report, print_report
from .sampling.tables import THREADS

__all__ = ["app", "example_threads", "make_sample", "write_example", "write_sample"]

app = typer.Typer(add_completion=False, help=__doc__)

SeedOption = Annotated[int, typer.Option(help="The same seed gives the same files.")]


def make_sample(seed: int = 0, *, scale: float = 1.0) -> dict[str, list[Doc]]:
    """Make the corpus in memory.

    seed (int): The seed.
    scale (float): Factor of all sizes.
    RETURNS (dict[str, list[Doc]]): "train", "dev" and "test" -> annotated docs, with
        `doc._.domain` and `doc._.thread`; the docs of a thread are neighbours.
    RAISES (ValueError): If scale is not positive.
    """
    vocab = make_vocab()
    corpus = make_texts(seed, scale=scale)
    return {part: [text_to_doc(text, vocab) for text in texts] for part, texts in corpus.items()}


def write_sample(out: Path, *, seed: int = 0, scale: float = 1.0) -> dict[str, Any]:
    """Make the corpus and write it. RETURNS (dict): What stands in report.json."""
    vocab = make_vocab()
    corpus = make_texts(seed, scale=scale)
    report = build_report(corpus, seed=seed, scale=scale)
    for part, texts in corpus.items():
        write_docs(out / part / "sample.spacy", (text_to_doc(text, vocab) for text in texts))
    save_report(report, out)
    return report


def example_threads(seed: int = 0) -> list[dict[str, str]]:
    """RETURNS (list): Rows of three threads as a user would have them, with "thread" and "text".
    seed (int): Chooses the names of people.
    """
    people = build_gazetteer(seed).known["person"]
    names = {f"person{i}": people[i] for i in range(1, 5)}
    return [
        {"thread": thread, "text": text.format(**names)}
        for thread, texts in THREADS.items()
        for text in texts
    ]


def write_example(out: Path, *, seed: int = 0) -> None:
    """Write the example threads as JSON lines."""
    lines = [json.dumps(row, ensure_ascii=False) for row in example_threads(seed)]
    write_atomically(out, ("\n".join(lines) + "\n").encode())


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("corpus/sample"),
    seed: SeedOption = 0,
    scale: Annotated[float, typer.Option(help="Factor of all sizes; 0.1 for a toy.")] = 1.0,
) -> None:
    """Write the sample corpus."""
    if context.invoked_subcommand is None:
        print_report(write_sample(out, seed=seed, scale=scale), Console())


@app.command()
def example(out: Path = Path("example/threads.jsonl"), seed: SeedOption = 0) -> None:
    """Write three threads of raw texts, for trying a trained pipeline."""
    write_example(out, seed=seed)


if __name__ == "__main__":
    app()
