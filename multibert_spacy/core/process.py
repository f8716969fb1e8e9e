"""What a process that runs the core needs, and no other: nothing here happens on import."""

import os

import torch

__all__ = ["CACHES", "prepare_process"]

CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""How many compiled products oneDNN, and torch's own layer above it, keep: environment variables,
which both read when they first compute."""
KEPT_PRODUCTS = "64"
"""In place of 1,024. One is about 1.4 MB with its scratch memory, there is one per shape, and
texts hardly ever make the same shape twice. A forward pass needs about ten, of flat rows two more
for each block, a training step twice as many; with fewer each layer compiles all of them again.
"""
_prepared: list[int] = []


def prepare_process() -> None:
    """Bound the memory of compiled products, unless the user has said how many there may be, and
    have forked children compute with one thread: OpenMP's threads do not survive the fork of
    `nlp.pipe(n_process=2)`, and a child that asks for more than one waits for ever.

    To be called before the core first computes; again, it does nothing.
    """
    if _prepared:
        return
    _prepared.append(os.getpid())
    for cache in CACHES:
        os.environ.setdefault(cache, KEPT_PRODUCTS)
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
