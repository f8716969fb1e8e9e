"""Time our pipeline beside the bare core and what one would take instead, and measure its memory.

    python -m scripts.benchmark
    python -m scripts.benchmark --texts my.jsonl --systems "ours lora 12,HF" --rounds 3 --no-train

All systems tag the same texts on the same core, in turn, in one process; memory, load time and
training are measured in processes of their own before that. First of all it is checked that our
variants find the same entities: if they do not, the command fails.
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

from ..record import build_header, readable_errors, save
from . import fresh
from .build import ADAPTERS, engines, write_pipelines
from .equality import Mismatch, check_pipelines
from .memory import measure_memory
from .stages import measure_stages
from .systems import MANY, Setup, System, choose, systems
from .table import print_report
from .texts import Text, mix, read_texts
from .timing import time_systems
from .training import compare_training

__all__ = ["app", "benchmark"]

app = typer.Typer(add_completion=False)
console = Console()

EQUALITY_TEXTS = 160
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
    memory: bool = True,
    train_steps: int = 60,
    threads: int = 2,
    seed: int = 0,
    measured: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Measure everything.

    core (str): Hugging Face name or folder.
    texts (list[Text]): What is tagged.
    folder (Path): Gets the pipelines, a gigabyte with the embedded core and 100 domains.
    chosen (Sequence[System]): What is timed.
    sizes (Sequence[int]): Numbers of domains for the memory.
    rounds (int): How often every system tags all texts.
    memory (bool): Whether memory and load time are measured.
    train_steps (int): Batches of the training; 0 leaves it out.
    threads (int): Of torch and of the tokenizers.
    seed (int): Of weights and domains.
    measured (Callable): Is given the report after each part, since all of them take half an hour.
    RETURNS (dict): "memory", "training", "equality", "systems" and "stages".
    RAISES (Mismatch): If our variants differ.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    repeats = min(rounds, REPEATS)
    pipelines = [(adapter, MANY, None) for adapter in ADAPTERS]
    pipelines += [system.pipeline for system in chosen if system.pipeline]
    if memory:
        pipelines += [(adapter, n, None) for adapter in ADAPTERS for n in sizes]
    if train_steps:
        pipelines.append(("lora", 1, None))
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
        if memory:
            progress.update(task, description="memory and load time")
            few = setup.strings[:MEMORY_TEXTS]
            domains = {n: setup.domains(n)[:MEMORY_TEXTS] for n in sizes}
            common: dict[str, Any] = {"threads": threads, "repeats": repeats}
            report["memory"] = {
                adapter: measure_memory(
                    {n: setup.folder(adapter, n, None) for n in sizes}, few, domains, **common
                )
                for adapter in ADAPTERS
            }
            measured(report)
        if train_steps:
            progress.update(task, description="training")
            report["training"] = compare_training(
                core,
                setup.folder("lora", 1, None),
                setup.strings,
                steps=train_steps,
                threads=threads,
                repeats=repeats,
            )
            measured(report)
        progress.update(task, description="equality of entities")
        report["equality"] = check_pipelines(setup, limit=EQUALITY_TEXTS)
        progress.remove_task(task)
        report["systems"] = time_systems(chosen, setup, rounds=rounds, progress=progress)
        measured(report)
        report["stages"] = {
            system.name: measure_stages(
                setup.load(*system.pipeline, system.engine),
                setup.strings,
                None if system.pipeline[2] else setup.domains(system.pipeline[1]),
            )
            for system in chosen
            if system.pipeline and system.pipeline[1] == MANY
        }
    return report


def describe_machine() -> dict[str, Any]:
    """RETURNS (dict): Processor, cores, versions, and how busy it was over the last minutes."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor()
    packages = ["torch", "transformers", "peft", "spacy", "spacy-transformers"]
    packages += ["openvino", "nncf"] if engines() else []
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


@app.command(help=__doc__)
def main(
    core: Annotated[str, typer.Option(help="Hugging Face name or folder.")] = "assets/core",
    corpus: Annotated[Path, typer.Option(help="Whose sentences are joined to texts.")] = Path(
        "corpus/sample"
    ),
    split: Annotated[str, typer.Option(help="Part of the corpus.")] = "test",
    texts: Annotated[
        Path | None, typer.Option(help="Own texts instead: a line each, or JSONL.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Texts.")] = 640,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each system that count.")] = 5,
    only: Annotated[
        str, typer.Option("--systems", help="Parts of systems' names, comma-separated.")
    ] = "",
    sizes: Annotated[str, typer.Option(help="Numbers of domains.")] = f"1,{MANY},100",
    memory: Annotated[bool, typer.Option(help="Measure memory and load time.")] = True,
    train: Annotated[bool, typer.Option(help="Measure the training of an adapter.")] = True,
    train_steps: Annotated[int, typer.Option(min=1, help="Batches of it.")] = 60,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
    metrics: Annotated[Path, typer.Option(help="JSON file.")] = Path("metrics/speed.json"),
    seed: Annotated[int, typer.Option(help="Of texts, domains and weights.")] = 0,
) -> None:
    with readable_errors(Mismatch, ValueError, fresh.FreshError):
        numbers = [int(size) for size in sizes.split(",")]
        chosen = choose(systems(numbers), only)
        docs = [] if texts else read_docs(corpus / split, spacy.blank("fa").vocab)
        what = read_texts(texts, limit) if texts else mix(docs, limit, seed=seed)
        header = build_header(
            "scripts.benchmark",
            docs,
            corpus=texts or corpus,
            split="" if texts else split,
            seed=seed,
            limit_groups=0,
        )
        settings = {"rounds": rounds, "threads": threads, "machine": describe_machine()}
        with tempfile.TemporaryDirectory() as folder:
            report = benchmark(
                str(Path(core).resolve()) if Path(core).exists() else core,
                what,
                Path(folder),
                chosen=chosen,
                sizes=numbers,
                rounds=rounds,
                memory=memory,
                train_steps=train_steps if train else 0,
                threads=threads,
                seed=seed,
                measured=lambda part: save({**header, **settings, **part}, metrics),
            )
    report = {**header, **settings, **report}
    save(report, metrics)
    print_report(report, console)


if __name__ == "__main__":
    app()
