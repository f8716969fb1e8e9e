"""Write the sample corpus: invented Persian threads in all domains, from a seed.

    python -m scripts.corpora sample --seed 0

Output: `<out>/{train,dev,test}/sample.spacy` and `<out>/report.json`. It needs no download, so it
is the corpus with which the whole project runs anywhere; `sampling` has what is in it.
"""

import json
from pathlib import Path
from typing import Any

import faker

from ..record import save
from .docbin import make_vocab, write_atomically, write_docs
from .report import count
from .sampling.gazetteers import build_gazetteer
from .sampling.generate import make_texts
from .sampling.render import text_to_doc, text_to_sentence
from .sampling.tables import THREADS


def write_sample(out: Path, *, seed: int = 0, scale: float = 1.0) -> dict[str, Any]:
    """Make the corpus and write it. RETURNS (dict): What stands in report.json."""
    vocab = make_vocab()
    corpus = make_texts(seed, scale=scale)
    splits = {part: [text_to_sentence(text) for text in texts] for part, texts in corpus.items()}
    counts = {part: count(own, ("texts", "threads")) for part, own in splits.items()}
    report = {"seed": seed, "scale": scale, "faker": faker.VERSION, "splits": counts}
    for part, texts in corpus.items():
        write_docs(out / part / "sample.spacy", (text_to_doc(text, vocab) for text in texts))
    save(report, out / "report.json")
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
