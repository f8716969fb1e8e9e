"""Work that draws numbers and leaves the caller's generators where they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from spacy.util import fix_random_seed

__all__ = ["same_seed"]


@contextmanager
def same_seed(seed: int) -> Iterator[None]:
    """Everything that is drawn inside depends on a seed, and what is drawn afterwards does not.

    seed (int): Of torch, numpy and random.
    """
    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            fix_random_seed(seed)
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
