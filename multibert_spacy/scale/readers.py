"""Records of JSONL, CSV and Parquet files, each with the place where it begins.

A file can be read from any such place on, so that several processes share one. A record that
cannot be read is a record all the same, with what is wrong with it; only a file that is none at
all, or has not the column, is an error.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from ..errors import CorpusError
from .extras import need

__all__ = ["FORMATS", "Record", "Source", "find_sources", "read_records"]

FORMATS = {
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"},
    **{".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".pq": "parquet"},
}
"""Endings of files that are read, and the formats they mean."""
ENDINGS = ", ".join(FORMATS)
LONGEST_FIELD = 1 << 20
"""Characters of a field of CSV; the quotation mark that nobody closed costs no more than that."""


@dataclass(frozen=True)
class Source:
    """A file of the input."""

    path: str
    """As its file system takes it."""
    name: str
    """Relative to the input: what errors and made-up ids call it."""
    format: str


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file."""

    start: int
    """Where to read from to get it again: a byte, in Parquet a row."""
    line: int
    """Line on which it begins, in Parquet its row; from 1."""
    values: dict[str, Any] | None
    """Column -> value; None if it cannot be read."""
    error: str = ""


def find_sources(fs: Any, path: str) -> list[Source]:
    """Find the files of an input.

    fs (Any): Their file system, of fsspec.
    path (str): A file, a folder or a glob pattern on it. Of a folder all files of a known ending
        are taken, whatever the depth, but not what begins with `_` or `.`.
    RETURNS (list): The files, in the order of their names.
    RAISES (CorpusError): If there is none, or a file's ending says nothing.
    """
    path = path.rstrip("/")
    if fs.isfile(path):
        return [_source(path, path.rpartition("/")[0])]
    if fs.isdir(path):
        found = [name for name in fs.find(path) if not _is_hidden(name[len(path) :])]
        found = [name for name in found if _ending(name) in FORMATS]
        root = path
    else:
        found = [name for name in fs.glob(path) if fs.isfile(name)]
        root = path.split("*")[0].rpartition("/")[0]
    if not found:
        raise CorpusError(f"{path} has no file to read: expected one that ends in {ENDINGS}")
    return [_source(name, root) for name in sorted(found)]


def _ending(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    return f".{name.rsplit('.', 1)[-1].lower()}" if "." in name else ""


def _is_hidden(path: str) -> bool:
    return any(part[:1] in ("_", ".") for part in path.split("/") if part)


def _source(path: str, root: str) -> Source:
    if _ending(path) not in FORMATS:
        raise CorpusError(f"{path} cannot be read: expected a file that ends in {ENDINGS}")
    return Source(path, path.removeprefix(root).lstrip("/"), FORMATS[_ending(path)])


def read_records(
    fs: Any, source: Source, columns: Sequence[str], start: int = 0, line: int = 1
) -> Iterator[Record]:
    """Read a file.

    fs (Any): Its file system.
    source (Source): The file.
    columns (Sequence[str]): Those to read, if they are there; the first must be, where a file has
        the same columns in each row.
    start, line (int): Of the record to begin with; 0 and 1 are the first.
    YIELDS (Record): One row.
    RAISES (CorpusError): If the file cannot be read as what its ending says.
    """
    readers: dict[str, Callable[..., Iterator[Record]]] = {
        "jsonl": _read_jsonl,
        "shuffled": _read_jsonl,
        "csv": partial(_read_csv, delimiter=","),
        "tsv": partial(_read_csv, delimiter="\t"),
        "parquet": _read_parquet,
    }
    with fs.open(source.path, "rb") as file:
        yield from readers[source.format](file, source, columns, start, line)


def _read_jsonl(
    file: IO[bytes], source: Source, columns: Sequence[str], start: int, line: int
) -> Iterator[Record]:
    file.seek(start)
    for raw in file:
        begin, start = start, start + len(raw)
        number, line = line, line + 1
        content = raw.removeprefix(b"\xef\xbb\xbf") if begin == 0 else raw
        if not content.strip():
            continue
        try:
            values = json.loads(content.decode("utf8"))
        except (ValueError, RecursionError) as e:
            yield Record(begin, number, None, f"no JSON: {e}")
            continue
        if isinstance(values, dict):
            yield Record(begin, number, values)
        else:
            yield Record(begin, number, None, f"no JSON object, but {type(values).__name__}")


class _Lines:
    """The lines of a binary file as text, counted. What is no UTF-8 becomes halves of surrogate
    pairs, which cost the row in which they are and no other.
    """

    def __init__(self, file: IO[bytes], start: int, line: int) -> None:
        file.seek(start)
        self.file, self.start, self.line = file, start, line

    def __iter__(self) -> Iterator[str]:
        for raw in self.file:
            content = raw.removeprefix(b"\xef\xbb\xbf") if self.start == 0 else raw
            self.start += len(raw)
            self.line += 1
            yield content.decode("utf8", "surrogateescape")


def _read_csv(
    file: IO[bytes],
    source: Source,
    columns: Sequence[str],
    start: int,
    line: int,
    *,
    delimiter: str,
) -> Iterator[Record]:
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    lines = _Lines(file, 0, 1)
    try:
        header = next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error as e:
        raise CorpusError.at(source.path, 1, "names of columns", str(e)) from e
    _check_columns(source, columns, header)
    if start > 0:
        lines = _Lines(file, start, line)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        begin, number = lines.start, lines.line
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            yield Record(begin, number, None, f"no CSV: {e}")
            continue
        if not fields:
            continue
        if len(fields) != len(header):
            error = f"{len(fields)} fields where the header has {len(header)}"
            yield Record(begin, number, None, error)
        else:
            yield Record(begin, number, dict(zip(header, fields, strict=True)))


def _read_parquet(
    file: IO[bytes], source: Source, columns: Sequence[str], start: int, line: int
) -> Iterator[Record]:
    arrow, parquet = need("pyarrow", "apply"), need("pyarrow.parquet", "apply")
    try:
        table = parquet.ParquetFile(file)
        _check_columns(source, columns, table.schema_arrow.names)
        wanted = [name for name in table.schema_arrow.names if name in columns]
        row = 0
        for i in range(table.num_row_groups):
            n_rows = table.metadata.row_group(i).num_rows
            if row + n_rows <= start:
                row += n_rows
                continue
            for batch in table.iter_batches(1024, row_groups=[i], columns=wanted):
                if row + len(batch) > start:
                    own = batch.slice(max(start - row, 0))
                    first = row + len(batch) - len(own)
                    for j, values in enumerate(_values(own), first):
                        yield Record(j, j + 1, values)
                row += len(batch)
    except (arrow.ArrowException, OSError) as e:
        raise CorpusError(f"{source.path} is damaged or no Parquet file: {e}") from e


def _values(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of a batch. Strings that are not UTF-8 hold halves of surrogate pairs."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
        return rows
    except UnicodeDecodeError:
        columns = [
            [value.as_buffer().to_pybytes().decode("utf8", "surrogateescape") if hasattr(
                value, "as_buffer") and value.is_valid else value.as_py() for value in column]
            for column in batch.columns
        ]  # fmt: skip
        names = batch.schema.names
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _check_columns(source: Source, columns: Sequence[str], header: Sequence[str]) -> None:
    if columns[0] not in header:
        raise CorpusError(
            f"{source.path} has no column {columns[0]!r}; it has: {', '.join(header)}. Name the "
            "texts' column with --text"
        )
