"""With how many threads an engine computes, and how many batches it has at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["n_streams", "run_batches"]

Batch = TypeVar("Batch")
Output = TypeVar("Output")

# `nlp.pipe(n_process=2)` forks, OpenMP's threads do not survive that, and a child that asks for
# more than one waits for ever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

# oneDNN, and torch's own layer above it, each keep 1,024 compiled products of about 1.4 MB with
# their scratch memory, one per shape, and texts hardly ever make the same shape twice. After 180
# shapes a process had grown by 264 MB, with both limited by 8. A forward pass needs about ten, of
# flat rows two more for each of its blocks, a training step twice as many; with fewer than that
# each layer compiles all of them again.
for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(cache, "64")


def n_streams(engine: str) -> int:
    """RETURNS (int): Batches that an engine runs at once. torch gives all its threads to one; of
    OpenVINO's each has a batch of its own.
    """
    return torch.get_num_threads() if engine == "openvino" else 1


def run_batches(
    function: Callable[[Batch], Output], batches: Sequence[Batch], engine: str
) -> Iterator[Output]:
    """Apply a function to batches, as many at once as the engine runs.

    YIELDS: Results, in the order of the batches.
    """
    streams = min(n_streams(engine), len(batches))
    if streams < 2:
        yield from map(function, batches)
        return
    with ThreadPoolExecutor(streams) as pool:
        yield from pool.map(function, batches)
