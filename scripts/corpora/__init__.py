"""Readers of the Persian corpora, and the sample corpus.

`publishers` has a reader of each corpus, which returns a `Corpus`; the rest is common: `conll`
(lines to sentences), `bio` (tags), `splits` (chance and leaks), `docbin` (spaCy files), `report`
(numbers). `convert` converts.
"""
