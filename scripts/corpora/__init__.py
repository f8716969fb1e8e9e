"""Readers of the Persian corpora, and what they share.

One module per publisher's layout (`arman`, `parstwiner`, `parsner_social`, `parsner_prose`)
returns a `Corpus`; the rest is common: `conll` (lines to sentences), `bio` (tags), `splits`
(chance and leaks), `docbin` (spaCy files), `report` (numbers). `convert` converts.
"""

from .arman import read_arman
from .parsner_prose import read_parsner_press, read_parsner_wiki
from .parsner_social import read_parsner_social
from .parstwiner import read_parstwiner
from .sentence import SPLITS, Corpus, Sentence

__all__ = [
    "SPLITS", "Corpus", "Sentence", "read_arman", "read_parsner_press", "read_parsner_social",
    "read_parsner_wiki", "read_parstwiner",
]  # fmt: skip
