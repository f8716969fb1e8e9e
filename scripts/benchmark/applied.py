"""What `apply.py` times, in processes of their own."""

import hashlib
import json
import random
import time
from pathlib import Path
from typing import Any

__all__ = ["make_toy", "run_apply", "run_bare"]

EXAMPLE = Path("example/threads.jsonl")
PART_SIZE = 1000


def write_texts(path: Path, n: int, *, seed: int = 0) -> list[str]:
    """Write JSONL with ids and threads of eight. RETURNS (list[str]): The texts."""
    rng = random.Random(seed)
    known = [json.loads(line)["text"] for line in EXAMPLE.read_text("utf8").splitlines()]
    own = ["".join(rng.choices("ابپتجدرزسشکلمنه", k=9)) for _ in range(n)]
    texts = [f"{known[i % len(known)]} {word}" for i, word in enumerate(own)]
    rows = ({"id": i, "text": text, "thread": i // 8} for i, text in enumerate(texts))
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf8")
    return texts


def make_toy(folder: str, sizes: list[int]) -> None:
    """Write `toy`, a random pipeline, and a file of texts for each size, `SIZE.jsonl`."""
    from ..build.toy_core import build_toy_core
    from .build import build_pipeline

    home = Path(folder)
    texts = [write_texts(home / f"{n}.jsonl", n) for n in sizes][0]
    build_toy_core(home / "core")
    build_pipeline(str(home / "core"), 3, texts, detector="lora").to_disk(home / "toy")


def run_bare(model: str, input: str) -> float:
    """RETURNS (float): Seconds of loading and a plain loop over `nlp.pipe`."""
    import spacy

    begin = time.perf_counter()
    nlp = spacy.load(model)
    with open(input, encoding="utf8") as lines:
        pairs = ((row["text"], {"thread": row["thread"]}) for row in map(json.loads, lines))
        for doc, _ in nlp.pipe(pairs, as_tuples=True):
            len(doc.ents)
    return time.perf_counter() - begin


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
