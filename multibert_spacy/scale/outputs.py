"""The rows that come out, in one schema, as Parquet or JSONL.

| column | type | |
|---|---|---|
| id | int64 or string | null if the row has none; `file:line` if no row of the input has one |
| text | string | not with `no_text` |
| thread | int64 or string | null if the row has none |
| domain | string | |
| domain_score | double | null where the domain was given |
| entities | list of {start int32, end int32, label string, score double, text string} | |

`start` and `end` count characters (code points). `id` and `thread` are int64 if all of the input's
are whole numbers, else strings.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Any

from spacy.tokens import Doc

from .extras import need
from .plan import Plan
from .rows import Row

__all__ = ["FORMATS_OUT", "result_of", "write_results"]

ROW_GROUP = 1024
"""Rows that are held before they are written."""


def result_of(row: Row, doc: Doc, plan: Plan) -> dict[str, Any]:
    """Return what is written of a tagged text."""
    made_up = None if plan.id else f"{row.file}:{row.line}"
    result: dict[str, Any] = {"id": made_up or _key(row.id, plan.id)}
    if not plan.settings.no_text:
        result["text"] = row.text
    result["thread"] = _key(row.thread, plan.thread)
    result["domain"] = doc._.domain
    result["domain_score"] = doc._.domain_score
    result["entities"] = [
        {
            "start": ent.start_char,
            "end": ent.end_char,
            "label": ent.label_,
            "score": ent._.score,
            "text": ent.text,
        }
        for ent in doc.ents
    ]
    return result


def _key(value: Any, kind: str) -> Any:
    return value if value is None or kind == "int64" else str(value)


def write_results(file: IO[bytes], results: Iterable[dict[str, Any]], plan: Plan) -> None:
    """Write rows, some at a time.

    file (IO[bytes]): Where to.
    results (Iterable[dict]): See `result_of`.
    plan (Plan): Which format and which types.
    """
    FORMATS_OUT[plan.settings.format](file, iter(results), plan)


def _write_jsonl(file: IO[bytes], results: Iterator[dict[str, Any]], plan: Plan) -> None:
    for result in results:
        file.write(json.dumps(result, ensure_ascii=False).encode() + b"\n")


def _write_parquet(file: IO[bytes], results: Iterator[dict[str, Any]], plan: Plan) -> None:
    arrow, parquet = need("pyarrow", "apply"), need("pyarrow.parquet", "apply")
    schema = _schema(arrow, plan)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while rows := list(islice(results, ROW_GROUP)):
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))


def _schema(arrow: Any, plan: Plan) -> Any:
    """Return the `pyarrow.Schema` of the module's table."""
    kinds = {"int64": arrow.int64(), "string": arrow.string(), "": arrow.string()}
    entity = {
        **{"start": arrow.int32(), "end": arrow.int32(), "label": arrow.string()},
        **{"score": arrow.float64(), "text": arrow.string()},
    }
    fields = {
        "id": kinds[plan.id],
        "text": arrow.string(),
        "thread": kinds[plan.thread],
        "domain": arrow.string(),
        "domain_score": arrow.float64(),
        "entities": arrow.list_(arrow.struct(list(entity.items()))),
    }
    if plan.settings.no_text:
        del fields["text"]
    return arrow.schema(list(fields.items()))


FORMATS_OUT = {"parquet": _write_parquet, "jsonl": _write_jsonl}
"""Name of a format, which is its files' ending, and what writes it."""
