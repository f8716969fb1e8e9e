"""The `apply` run reads files of texts and writes a folder of rows."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import spacy

from ..errors import ConfigError
from .engines import local, ray, spark
from .extras import need
from .models import describe_model
from .outputs import FORMATS_OUT
from .places import DRAFTS, Place, open_place
from .plan import PLAN, Plan, Settings, check_same, make_plan, read_plan
from .rows import Columns
from .shuffle import SHUFFLED_FOLDER
from .worker import COUNTS_NAME, ERRORS_NAME, Counts, add_counts

__all__ = ["apply"]

ENGINES = {"local": local.run, "ray": ray.run, "spark": spark.run}
SUCCESS = "_SUCCESS"
ERRORS = "errors.jsonl"
Progress = Callable[[int, int], None]


def apply(
    model: str | Path,
    input: str | Path,
    output: str | Path,
    *,
    engine: str = "local",
    workers: int = 1,
    text: str = "text",
    id: str | None = None,
    thread: str | None = None,
    domain: str | None = None,
    group_by: str | None = None,
    format: str = "parquet",
    no_text: bool = False,
    part_size: int = 4096,
    resume: bool = False,
    progress: Progress = lambda done, total: None,
) -> Counts:
    """Tag files of texts.

    model (str | Path): Folder or installed package of a pipeline.
    input (str | Path): A file, a folder or a glob pattern of JSONL, CSV or Parquet; a path, or a
        URL that fsspec knows.
    output (str | Path): A folder that is empty or not there, or with `resume` that of a run that
        did not end.
    engine (str): "local", "ray" or "spark".
    workers (int): Pipelines at once.
    text, id, thread, domain (str): Columns. None is the one of that name, if there is one.
    group_by (str): Column of the threads, whose rows may lie anywhere; those of `thread` are
        neighbours. The texts are then sorted by thread first, on this machine's disk.
    format (str): Of the output: "parquet" or "jsonl". `outputs.py` has the columns.
    no_text (bool): Whether the texts are left out.
    part_size (int): Texts of an output file, or the few more that end a thread.
    resume (bool): Whether to go on with what a killed run left. Engine and workers may differ.
    progress (Callable): Is told on the way how many texts have been read, and of how many.
    RETURNS (dict): `texts` read, `rows` written, `errors`, `entities`; `domains`, how many rows
        are of which; `parts`, and of these `done_before`.
    RAISES (MultibertError): If a setting is wrong, the input cannot be read, or the output is of
        another run. OSError comes from the file systems.
    """
    columns = _columns(text, id, thread, domain, group_by)
    _check(engine, workers, format, part_size)
    if format == "parquet":
        need("pyarrow", "apply", instead="write JSON: --format jsonl")
    place, is_new = _open_output(str(output), resume)
    known = describe_model(str(model))
    settings = Settings(
        model=_absolute(model),
        version=known.version,
        input=_absolute(input),
        columns=columns,
        grouped=group_by is not None,
        format=format,
        no_text=no_text,
        part_size=part_size,
        group_size=known.group_size,
        max_length=known.max_length,
    )
    if is_new:
        named = [name for name in (id, thread, domain, group_by) if name is not None]
        plan = make_plan(settings, place, named)
        plan.save(place)
    else:
        plan = read_plan(place)
        check_same(plan, settings)
    if plan.counts is not None:
        return _succeed(plan.counts, place)
    names = place.names()
    to_do = [i for i in range(len(plan.parts)) if plan.part_name(i) not in names]
    if to_do:
        tell = _teller(plan, to_do, progress)
        for _ in ENGINES[engine](_absolute(output), to_do, workers, tell):
            pass
    return _finish(plan, place, len(plan.parts) - len(to_do))


def _columns(
    text: str, id: str | None, thread: str | None, domain: str | None, group_by: str | None
) -> Columns:
    if thread is not None and group_by is not None:
        raise ConfigError(
            f"Take either thread ({thread!r}, neighbours) or group_by ({group_by!r}, anywhere)"
        )
    thread = thread if group_by is None else group_by
    return Columns(text, id or "id", thread or "thread", domain or "domain")


def _check(engine: str, workers: int, format: str, part_size: int) -> None:
    if engine not in ENGINES:
        raise ConfigError(f"Unknown engine {engine!r}: take one of {', '.join(ENGINES)}")
    if format not in FORMATS_OUT:
        raise ConfigError(f"Unknown format {format!r}: take one of {', '.join(FORMATS_OUT)}")
    for name, value in {"workers": workers, "part_size": part_size}.items():
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")


def _absolute(path: str | Path) -> str:
    """Return a path as a process elsewhere would call it.

    A path is given from the root; a URL or a package stays as it is.
    """
    path = str(path)
    if "://" in path:
        return path
    local_path = Path(path).expanduser()
    is_package = not local_path.exists() and spacy.util.is_package(path)
    return path if is_package else str(local_path.absolute())


def _open_output(output: str, resume: bool) -> tuple[Place, bool]:
    """Open the output folder.

    RETURNS (tuple): The folder, and whether there is no plan in it.
    RAISES (ConfigError): If something lies there that a new run would mix with, or that is not a
        run.
    """
    place = open_place(output)
    if place.fs.isfile(place.root):
        raise ConfigError(f"{output} is a file: expected a folder")
    names = place.names()
    if PLAN in names and not resume:
        raise ConfigError(
            f"{output} holds a run already: continue it with --resume, or take another folder"
        )
    if PLAN not in names and names - {DRAFTS, SHUFFLED_FOLDER}:
        raise ConfigError(
            f"{output} is not empty and no run of apply: take a folder that is empty or new"
        )
    place.fs.makedirs(place.root, exist_ok=True)
    return place, PLAN not in names


def _teller(plan: Plan, to_do: Iterable[int], progress: Progress) -> Callable[[int], None]:
    """Return a function that adds up what it is told and reports the sum."""
    total = sum(part.n_records for part in plan.parts)
    done = total - sum(plan.parts[i].n_records for i in to_do)
    progress(done, total)

    def tell(n: int) -> None:
        nonlocal done
        done += n
        progress(done, total)

    return tell


def _finish(plan: Plan, place: Place, done_before: int) -> Counts:
    """Put errors and counts together, and remove what only a run that goes on needs. `_SUCCESS`
    comes last; a run that was killed on the way here finds the counts in the plan, or all parts.
    """
    indices = range(len(plan.parts))
    counts = add_counts(
        json.loads(own) for own in place.read_all(COUNTS_NAME.format(i) for i in indices)
    )
    counts |= {"parts": len(plan.parts), "done_before": done_before}
    if counts["errors"]:
        drafts = place.names(DRAFTS)
        every = (ERRORS_NAME.format(i) for i in indices)
        found: list[str] = [name for name in every if name.rpartition("/")[2] in drafts]
        with place.draft(ERRORS) as file:
            for content in place.read_all(found):
                file.write(content)
    plan.counts = counts
    plan.save(place)
    return _succeed(counts, place)


def _succeed(counts: Counts, place: Place) -> Counts:
    """Remove what only a run that goes on needs, and say that this one has ended."""
    place.remove(DRAFTS)
    place.remove(SHUFFLED_FOLDER)
    place.write_json(SUCCESS, counts)
    place.remove(DRAFTS)  # in which `_SUCCESS` was written
    return counts
