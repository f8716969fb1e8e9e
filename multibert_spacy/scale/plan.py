"""The plan of a run: the files, the columns, and the parts of each file.

The plan is made once, by reading through the input, and kept in the output as `_plan.json`. A part
ends where a thread ends, and where texts without a thread are cut into groups: so no group is cut.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import ConfigError, CorpusError
from .places import Place, open_place
from .readers import Source, find_sources
from .rows import BadRow, Columns, Row, is_whole, read_rows
from .shuffle import shuffle

__all__ = ["PLAN", "Part", "Plan", "Settings", "check_same", "cut", "make_plan", "read_plan"]

PLAN = "_plan.json"
PART_NAME = "part-{:06d}.{}"


@dataclass(frozen=True)
class Settings:
    """The settings that decide which rows come out. A run that is continued must have the same."""

    model: str
    version: str
    """Of the pipeline, as its meta has it."""
    input: str
    columns: Columns
    grouped: bool
    """Whether rows of a thread may lie anywhere."""
    format: str
    no_text: bool
    part_size: int
    group_size: int
    max_length: int


@dataclass(frozen=True)
class Part:
    """Neighbouring records of one file."""

    file: int
    start: int
    line: int
    n_records: int
    n_texts: int


@dataclass
class Plan:
    """The plan of a run, as `_plan.json` holds it."""

    settings: Settings
    files: list[Source]
    stamps: list[list[Any]]
    """Size and, where the file system knows it, time of change of each file of the input."""
    parts: list[Part] = field(default_factory=list)
    id: str = ""
    thread: str = ""
    """Types of these two columns: int64 where all are whole numbers, else string; "" where no row
    has any.
    """
    counts: dict[str, Any] | None = None
    """Of the whole run, once it has ended."""

    def part_name(self, index: int) -> str:
        """Return the name of a part's output file."""
        return PART_NAME.format(index, self.settings.format)

    def save(self, place: Place) -> None:
        """Write the plan into the output."""
        value = asdict(self)
        value["parts"] = [list(asdict(part).values()) for part in self.parts]
        place.write_json(PLAN, value)


def read_plan(place: Place) -> Plan:
    """Read what `Plan.save` wrote."""
    value = place.read_json(PLAN)
    settings = value.pop("settings")
    settings["columns"] = Columns(**settings["columns"])
    value["files"] = [Source(**own) for own in value["files"]]
    value["parts"] = [Part(*own) for own in value["parts"]]
    return Plan(settings=Settings(**settings), **value)


def make_plan(settings: Settings, place: Place, named: Iterable[str]) -> Plan:
    """Read through the input.

    settings (Settings): What is asked for.
    place (Place): The output, where a shuffled input is kept until the end.
    named (Iterable[str]): Columns that the user named, which some row must have.
    RETURNS (Plan): The plan, not saved.
    RAISES (CorpusError): If no row has a text, or a named column is nowhere.
    """
    source = open_place(settings.input)
    sources = find_sources(source.fs, source.root)
    plan = Plan(settings, sources, stamp(source.fs, sources))
    seen = _Seen(named)
    if settings.grouped:
        files = [(source.fs, own) for own in sources]
        shuffled = shuffle(place, (row for own in files for row in _rows(*own, settings, seen)))
        plan.files = [shuffled]
        _cut_file(plan, place.fs, 0, _Seen(()))
    else:
        for i in range(len(sources)):
            _cut_file(plan, source.fs, i, seen)
    seen.check(settings)
    plan.id, plan.thread = seen.kind(0), seen.kind(1)
    return plan


class _Seen:
    """Counts of what was seen on the way through the input, to check it at the end."""

    def __init__(self, named: Iterable[str]) -> None:
        self.missing = set(named)
        self.keys = [0, 0]
        self.whole = [True, True]
        self.n_texts = 0
        self.error = "there is no row in it"

    def add(self, row: Row | BadRow) -> None:
        """Take note of a row."""
        if isinstance(row, BadRow):
            if not self.n_texts:
                self.error = f"{row.file}, line {row.line}: {row.error}"
            return
        self.n_texts += 1
        for i, key in enumerate((row.id, row.thread)):
            if key is not None:
                self.keys[i] += 1
                self.whole[i] &= is_whole(key)

    def kind(self, i: int) -> str:
        """Return the type of the ids (0) or the threads (1)."""
        return "" if not self.keys[i] else "int64" if self.whole[i] else "string"

    def check(self, settings: Settings) -> None:
        """Check that the input holds texts, and the columns that were named.

        RAISES (CorpusError): If it does not.
        """
        if not self.n_texts:
            raise CorpusError(f"{settings.input} holds no text to tag: {self.error}")
        if self.missing:
            names = ", ".join(sorted(self.missing))
            raise CorpusError(f"No row of {settings.input} has a column {names}")


def _rows(fs: Any, source: Source, settings: Settings, seen: _Seen) -> Iterator[Row | BadRow]:
    columns, most = settings.columns, settings.max_length
    for row in read_rows(fs, source, columns, max_length=most, missing=seen.missing):
        seen.add(row)
        yield row


def _cut_file(plan: Plan, fs: Any, file: int, seen: _Seen) -> None:
    settings = plan.settings
    rows = _rows(fs, plan.files[file], settings, seen)
    plan.parts.extend(cut(rows, file, settings.part_size, settings.group_size))


def cut(
    rows: Iterable[Row | BadRow], file: int, part_size: int, group_size: int
) -> Iterator[Part]:
    """Cut a file's rows into parts, never inside a group.

    rows (Iterable[Row | BadRow]): All rows of a file.
    file (int): Its number.
    part_size (int): Texts of a part, if a group ends there; else the next few belong to it.
    group_size (int): Neighbouring texts without a thread that are a group.
    YIELDS (Part): The parts, which together hold all records.
    """
    start, line, n_records, n_texts = 0, 1, 0, 0
    thread, run = None, 0
    for row in rows:
        if isinstance(row, Row):
            ends = run % group_size == 0 if row.thread is None else True
            if row.thread != thread:
                run, ends = 0, True
            elif row.thread is not None:
                ends = False
            if ends and n_texts >= part_size:
                yield Part(file, start, line, n_records, n_texts)
                n_records = n_texts = 0
            thread, run = row.thread, run + 1
            n_texts += 1
        if not n_records:
            start, line = row.start, row.line
        n_records += 1
    if n_records:
        yield Part(file, start, line, n_records, n_texts)


def stamp(fs: Any, sources: Iterable[Source]) -> list[list[Any]]:
    """Return the path, size and time of change of each file."""
    stamps = []
    for source in sources:
        info = fs.info(source.path)
        stamps.append([source.path, info["size"], str(info.get("mtime", info.get("ETag", "")))])
    return stamps


def check_same(plan: Plan, settings: Settings) -> None:
    """Check that a run is continued with the same settings and input.

    RAISES (ConfigError): If it is not.
    """
    old, new = asdict(plan.settings), asdict(settings)
    if changed := [name for name in old if old[name] != new[name]]:
        said = "; ".join(f"{name} was {old[name]!r}, is {new[name]!r}" for name in changed)
        raise ConfigError(
            f"The output was begun with other settings ({said}): give these, or another output"
        )
    source = open_place(settings.input)
    if stamp(source.fs, find_sources(source.fs, source.root)) != plan.stamps:
        raise ConfigError(
            f"{settings.input} has changed since the output was begun: begin another output"
        )
