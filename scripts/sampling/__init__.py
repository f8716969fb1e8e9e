"""The sample corpus: a seeded generator of small Persian threads for all twelve domains.

    labels.py            domains, sizes, and the one table that says which label a word class has
    gazetteers.py        names: own lists and Faker's `fa_IR` provider
    templates_formal.py  sentences of `news` and `tweet`
    templates_social.py  sentences of the ten channels
    noise.py             what real Persian social text looks like, applied to tagged tokens
    generate.py          threads, splits, Docs
    oracle.py            what the best tagger that ignores the domain could reach
    example.py           three hand-made threads for the README
"""
