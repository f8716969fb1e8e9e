"""The sample corpus: a seeded generator of small Persian threads for all domains.

data/, tables.py        names, sentences and noise of each domain; which label a word class has
gazetteers.py           names: our own, and those of Faker's `fa_IR` provider
noise.py                what real Persian social text looks like, applied to tagged tokens
render.py, generate.py  sentences to tagged tokens; threads and the three parts
"""
