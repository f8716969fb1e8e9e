"""Systems timed in turn, several times, in one process."""

import gc
import statistics
import time
from collections.abc import Sequence
from typing import Any

from rich.progress import Progress

from .systems import LIMIT, Setup, System

LIMIT_EVERY = 4
"""Systems between two times of the limit. The speed of a rented machine drifts by a tenth and more
within a round of six minutes, and so would ratios to one time of the limit in it.
"""


def time_systems(
    chosen: Sequence[System], setup: Setup, *, rounds: int, progress: Progress
) -> dict[str, Any]:
    """Time systems round-robin, and the limit before every few of them.

    chosen (Sequence[System]): LIMIT among them.
    setup (Setup): Texts, core, pipelines.
    rounds (int): How often each tags all texts, after a first time that does not count: in it
        copies of weights are made, and the words that ours remembers are met.
    progress (Progress): Is told how far it is.
    RETURNS (dict): Name -> see `summary`.
    """
    task = progress.add_task("systems", total=len(chosen) * (rounds + 1))
    runs = {system.name: system.make(setup) for system in chosen}
    found: dict[str, int] = {}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    limits: dict[str, list[float]] = {name: [] for name in runs}

    def seconds_of(name: str) -> float:
        progress.update(task, description=name, advance=name != LIMIT)
        gc.collect()
        start = time.perf_counter()
        found[name] = runs[name]()
        return time.perf_counter() - start

    others = [name for name in runs if name != LIMIT]
    for _ in range(rounds + 1):
        limit = [seconds_of(LIMIT)]
        for i in range(0, len(others), LIMIT_EVERY):
            few = others[i : i + LIMIT_EVERY]
            for name in few:
                seconds[name].append(seconds_of(name))
            limit.append(seconds_of(LIMIT))
            for name in few:  # before and behind them
                limits[name].append(statistics.mean(limit[-2:]))
        for own in (seconds, limits):
            own[LIMIT].append(statistics.median(limit))
    progress.remove_task(task)
    return {
        system.name: {
            "note": system.note,
            "found": found[system.name],
            **summary(seconds[system.name], limits[system.name], len(setup.texts), setup.n_pieces),
        }
        for system in chosen
    }


def summary(
    seconds: Sequence[float], limit: Sequence[float], n_texts: int, n_pieces: int
) -> dict[str, Any]:
    """Times of one system.

    seconds, limit (Sequence[float]): Its times and LIMIT's around them, round by round; the first
        are told apart.
    n_texts, n_pieces (int): What was tagged; pieces as our tagger sees them, for every system.
    RETURNS (dict): Median seconds, texts and pieces per second, and the median and the range of
        the ratios to LIMIT around it.
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
