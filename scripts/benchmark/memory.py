"""Memory and time of loading, in processes of their own, and size on disk."""

import resource
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import fresh

TIMES = ("import", "blank", "load", "tag")
"""spaCy and torch imported; the first empty pipeline, for which spaCy imports every package that
registers a component, spacy-transformers among them; ours loaded; texts tagged."""


def _resident_megabytes() -> float:
    """RETURNS (float): Memory that this process has resident now; where /proc is missing, its
    most so far.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return fresh.peak_megabytes()
    return pages * resource.getpagesize() / 1e6


def load_and_tag(
    folder: str, texts: Sequence[str], domains: Sequence[str], threads: int
) -> dict[str, Any]:
    """Do what `TIMES` says; to be called in a process of its own.

    RETURNS (dict): Seconds of each step and resident MB after each, and entities.
    """
    clock, resident = [time.perf_counter()], []

    def tick() -> None:
        clock.append(time.perf_counter())
        resident.append(_resident_megabytes())

    import spacy
    import torch

    tick()
    torch.set_num_threads(threads)
    spacy.blank("fa")
    tick()
    nlp = spacy.load(folder)
    tick()
    pairs = ((text, {"domain": name}) for text, name in zip(texts, domains, strict=True))
    n_entities = sum(len(doc.ents) for doc, _ in nlp.pipe(pairs, as_tuples=True))
    tick()
    took = [end - start for start, end in zip(clock, clock[1:], strict=False)]
    return {
        "seconds": dict(zip(TIMES, took, strict=True)),
        "resident_mb": dict(zip(TIMES, resident, strict=True)),
        "entities": n_entities,
    }


def folder_megabytes(folder: Path) -> float:
    """RETURNS (float): Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def measure_memory(
    folders: dict[int, Path],
    texts: Sequence[str],
    domains: dict[int, list[str]],
    *,
    threads: int,
    repeats: int,
) -> dict[str, Any]:
    """Measure pipelines with different numbers of domains.

    folders (dict): Number of domains -> saved pipeline.
    texts (Sequence[str]): What is tagged.
    domains (dict): Number of domains -> domain of each text.
    threads (int): Of torch.
    repeats (int): Processes for each; medians are returned.
    RETURNS (dict): "by_domains": number of domains -> seconds and resident MB of each step, peak
        and disk MB. "disk_mb_per_domain": what a further domain adds.
    """
    report: dict[str, Any] = {"by_domains": {}}
    sizes = {n: folder_megabytes(folder) for n, folder in folders.items()}
    for n, folder in folders.items():
        given = {"folder": str(folder.resolve()), "texts": list(texts), "domains": domains[n]}
        runs = [
            fresh.call(load_and_tag, {**given, "threads": threads}, threads=threads)
            for _ in range(repeats)
        ]
        medians = {
            key: {step: statistics.median(run[key][step] for run, _ in runs) for step in TIMES}
            for key in ("seconds", "resident_mb")
        }
        peak = statistics.median(peak for _, peak in runs)
        own = {"peak_mb": peak, "disk_mb": sizes[n], "entities": runs[0][0]["entities"]}
        report["by_domains"][str(n)] = {**medians, **own}
    few, many = min(folders), max(folders)
    if few < many:
        report["disk_mb_per_domain"] = (sizes[many] - sizes[few]) / (many - few)
    return report
