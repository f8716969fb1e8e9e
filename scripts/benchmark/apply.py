"""What `multibert apply` costs, and what it survives: metrics/apply.json.

    python -m scripts.benchmark.apply training/pretrained/fa_multibert

Overheads, memory and kills are of a random pipeline on a toy core, in which all that is not the
network weighs most; `cost` is of MODEL. The texts are those of example/threads.jsonl, over and
over, each with a word of its own, so that a vocabulary that grows is seen to grow.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console

from ..build.toy_core import build_toy_core
from ..record import command_line, commit, readable_errors, save, table
from . import fresh
from .build import build_pipeline

EXAMPLE = Path("example/threads.jsonl")
PARTS = ("engines", "memory", "kills", "cost")
PART_SIZE = 1000


def write_texts(path: Path, n: int, *, seed: int = 0) -> list[str]:
    """Write JSONL with ids and threads of eight. RETURNS (list[str]): The texts."""
    rng = random.Random(seed)
    known = [json.loads(line)["text"] for line in EXAMPLE.read_text("utf8").splitlines()]
    texts = []
    with path.open("w", encoding="utf8") as file:
        for i in range(n):
            text = f"{known[i % len(known)]} {''.join(rng.choices('ابپتجدرزسشکلمنه', k=9))}"
            row = {"id": i, "text": text, "thread": i // 8}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            texts.append(text)
    return texts


def run_bare(model: str, input: str) -> dict[str, Any]:
    """RETURNS (dict): Seconds of a plain loop over `nlp.pipe`, after and with loading."""
    import spacy

    begin = time.perf_counter()
    nlp = spacy.load(model)
    loaded = time.perf_counter()
    with open(input, encoding="utf8") as lines:
        rows = map(json.loads, lines)
        pairs = ((row["text"], {"thread": row["thread"]}) for row in rows)
        n = sum(len(doc.ents) for doc, _ in nlp.pipe(pairs, as_tuples=True))
    end = time.perf_counter()
    return {"seconds": end - loaded, "with_loading": end - begin, "entities": n}


def run_apply(model: str, input: str, output: str, **settings: Any) -> dict[str, Any]:
    """RETURNS (dict): Seconds from call to return, the counts, and a hash of all rows."""
    import pyarrow.parquet as pq

    from multibert_spacy.scale import apply

    begin = time.perf_counter()
    counts = apply(model, input, output, part_size=PART_SIZE, **settings)
    seconds = time.perf_counter() - begin
    digest = hashlib.sha256()
    for path in sorted(Path(output).glob("part-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            digest.update(json.dumps(row, sort_keys=True).encode())
    return {"seconds": seconds, "rows": counts["rows"], "sha256": digest.hexdigest()}


def measure_engines(model: str, input: str, folder: Path, rounds: int) -> dict[str, Any]:
    """RETURNS (dict): Each engine beside a plain loop, the fastest of some rounds."""
    systems: dict[str, dict[str, Any]] = {
        name: {"engine": name.split()[0], "workers": int(name.split()[1])}
        for name in ("local 1", "ray 1", "spark 1", "local 2", "ray 2", "spark 2")
    }
    kwargs = {"model": model, "input": input}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in ("bare", *systems)}
    for i in range(rounds):
        results["bare"].append(fresh.call(run_bare, kwargs, threads=1)[0])
        for name, settings in systems.items():
            given = kwargs | settings | {"output": str(folder / f"{name}-{i}")}
            results[name].append(fresh.call(run_apply, given, threads=1)[0])
    bare = min(own["with_loading"] for own in results.pop("bare"))
    report: dict[str, Any] = {"bare_seconds": bare, "rounds": rounds}
    for name, runs in results.items():
        best = min(own["seconds"] for own in runs)
        report[name] = {"seconds": best, "to_bare": best / bare, "rows": runs[0]["rows"]}
    hashes = {own["sha256"] for runs in results.values() for own in runs}
    return {**report, "rows_are_equal": len(hashes) == 1}


def measure_memory(model: str, inputs: dict[int, str], folder: Path) -> dict[str, Any]:
    """RETURNS (dict): Peak MB of one process, by number of texts."""
    report = {}
    for n, input in inputs.items():
        given = {"model": model, "input": input, "output": str(folder / f"memory-{n}")}
        report[str(n)] = fresh.call(run_apply, given, threads=1)[1]
    return report


def measure_kills(model: str, input: str, folder: Path, n_kills: int) -> dict[str, Any]:
    """Kill -9 the command and all its processes, and go on, until it has been killed so often.

    RETURNS (dict): Kills, those in which no part had been done since the last, ids lost, doubled.
    """
    import pyarrow.parquet as pq

    rng = random.Random(0)
    output = folder / "killed"
    call = [sys.executable, "-m", "spacy", "multibert", "apply", model, input, str(output)]
    call += ["--part-size", "100", "--workers", "2", "--resume"]
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
    files = sorted(output.glob("part-*"))
    ids = [i for path in files for i in pq.read_table(path, columns=["id"])["id"].to_pylist()]
    wanted_ids = [json.loads(line)["id"] for line in Path(input).read_text("utf8").splitlines()]
    return {
        **{"kills": len(done), "without_a_part": done.count(0), "rows": len(ids)},
        **{"lost": len(set(wanted_ids) - set(ids)), "doubled": len(ids) - len(set(ids))},
        "in_order": ids == wanted_ids,
    }


def measure_cost(model: str, input: str, n: int, folder: Path) -> dict[str, Any]:
    """RETURNS (dict): Texts a second by workers of one thread, and core hours for a million."""
    path = folder / "cost.jsonl"
    with open(input, encoding="utf8") as lines:
        path.write_text("".join(islice(lines, n)), "utf8")
    given = {"model": model, "input": str(path)}
    report: dict[str, Any] = {"texts": n}
    for workers in (1, 2):
        own = given | {"output": str(folder / f"cost-{workers}"), "workers": workers}
        seconds = fresh.call(run_apply, own, threads=1)[0]["seconds"]
        hours = 1e6 * seconds / n * workers / 3600
        report[f"workers {workers}"] = {"texts_per_second": n / seconds, "core_hours": hours}
    return report


def main(
    model: Annotated[str, typer.Argument(help="Of which the cost is")] = "fa_multibert",
    n_texts: Annotated[int, typer.Option(help="Of the toy core; ten times for memory")] = 20000,
    n_cost: Annotated[int, typer.Option(help="Texts of MODEL")] = 2000,
    kills: Annotated[int, typer.Option(help="Kills")] = 20,
    only: Annotated[str, typer.Option(help="Parts, comma-separated")] = ",".join(PARTS),
    metrics: Annotated[Path, typer.Option(help="JSON file; other parts in it stay")] = Path(
        "metrics/apply.json"
    ),
) -> None:
    """Measure, and write what came out."""
    report = json.loads(metrics.read_text("utf8")) if metrics.exists() else {}
    wanted: Sequence[str] = only.split(",")
    with readable_errors(ValueError), TemporaryDirectory() as name:
        folder = Path(name)
        inputs = {n: str(folder / f"{n}.jsonl") for n in (n_texts, 10 * n_texts)}
        texts = [write_texts(Path(path), n) for n, path in inputs.items()][0]
        build_toy_core(folder / "core")
        toy = str(folder / "toy")
        build_pipeline(str(folder / "core"), 3, texts, detector="lora").to_disk(toy)
        head = {"command": command_line("scripts.benchmark.apply"), "commit": commit()}
        head["processors"] = str(os.cpu_count())
        run = {
            "engines": lambda: measure_engines(toy, inputs[n_texts], folder, 2),
            "memory": lambda: measure_memory(toy, inputs, folder),
            "kills": lambda: measure_kills(toy, inputs[n_texts], folder, kills),
            "cost": lambda: measure_cost(model, inputs[n_texts], n_cost, folder),
        }
        for part in wanted:
            report[part] = {**head, **run[part]()}
            save(report, metrics)
            rows = [{"": k, "value": json.dumps(v)} for k, v in report[part].items()]
            Console().print(table(part, rows))


if __name__ == "__main__":
    typer.run(main)
