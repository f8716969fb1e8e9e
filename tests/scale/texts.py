"""Texts of the toy language in files, and the rows that come out."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import spacy
from conftest import toy_text

DOMAINS = ["travel", "sports", "news"]


def toy_rows(n: int, *, thread: int = 4) -> list[dict[str, Any]]:
    """Texts with ids, in threads of one domain each."""
    return [
        {"id": i, "text": toy_text(DOMAINS[i // thread % 3], seed=i), "thread": i // thread}
        for i in range(n)
    ]


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows. RETURNS (Path): Where."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf8")
    return path


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """RETURNS (list[dict]): A file's rows."""
    return [json.loads(line) for line in path.read_text("utf8").splitlines()]


def read_output(folder: Path) -> list[dict[str, Any]]:
    """RETURNS (list[dict]): The rows of all output files, in their order."""
    import pyarrow.parquet as pq

    rows = []
    for path in sorted(folder.glob("part-*")):
        own = read_jsonl(path) if path.suffix == ".jsonl" else pq.read_table(path).to_pylist()
        rows.extend(own)
    return rows


def expected_rows(model: Path, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """RETURNS (list[dict]): What a loop over `nlp.pipe` gives for the rows."""
    nlp = spacy.load(model)
    pairs = [(row["text"], dict(row)) for row in rows]
    return [
        {
            "id": row["id"],
            "text": row["text"],
            "thread": row["thread"],
            "domain": doc._.domain,
            "domain_score": doc._.domain_score,
            "entities": [
                {
                    "start": ent.start_char,
                    "end": ent.end_char,
                    "label": ent.label_,
                    "score": ent._.score,
                    "text": ent.text,
                }
                for ent in doc.ents
            ],
        }
        for doc, row in nlp.pipe(pairs, as_tuples=True)
    ]
