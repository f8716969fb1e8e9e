"""Time our pipeline beside the bare core and what one would take instead, and measure its memory.

    python -m scripts.benchmark
    python -m scripts.benchmark --systems "ours lora 12,HF" --rounds 3 --only systems

All systems tag the same texts on the same core, in turn, in one process; memory and load
time are measured in processes of their own before that. That our variants find the same
entities is what tests/reliability is for.
"""

import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import spacy
import torch
import typer
from rich.console import Console
from rich.progress import Progress

from multibert_spacy.training.corpus import read_docs

from ..record import build_header, readable_errors, save, table
from . import fresh
from .build import ADAPTERS, engines, write_pipelines
from .memory import measure_memory
from .systems import MANY, Setup, System, choose, systems
from .texts import Text, mix
from .timing import time_systems

__all__ = ["PARTS", "app", "benchmark"]

app = typer.Typer(add_completion=False)
console = Console()

PARTS = ("memory", "systems")
MEMORY_TEXTS = 160
REPEATS = 3


def benchmark(
    core: str,
    texts: list[Text],
    folder: Path,
    *,
    chosen: Sequence[System],
    sizes: Sequence[int] = (1, MANY, 100),
    rounds: int = 5,
    parts: Sequence[str] = PARTS,
    threads: int = 2,
    seed: int = 0,
    measured: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Measure everything.

    folder (Path): Gets the pipelines, a gigabyte with the embedded core and 100 domains.
    chosen (Sequence[System]): What is timed, so many rounds.
    sizes (Sequence[int]): Numbers of domains for the memory.
    measured (Callable): Is given the report after each part, since all of them take long.
    RETURNS (dict): A value for each part.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    repeats = min(rounds, REPEATS)
    pipelines = [(adapter, n, None) for adapter in ADAPTERS for n in (MANY, *sizes)]
    pipelines += [system.pipeline for system in chosen if system.pipeline]
    setup = Setup(core, texts, folder, seed)
    report: dict[str, Any] = {}
    with Progress(console=console, transient=True) as progress:
        # In a process of its own, so that this one stays small: see `fresh.call`.
        task = progress.add_task("build pipelines", total=None)
        arguments = {
            "core": core,
            "wanted": list(dict.fromkeys(pipelines)),
            "texts": setup.strings[:256],
            "folder": str(folder.resolve()),
            "seed": seed,
        }
        fresh.call(write_pipelines, arguments, threads=threads)
        if "memory" in parts:
            progress.update(task, description="memory and load time")
            few = setup.strings[:MEMORY_TEXTS]
            domains = {n: setup.domains(n)[:MEMORY_TEXTS] for n in sizes}
            for adapter in ADAPTERS:
                folders = {n: setup.folder(adapter, n, None) for n in sizes}
                report.setdefault("memory", {})[adapter] = measure_memory(
                    folders, few, domains, threads=threads, repeats=repeats
                )
            measured(report)
        progress.remove_task(task)
        if "systems" in parts:
            report["systems"] = time_systems(chosen, setup, rounds=rounds, progress=progress)
    return report


def describe_machine() -> dict[str, Any]:
    """RETURNS (dict): Processor, cores, versions, and how busy it was over the last minutes."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    packages = ["torch", "transformers", "peft", "spacy", "spacy-transformers"]
    packages += ["openvino", "nncf"] if engines() else []
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


@app.command(help=__doc__)
def main(
    core: Annotated[str, typer.Option(help="Hugging Face name or folder.")] = "assets/core",
    corpus: Annotated[Path, typer.Option(help="Whose test sentences are joined to texts.")] = Path(
        "corpus/sample"
    ),
    limit: Annotated[int, typer.Option(min=1, help="Texts.")] = 640,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each system that count.")] = 5,
    names: Annotated[
        str, typer.Option("--systems", help="Parts of systems' names, comma-separated.")
    ] = "",
    only: Annotated[str, typer.Option(help="Parts, comma-separated.")] = ",".join(PARTS),
    sizes: Annotated[str, typer.Option(help="Numbers of domains.")] = f"1,{MANY},100",
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
    metrics: Annotated[Path, typer.Option(help="JSON file.")] = Path("metrics/speed.json"),
    seed: Annotated[int, typer.Option(help="Of texts, domains and weights.")] = 0,
) -> None:
    with readable_errors(ValueError, fresh.FreshError):
        numbers = [int(size) for size in sizes.split(",")]
        chosen = choose(systems(numbers), names)
        docs = read_docs(corpus / "test", spacy.blank("fa").vocab)
        report = build_header("scripts.benchmark", docs, corpus=corpus, split="test", seed=seed)
        report |= {"rounds": rounds, "threads": threads, "machine": describe_machine()}
        with tempfile.TemporaryDirectory() as folder:
            report |= benchmark(
                str(Path(core).resolve()) if Path(core).exists() else core,
                mix(docs, limit, seed=seed),
                Path(folder),
                chosen=chosen,
                sizes=numbers,
                rounds=rounds,
                parts=only.split(","),
                threads=threads,
                seed=seed,
                measured=lambda part: save({**report, **part}, metrics),
            )
    save(report, metrics)
    rows = [{"system": name, **own} for name, own in report.get("systems", {}).items()]
    if rows:
        columns = ("system", "texts_per_second", "pieces_per_second", "ratio")
        shown = [{column: row[column] for column in columns} for row in rows]
        console.print(table("Systems in turn; ratio: time over the bare core's in bf16", shown))


if __name__ == "__main__":
    app()
