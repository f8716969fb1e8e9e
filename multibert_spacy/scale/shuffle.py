"""Threads whose texts lie anywhere, brought together.

Rows are written into a table on disk and read back in the order of their threads: SQLite sorts
outside of memory, so that this needs disk for the texts, and memory for none of them. Threads come
in the order of their first texts; texts without one come together, as what they are: without.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .places import Place
from .readers import Source
from .rows import SHUFFLED, BadRow, Row, is_whole

__all__ = ["SHUFFLED_FOLDER", "shuffle"]

SHUFFLED_FOLDER = "_shuffled"
IN_ORDER = """
    SELECT body FROM rows JOIN (SELECT key, min(n) AS first FROM rows GROUP BY key) USING (key)
    ORDER BY first, n
"""


def shuffle(place: Place, rows: Iterable[Row | BadRow]) -> Source:
    """Write the rows of an input in the order of their threads.

    place (Place): The output, in which the file is kept until all is done.
    rows (Iterable[Row | BadRow]): All rows.
    RETURNS (Source): The file. What could not be read stands in it as it was found.
    """
    with TemporaryDirectory() as folder:
        base = sqlite3.connect(Path(folder) / "rows.sqlite", isolation_level=None)
        try:
            base.execute("PRAGMA journal_mode = OFF")
            base.execute("PRAGMA synchronous = OFF")
            base.execute("CREATE TABLE rows (n INTEGER PRIMARY KEY, key TEXT, body TEXT)")
            base.execute("BEGIN")
            base.executemany("INSERT INTO rows (key, body) VALUES (?, ?)", _table(rows))
            base.execute("COMMIT")
            place.fs.makedirs(place.path(SHUFFLED_FOLDER), exist_ok=True)
            name = f"{SHUFFLED_FOLDER}/rows.jsonl"
            with place.draft(name) as file:
                for (body,) in base.execute(IN_ORDER):
                    file.write(body.encode() + b"\n")
        finally:
            base.close()
    return Source(place.path(name), name, SHUFFLED)


def _table(rows: Iterable[Row | BadRow]) -> Iterator[tuple[str, str]]:
    """Yield the key and the content of each row."""
    for row in rows:
        body: dict[str, Any] = asdict(row)
        thread = body.get("thread")
        if not (thread is None or is_whole(thread)):
            body["thread"] = thread = str(thread)
        yield json.dumps(thread), json.dumps(body)
