"""Threads that an engine computes with, and batches that it runs at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["n_streams", "run_batches"]

Batch = TypeVar("Batch")
Output = TypeVar("Output")


def n_streams(engine: str) -> int:
    """Return how many batches an engine runs at once.

    torch gives all its threads to one batch; each of OpenVINO's threads has a batch of its own.
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
