"""Memory over a stream and on a long text; each function is called in a process of its own."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import spacy

from . import fresh
from .memory import resident_megabytes

__all__ = ["STEPS", "long_text_memory", "stream_memory"]

STEPS = 10


def stream_memory(
    folder: str, sentences: Sequence[str], n_texts: int, new_words: bool, seed: int
) -> dict[str, Any]:
    """Tag a stream, to be called in a process of its own.

    folder (str): A saved pipeline.
    sentences (Sequence[str]): What texts are drawn from.
    n_texts (int): Texts of the stream.
    new_words (bool): Whether each text has a word of its own.
    seed (int): Of the drawing.
    RETURNS (dict): "resident_mb" after each tenth of the stream, and what spaCy's string store
        holds at its two ends.
    """
    nlp = spacy.load(folder)
    rng = random.Random(seed)

    def texts() -> Iterator[str]:
        for i in range(n_texts):
            yield f"{rng.choice(sentences)} {i:x}" if new_words else rng.choice(sentences)

    strings = [len(nlp.vocab.strings)]
    resident = []
    for i, _ in enumerate(nlp.pipe(texts()), 1):
        if i % (n_texts // STEPS) == 0:
            resident.append(round(resident_megabytes(), 1))
    return {
        "texts": n_texts,
        "resident_mb": resident,
        "strings": [*strings, len(nlp.vocab.strings)],
    }


def long_text_memory(folder: str, sentences: Sequence[str], n_words: int) -> dict[str, Any]:
    """Tag one text, to be called in a process of its own.

    RETURNS (dict): Its words, the process's resident MB before, and its peak.
    """
    nlp = spacy.load(folder)
    nlp("سلام")
    words = " ".join(sentences).split()
    text = " ".join(words[i % len(words)] for i in range(n_words))
    nlp.max_length = len(text) + 1
    before = resident_megabytes()
    doc = nlp(text)
    return {
        "words": len(doc),
        "resident_mb_before": round(before, 1),
        "peak_mb": round(fresh.peak_megabytes(), 1),
    }
