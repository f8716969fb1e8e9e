"""Time our pipeline beside the bare core and what one would take instead, and measure its memory.

    python -m scripts.benchmark
    OMP_NUM_THREADS=2 python -m scripts.benchmark --systems "ours lora 12,HF" --rounds 3

All systems tag the same texts on the same core, in turn, in one process; memory and load
time are measured in processes of their own before that, unless systems are chosen. Behind that
pipelines as the shipped one tag one text at a time, and batches of all sizes. That our
variants find the same entities is what tests/reliability is for.
"""

import os
import platform
import re
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import spacy
import torch
import typer
from rich.console import Console
from rich.progress import Progress

from multibert_spacy.training.corpus import read_docs

from ..options import Core, Corpus
from ..record import build_header, readable_errors, save, table
from . import fresh
from .build import ADAPTERS, engines, write_pipelines
from .latency import measure_latency
from .memory import measure_memory
from .systems import MANY, Setup, System, choose, systems
from .texts import Text, mix
from .timing import time_systems

app = typer.Typer(add_completion=False)
console = Console()

SEED = 0
N_TEXTS = 640
MEMORY_TEXTS = 160
SIZES = (1, MANY, 100)
"""Numbers of domains."""
REPEATS = 3
LEVELS = ("amx_tile", "avx512_bf16", "avx512_vnni", "avx512f", "avx2")
"""Flags by which Linux says what a processor can do, the best first."""


def benchmark(
    core: str,
    texts: list[Text],
    folder: Path,
    *,
    chosen: Sequence[System],
    rounds: int = 5,
    memory: bool = True,
    measured: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Measure everything.

    folder (Path): Gets the pipelines, a gigabyte with the embedded core and 100 domains.
    chosen (Sequence[System]): What is timed, so many rounds.
    memory (bool): Whether memory is measured too, for pipelines of SIZES domains.
    measured (Callable): Is given the report when memory was measured, since all of it takes long.
    RETURNS (dict): "memory", by adapter, "systems", and "latency", by system.
    """
    threads = torch.get_num_threads()
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    pipelines = [("lora", MANY, None), *(own.pipeline for own in chosen if own.pipeline)]
    if memory:
        pipelines += [(adapter, n, None) for adapter in ADAPTERS for n in SIZES]
    setup = Setup(core, texts, folder, SEED)
    report: dict[str, Any] = {}
    with Progress(console=console, transient=True) as progress:
        # In a process of its own, so that this one stays small: see `fresh.call`.
        task = progress.add_task("build pipelines", total=None)
        arguments = {
            "core": core,
            "wanted": list(dict.fromkeys(pipelines)),
            "texts": setup.strings[:256],
            "folder": str(folder.resolve()),
            "seed": SEED,
        }
        fresh.call(write_pipelines, arguments, threads=threads)
        if memory:
            progress.update(task, description="memory and load time")
            few = setup.strings[:MEMORY_TEXTS]
            domains = {n: setup.domains(n)[:MEMORY_TEXTS] for n in SIZES}
            for adapter in ADAPTERS:
                folders = {n: setup.folder(adapter, n, None) for n in SIZES}
                report.setdefault("memory", {})[adapter] = measure_memory(
                    folders, few, domains, threads=threads, repeats=min(rounds, REPEATS)
                )
            measured(report)
        progress.remove_task(task)
        report["systems"] = time_systems(chosen, setup, rounds=rounds, progress=progress)
        progress.add_task("one text at a time", total=None)
        report["latency"] = measure_latency(chosen, setup)
    return report


def processor_level(flags: Collection[str]) -> str:
    """RETURNS (str): What oneDNN was told, else the best of a processor with these flags."""
    told = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    if told and told.upper() not in ("ALL", "DEFAULT"):
        return f"{told}-forced"
    return next((flag for flag in LEVELS if flag in flags), platform.machine())


def slug(machine: Mapping[str, Any]) -> str:
    """RETURNS (str): A file's name: the processor's and its level, as amd-epyc-avx2."""
    name = re.sub(r"\((R|TM)\)|CPU|Processor|@.*", " ", machine["cpu"])
    return re.sub(r"[^a-z0-9]+", "-", f"{name} {machine['level']}".lower()).strip("-")


def describe_machine() -> dict[str, Any]:
    """RETURNS (dict): Processor, cores, versions, and how busy it was over the last minutes."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    packages = ["torch", "transformers", "peft", "spacy", "spacy-transformers"]
    packages += ["openvino", "nncf"] if engines() else []
    return {
        "cpu": names[0] if names else platform.processor(),
        "level": processor_level(flags),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


@app.command(help=__doc__)
def main(
    core: Core = "assets/core",
    corpus: Corpus = Path("corpus/sample"),
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each system that count.")] = 5,
    names: Annotated[str, typer.Option("--systems", help="Parts of names, with commas")] = "",
    metrics: Annotated[Path, typer.Option(help="JSON, or its folder")] = Path("metrics/speed"),
) -> None:
    with readable_errors(ValueError, fresh.FreshError):
        chosen = choose(systems(SIZES), names)
        docs = read_docs(corpus / "test", spacy.blank("fa").vocab)
        report = build_header("scripts.benchmark", docs, corpus=corpus, seed=SEED)
        report |= {"rounds": rounds, "threads": torch.get_num_threads()}
        report["machine"] = describe_machine()
        if metrics.suffix != ".json":
            metrics = metrics / f"{slug(report['machine'])}.json"
        with tempfile.TemporaryDirectory() as folder:
            report |= benchmark(
                str(Path(core).resolve()) if Path(core).exists() else core,
                mix(docs, N_TEXTS, seed=SEED),
                Path(folder),
                chosen=chosen,
                rounds=rounds,
                memory=not names,
                measured=lambda part: save({**report, **part}, metrics),
            )
    save(report, metrics)
    columns = ("texts_per_second", "pieces_per_second", "ratio")
    rows = [
        {"system": name, **{column: own[column] for column in columns}}
        for name, own in report["systems"].items()
    ]
    console.print(table("Systems in turn; ratio: time over the bare core's in bf16", rows))


if __name__ == "__main__":
    app()
