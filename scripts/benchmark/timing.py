"""Systems timed in turn, several times, in one process."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.progress import Progress

from .systems import LIMIT, Setup, System

__all__ = ["summary", "time_systems"]


def time_systems(
    chosen: Sequence[System], setup: Setup, *, rounds: int, progress: Progress
) -> dict[str, Any]:
    """Time systems round-robin, so that a machine that slows down slows all of them.

    chosen (Sequence[System]): LIMIT among them.
    setup (Setup): Texts, core, pipelines.
    rounds (int): How often each tags all texts, after a first time that does not count: in it
        copies of weights are made, and the words that ours remembers are met.
    progress (Progress): Is told how far it is.
    RETURNS (dict): Name -> see `summary`.
    """
    task = progress.add_task("systems", total=len(chosen) * (rounds + 2))
    runs: dict[str, Callable[[], int]] = {}
    for system in chosen:
        progress.update(task, description=f"load {system.name}")
        runs[system.name] = system.make(setup)
        progress.advance(task)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, int] = {}
    for number in range(rounds + 1):
        for name, run in runs.items():
            progress.update(task, description=f"round {number}: {name}")
            gc.collect()
            start = time.perf_counter()
            found[name] = run()
            seconds[name].append(time.perf_counter() - start)
            progress.advance(task)
    progress.remove_task(task)
    return {
        system.name: {
            "note": system.note,
            "found": found[system.name],
            **summary(seconds[system.name], seconds[LIMIT], len(setup.texts), setup.n_pieces),
        }
        for system in chosen
    }


def summary(
    seconds: Sequence[float], limit: Sequence[float], n_texts: int, n_pieces: int
) -> dict[str, Any]:
    """Times of one system.

    seconds, limit (Sequence[float]): Its times and LIMIT's, round by round; the first are told
        apart.
    n_texts, n_pieces (int): What was tagged; pieces as our tagger sees them, for every system.
    RETURNS (dict): Median seconds, texts and pieces per second, and the median and the range of
        the ratios to LIMIT in the same round.
    """
    first, *counted = seconds
    median = statistics.median(counted)
    ratios = [own / other for own, other in zip(counted, limit[1:], strict=True)]
    return {
        "seconds": median,
        "texts_per_second": n_texts / median,
        "pieces_per_second": n_pieces / median,
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "first_seconds": first,
        "rounds": list(counted),
    }
