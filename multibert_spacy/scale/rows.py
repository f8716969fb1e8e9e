"""Turn records into rows for the pipeline, or say what is wrong with them."""

from collections.abc import Hashable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..text.keys import is_missing
from ..text.surrogates import error_of
from .places import open_place
from .readers import Record, Source, find_sources, read_records

__all__ = ["SHUFFLED", "BadRow", "Columns", "Row", "is_whole", "read_all", "read_rows"]

SHUFFLED = "shuffled"
"""The format of what `shuffle.py` writes: rows that have been checked."""
TEXT_ALONE = ("csv", "tsv")
"""Formats whose values are all text."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns; the last three need not be there."""

    text: str = "text"
    id: str = "id"
    thread: str = "thread"
    domain: str = "domain"

    def all(self) -> list[str]:
        """Return the names of the columns, that of the texts first."""
        return list(asdict(self).values())


@dataclass(frozen=True, slots=True)
class Row:
    """A text and what is known of it."""

    file: str
    line: int
    start: int
    id: int | str | None
    text: str
    thread: Any
    domain: str | None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that has no text to tag."""

    file: str
    line: int
    start: int
    error: str

    def as_json(self) -> dict[str, Any]:
        """Return its line of `errors.jsonl`."""
        return {"file": self.file, "line": self.line, "error": self.error}


def read_rows(
    fs: Any,
    source: Source,
    columns: Columns,
    *,
    max_length: int,
    start: int = 0,
    line: int = 1,
    missing: set[str] | None = None,
) -> Iterator[Row | BadRow]:
    """Read a file's rows and check each.

    fs, source, start, line: See `read_records`.
    columns (Columns): Their names.
    max_length (int): Characters of a text at the most, the pipeline's.
    missing (set[str]): Columns that no record has had so far; those that one has are removed.
    YIELDS (Row | BadRow): One for each record.
    """
    for record in read_records(fs, source, columns.all(), start, line):
        if missing and record.values is not None:
            missing.difference_update(record.values)
        if source.format == SHUFFLED and record.values is not None:
            kind = BadRow if "error" in record.values else Row
            yield kind(**(record.values | {"start": record.start}))
        else:
            yield _check(record, source, columns, max_length)


def read_all(input: str, columns: Columns, *, max_length: int) -> Iterator[Row | BadRow]:
    """Read the rows of all files of an input, in order, and check each.

    input (str): A file, a folder or a glob pattern; a path or a URL.
    columns, max_length: See `read_rows`.
    YIELDS (Row | BadRow): One for each record.
    RAISES (CorpusError): If there is no file that can be read.
    """
    place = open_place(input)
    for source in find_sources(place.fs, place.root):
        yield from read_rows(place.fs, source, columns, max_length=max_length)


def _check(record: Record, source: Source, columns: Columns, max_length: int) -> Row | BadRow:
    """Return a record as a row, or as a bad one."""
    values = record.values
    error = record.error if values is None else _error(values, columns, max_length)
    if values is None or error:
        return BadRow(source.name, record.line, record.start, error)
    key, thread, domain = (
        None if _is_hole(values.get(name), source) else values[name]
        for name in (columns.id, columns.thread, columns.domain)
    )
    return Row(
        source.name,
        record.line,
        record.start,
        None if key is None else _plain(key),
        values[columns.text],
        thread,
        domain,
    )


def _is_hole(value: Any, source: Source) -> bool:
    """Return whether a value means "not given". A table of text alone can write NaN only as text;
    in the other formats a text is what it says.
    """
    return is_missing(value) or (source.format in TEXT_ALONE and value in ("NaN", "nan"))


def _plain(key: Any) -> int | str:
    return key if is_whole(key) else str(key)


def is_whole(key: Any) -> bool:
    """Return whether a key is a whole number that an int64 column holds."""
    return isinstance(key, int) and not isinstance(key, bool) and -(2**63) <= key < 2**63


def _error(values: dict[str, Any], columns: Columns, max_length: int) -> str:
    """Return what is wrong with a record; "" if nothing is."""
    text = values.get(columns.text)
    if text is None:
        return f"no {columns.text!r}"
    if not isinstance(text, str):
        return f"{columns.text!r} is no string, but {type(text).__name__}"
    if len(text) > max_length:
        return f"{columns.text!r} has {len(text)} characters, the pipeline takes {max_length}"
    domain = values.get(columns.domain)
    if not is_missing(domain) and not isinstance(domain, str):
        return f"{columns.domain!r} is no string, but {type(domain).__name__}"
    thread = values.get(columns.thread)
    if not isinstance(thread, Hashable):
        return f"{columns.thread!r} must be a string or a number, got {thread!r:.120}"
    for name in columns.all():
        if error_of(str(values.get(name))) is not None:
            return f"{name!r} holds half a character, or bytes that are no UTF-8"
    return ""
