"""The sample corpus: a seeded generator of small Persian threads for all twelve domains.

labels.py               domains, sizes, and the one table that says which label a word class has
words.py, gazetteers.py names: our own lists, and Faker's `fa_IR` provider
templates_*.py          sentences: of a domain, and neutral ones that all domains of a head share
profiles.py, noise.py   what real Persian social text looks like, applied to tagged tokens
render.py, generate.py  sentences to tagged tokens; threads and the three parts
docs.py                 spaCy's Docs and files
oracle.py, report.py    what a tagger that ignores the domain could reach at best; numbers
example.py              three threads written by hand
"""
