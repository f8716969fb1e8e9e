"""Memory and time of loading, in processes of their own, and size on disk."""

import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import fresh

__all__ = ["folder_megabytes", "load_and_tag", "measure_memory", "resident_megabytes"]

TIMES = ("import", "blank", "load", "tag")
"""spaCy and torch imported; the first empty pipeline, for which spaCy imports every package that
registers a component, spacy-transformers among them; ours loaded; texts tagged."""


def resident_megabytes() -> float:
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

    RETURNS (dict): Seconds of each step, resident MB after each, and whether hazm was imported.
    """
    clock = [time.perf_counter()]
    resident = []
    import spacy
    import torch

    clock.append(time.perf_counter())
    resident.append(resident_megabytes())
    torch.set_num_threads(threads)
    spacy.blank("fa")
    clock.append(time.perf_counter())
    resident.append(resident_megabytes())
    nlp = spacy.load(folder)
    clock.append(time.perf_counter())
    resident.append(resident_megabytes())
    hazm_after_load = "hazm" in sys.modules
    pairs = ((text, {"domain": name}) for text, name in zip(texts, domains, strict=True))
    n_entities = sum(len(doc.ents) for doc, _ in nlp.pipe(pairs, as_tuples=True))
    clock.append(time.perf_counter())
    resident.append(resident_megabytes())
    took = [end - start for start, end in zip(clock, clock[1:], strict=False)]
    return {
        "seconds": dict(zip(TIMES, took, strict=True)),
        "resident_mb": dict(zip(TIMES, resident, strict=True)),
        "hazm_after_load": hazm_after_load,
        "hazm_after_tag": "hazm" in sys.modules,
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
    repeats (int): Processes for each, in turn; medians are returned.
    RETURNS (dict): "by_domains": number of domains -> seconds and resident MB of each step, peak
        and disk MB. "disk_mb_per_domain": what a further domain adds.
    """
    runs: dict[int, list[tuple[dict[str, Any], float]]] = {n: [] for n in folders}
    for _ in range(repeats):
        for n, folder in folders.items():
            arguments = {
                "folder": str(folder.resolve()),
                "texts": list(texts),
                "domains": domains[n],
                "threads": threads,
            }
            runs[n].append(fresh.call(load_and_tag, arguments, threads=threads))
    report: dict[str, Any] = {"by_domains": {}}
    for n, own in runs.items():
        medians = {
            key: {step: statistics.median(run[key][step] for run, _ in own) for step in TIMES}
            for key in ("seconds", "resident_mb")
        }
        flags = {key: own[0][0][key] for key in ("hazm_after_load", "hazm_after_tag", "entities")}
        report["by_domains"][str(n)] = {
            **medians,
            "peak_mb": statistics.median(peak for _, peak in own),
            "disk_mb": folder_megabytes(folders[n]),
            **flags,
        }
    few, many = min(folders), max(folders)
    if few < many:
        added = folder_megabytes(folders[many]) - folder_megabytes(folders[few])
        report["disk_mb_per_domain"] = added / (many - few)
    return report
