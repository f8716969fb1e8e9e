"""What `multibert apply` costs, and what it survives: metrics/apply.json.

    python -m scripts.benchmark.apply training/pretrained/fa_multibert

Overheads, memory and kills are of a random pipeline on a toy core, in which all that is not the
network weighs most; `cost` is of MODEL. The texts are those of example/threads.jsonl, over and
over, each with a word of its own, so that a vocabulary that grows is seen to grow.
"""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console

from ..record import command_line, commit, readable_errors, save
from . import fresh
from .applied import make_toy, run_apply, run_bare

PARTS = ("engines", "memory", "kills", "cost")


def measure_engines(model: str, input: str, folder: Path, rounds: int) -> dict[str, Any]:
    """RETURNS (dict): Each engine beside a plain loop, the fastest of some rounds."""
    systems = [("local", 1), ("ray", 1), ("spark", 1), ("local", 2)]
    bare, runs = [], {system: [] for system in systems}  # type: ignore[var-annotated]
    for i in range(rounds):
        bare.append(
            fresh.call(run_bare, {"model": model, "input": input}, threads=1, peak=False)[0]
        )
        for engine, workers in systems:
            given = {"model": model, "input": input, "engine": engine, "workers": workers}
            given["output"] = str(folder / f"{engine}-{workers}-{i}")
            runs[engine, workers].append(fresh.call(run_apply, given, threads=1, peak=False)[0])
    report: dict[str, Any] = {"rounds": rounds, "bare_seconds": bare}
    for (engine, workers), own in runs.items():
        seconds = [run["seconds"] for run in own]
        to_bare = min(seconds) / min(bare)
        report[f"{engine} {workers}"] = {"seconds": seconds, "to_bare": to_bare}
    hashes = {run["sha256"] for own in runs.values() for run in own}
    return {**report, "rows": own[0]["rows"], "rows_are_equal": len(hashes) == 1}


def measure_memory(model: str, inputs: dict[int, str], folder: Path) -> dict[str, Any]:
    """RETURNS (dict): Peak MB of one process, by number of texts."""
    report = {}
    for n, input in inputs.items():
        given = {"model": model, "input": input, "output": str(folder / f"{n}")}
        report[str(n)] = fresh.call(run_apply, given, threads=1)[1]
    return report


def measure_kills(model: str, input: str, folder: Path, n_kills: int) -> dict[str, Any]:
    """Kill -9 the command and all its processes, and go on, until it has been killed so often.

    RETURNS (dict): Kills, those in which no part had been done since the last, ids lost, doubled.
    """
    import pyarrow.parquet as pq

    rng = random.Random(0)
    output = folder / "killed"
    call = shlex.split("-m spacy multibert apply --part-size 100 --workers 2 --resume")
    call = [sys.executable, *call, model, input, str(output)]
    done: list[int] = []
    while len(done) < n_kills:
        before = len(list(output.glob("part-*")))
        process = subprocess.Popen(call, start_new_session=True, stderr=subprocess.DEVNULL)
        most = rng.uniform(0, 10) if len(done) % 4 == 0 else 300  # before or after it has begun
        until, wanted = time.monotonic() + most, before + rng.randint(1, 6)
        while time.monotonic() < until and len(list(output.glob("part-*"))) < wanted:
            time.sleep(rng.uniform(0, 0.02))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        done.append(len(list(output.glob("part-*"))) - before)
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ids = [
        i for path in sorted(output.glob("part-*")) for i in pq.read_table(path)["id"].to_pylist()
    ]
    asked = [json.loads(line)["id"] for line in Path(input).read_text("utf8").splitlines()]
    report = {"kills": len(done), "without_a_part": done.count(0), "in_order": ids == asked}
    lost, doubled = len(set(asked) - set(ids)), len(ids) - len(set(ids))
    return {**report, "rows": len(ids), "lost": lost, "doubled": doubled}


def measure_cost(model: str, input: str, n: int, folder: Path) -> dict[str, Any]:
    """RETURNS (dict): Seconds for n texts with one and two workers of one thread each, and core
    hours for a million.
    """
    path = folder / "cost.jsonl"
    report: dict[str, Any] = {"texts": n}
    with open(input, encoding="utf8") as lines:
        path.write_text("".join(islice(lines, n)), "utf8")
    for workers in (1, 2):
        given = {"model": model, "input": str(path), "output": str(folder / f"cost-{workers}")}
        seconds = fresh.call(run_apply, given | {"workers": workers}, threads=1, peak=False)[0][
            "seconds"
        ]
        report[f"seconds_{workers}"] = seconds
        report[f"hours_{workers}"] = seconds * workers / n / 3.6e-3
    return report


def main(
    model: Annotated[str, typer.Argument(help="Of which the cost is")] = "fa_multibert",
    n_texts: Annotated[int, typer.Option(help="Of the toy core; ten times for memory")] = 20000,
    rounds: Annotated[int, typer.Option(help="Of the engines")] = 2,
    kills: Annotated[int, typer.Option(help="Kills")] = 20,
    only: Annotated[str, typer.Option(help="Parts, comma-separated")] = ",".join(PARTS),
    metrics: Path = Path("metrics/apply.json"),
) -> None:
    """Measure, and write what came out."""
    report = json.loads(metrics.read_text("utf8")) if metrics.exists() else {}
    head = {"command": command_line("scripts.benchmark.apply"), "commit": commit()}
    head["processors"] = str(os.cpu_count())
    with readable_errors(ValueError), TemporaryDirectory() as name:
        folder = Path(name)
        toy, sizes = str(folder / "toy"), [n_texts, 10 * n_texts]
        fresh.call(make_toy, {"folder": name, "sizes": sizes}, threads=1, peak=False)
        inputs = {n: str(folder / f"{n}.jsonl") for n in sizes}
        run = {
            "engines": lambda: measure_engines(toy, inputs[n_texts], folder, rounds),
            "memory": lambda: measure_memory(toy, inputs, folder),
            "kills": lambda: measure_kills(toy, inputs[n_texts], folder, kills),
            "cost": lambda: measure_cost(model, inputs[n_texts], n_texts // 10, folder),
        }
        for part in only.split(","):
            report[part] = {**head, **run[part]()}
            save(report, metrics)
            Console().print(part, report[part])


if __name__ == "__main__":
    typer.run(main)
