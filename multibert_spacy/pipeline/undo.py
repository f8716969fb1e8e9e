"""A change of a pipeline's domains that happens as a whole or not at all.

A domain stands in taggers, detectors, their settings and the meta. Where an error or a Ctrl-C
comes in between, one would have it and another not.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from spacy.language import Language

__all__ = ["all_or_nothing"]


@contextmanager
def all_or_nothing(nlp: Language) -> Iterator[None]:
    """Around a change of domains: if anything is raised inside, all is as it was.

    nlp (Language): The pipeline. Disabled components are put back too.
    """
    steps = [proc.remember() for _, proc in nlp.components if hasattr(proc, "remember")]
    configs, meta = copy.deepcopy(nlp._pipe_configs), copy.deepcopy(nlp.meta)
    try:
        yield
    except BaseException:  # a Ctrl-C is none that leaves half a change either
        for put_back in steps:
            put_back()
        nlp._pipe_configs, nlp.meta = configs, meta
        raise
