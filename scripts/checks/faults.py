"""Damage every file of a saved pipeline and see what loading it says.

    python -m scripts.checks.faults training/pretrained/fa_multibert \
        --metrics metrics/persian/faults.json

Each file in turn is taken away, emptied, cut, exchanged for its namesake of another folder, and
has one bit flipped. Then the pipeline is loaded and tags a few texts. What happened is one of

    named     an error that holds the file's name
    nameless  an error without it
    warned    other results, and a logged warning that holds the file's name
    same      no error and the same results: the damage did not matter
    silent    no error and other results: what must not be
"""

import logging
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import spacy
import srsly
import typer
from rich.console import Console

from ..record import command_line, commit, save

console = Console()


class Fault(NamedTuple):
    """One damage of one file (a relative name) and what came of it."""

    file: str
    damage: str
    outcome: str
    message: str


def damages(
    path: Path, root: Path, rng: random.Random, *, cuts: int
) -> Iterator[tuple[str, bytes | None]]:
    """The damaged contents of a file.

    cuts (int): How many places to cut at; twice as many bits are flipped.
    YIELDS (tuple): What was done, and the contents; None where the file is missing.
    """
    data = path.read_bytes()
    yield "missing", None
    if data:
        yield "empty", b""
    for _ in range(cuts if len(data) > 1 else 0):
        end = rng.randrange(1, len(data))
        yield f"cut at {end} of {len(data)}", data[:end]
    for _ in range(2 * cuts if data else 0):
        bit = rng.randrange(8 * len(data))
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit} of {8 * len(data)} flipped", bytes(changed)
    others = [p for p in sorted(root.rglob(path.name)) if p != path and p.read_bytes() != data]
    if others:
        other = rng.choice(others)
        yield f"from {other.parent.relative_to(root).as_posix()}", other.read_bytes()


def _results(folder: Path, texts: Sequence[str]) -> list[Any]:
    """Domain and entities of each text, each text with every domain and with the detected one."""
    nlp = spacy.load(folder)
    domains = [None, *nlp.get_pipe("multibert_ner").domains]
    pairs = [(text, {"domain": domain}) for domain in domains for text in texts]
    return [
        (doc._.domain, [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents])
        for doc, _ in nlp.pipe(pairs, as_tuples=True)
    ]


def try_out(folder: Path, file: str, texts: Sequence[str], expected: list[Any]) -> tuple[str, str]:
    """Load a damaged pipeline and tag.

    RETURNS (tuple): The outcome, and the message that was seen.
    """
    warnings = BufferingHandler(10**6)
    warnings.setLevel(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("spacy", "multibert_spacy")]
    for logger in loggers:
        logger.addHandler(warnings)
    try:
        results = _results(folder, texts)
    except Exception as e:  # whatever it is, it is what the user sees
        message = f"{type(e).__name__}: {e}"
        named = file in message or Path(file).name in message
        return ("named" if named else "nameless"), message
    finally:
        for logger in loggers:
            logger.removeHandler(warnings)
    if results == expected:
        return "same", ""
    messages = [record.getMessage() for record in warnings.buffer]
    said = [message for message in messages if Path(file).name in message]
    return ("warned", said[0]) if said else ("silent", "")


def run_faults(
    pipeline: Path, texts: Sequence[str], *, cuts: int = 2, seed: int = 0
) -> list[Fault]:
    """Damage every file of a pipeline, one at a time, in a copy that shares the others.

    pipeline (Path): A saved pipeline; not changed.
    cuts (int): For each file, how many places to cut at; twice as many bits are flipped.
    """
    rng = random.Random(seed)
    expected = _results(pipeline, texts)
    faults = []
    with tempfile.TemporaryDirectory(dir=pipeline.parent, prefix=".faults") as root:
        copy = Path(root) / pipeline.name
        shutil.copytree(pipeline, copy, copy_function=os.link)
        for path in sorted(p for p in copy.rglob("*") if p.is_file()):
            name = path.relative_to(copy).as_posix()
            for damage, content in damages(path, copy, rng, cuts=cuts):
                path.unlink()  # the linked original stays as it is
                if content is not None:
                    path.write_bytes(content)
                outcome, message = try_out(copy, name, texts, expected)
                faults.append(Fault(name, damage, outcome, message[:300]))
                path.unlink(missing_ok=True)
                os.link(pipeline / name, path)
    return faults


def main(
    pipeline: Path,
    texts: Annotated[Path, typer.Option(help="JSON lines")] = Path("example/threads.jsonl"),
    n_texts: Annotated[int, typer.Option(help="How many of them")] = 8,
    cuts: Annotated[int, typer.Option(help="Places to cut each file at; twice as many bits")] = 2,
    seed: int = 0,
    metrics: Annotated[Path | None, typer.Option(help="JSON of the result")] = None,
) -> None:
    """Damage every file of a saved pipeline and see what loading it says."""
    chosen = [row["text"] for row in islice(srsly.read_jsonl(texts), n_texts)]
    faults = run_faults(pipeline, chosen, cuts=cuts, seed=seed)
    counts = Counter(fault.outcome for fault in faults)
    for fault in faults:
        if fault.outcome in ("silent", "nameless", "warned"):
            console.print(*fault, sep=" | ", markup=False, soft_wrap=True)
    console.print(dict(counts))
    if metrics is not None:
        by_file = groupby(faults, key=lambda fault: fault.file)
        report = {
            "command": command_line("scripts.checks.faults"),
            "commit": commit(),
            "seed": seed,
            "faults": len(faults),
            "outcomes": dict(counts),
            "by_file": {name: Counter(own.outcome for own in found) for name, found in by_file},
        }
        save(report, metrics)
    if counts["silent"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
