"""A changed pipeline in a folder of its own: whole or not there, and without a second copy of what
did not change.

The core is three quarters of a pipeline, and a command changes one domain of many. What is equal
byte by byte to the file of the pipeline that it came from becomes a hard link to it. That is safe
for our own components' files alone: they are written beside and swapped in, so that a link is
replaced and never written through. spaCy's (config, meta, vocabulary) are written in place, and
stay copies.
"""

import filecmp
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spacy.util import load_config

from ..errors import ConfigError
from ..serialization.drafts import PREFIX, draft_in, put_folder
from ..serialization.manifest import MANIFEST

__all__ = ["check_place", "write_pipeline"]

WHOLE = ("config.cfg", "meta.json", "tokenizer", "vocab", "README.md")
"""Beside its components."""
LICENCES = ("LICENSE", "LICENSES_SOURCES")
"""Of a pipeline that is no component's; its README would speak of what was changed."""


def write_pipeline(nlp: Any, source: str | Path | None, out: str | Path) -> None:
    """Write a pipeline in one step: who is killed leaves what was there.

    nlp (Language): The pipeline.
    source (Path): Where it was loaded from (`nlp.path`), to share files with; None shares none.
    out (Path): A new folder, an empty one, or a pipeline's, which is replaced.
    RAISES (ConfigError): If something else is there.
    """
    out = check_place(out)
    with draft_in(out.parent) as draft:
        new = draft / out.name
        nlp.to_disk(new)
        if source is not None and Path(source).is_dir():
            _share(Path(source), new)
        put_folder(new, out)


def check_place(out: str | Path) -> Path:
    """Check where a pipeline is to be written, before time is spent on making it.

    out (Path): The folder.
    RETURNS (Path): The same, links followed.
    RAISES (ConfigError): If something else than a pipeline is there, or nothing can be written.
    """
    try:
        place = Path(out).resolve()
        other = _others_in(place)
        _try_to_write(place.parent)
    except (OSError, RuntimeError, ValueError) as e:  # links in a circle are a RuntimeError
        reason = getattr(e, "strerror", None) or e
        raise ConfigError(f"No pipeline can be written to {str(out)!r:.200}: {reason}") from e
    if other:
        raise ConfigError(
            f"{place} is there and no pipeline, and would be replaced: it holds {other[0]!r}. "
            "Name a new folder"
        )
    return place


def _others_in(out: Path) -> list[str]:
    """Return what is there and of no pipeline."""
    if out.is_dir():
        names = {path.name for path in out.iterdir() if not path.name.startswith(PREFIX)}
        return sorted(names - _parts(out))
    return [out.name] if os.path.lexists(out) else []


def _try_to_write(folder: Path) -> None:
    """Write into a folder, or into the first above it that there is: it would be made in there.

    RAISES (OSError): If nothing can be written.
    """
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    with TemporaryDirectory(prefix=PREFIX, dir=there):
        pass


def _parts(folder: Path) -> set[str]:
    """Return what a pipeline's folder holds; nothing, if it is not one."""
    if not (folder / "config.cfg").is_file() or not (folder / "meta.json").is_file():
        return set()
    try:
        nlp = load_config(folder / "config.cfg").get("nlp", {})
    except ValueError:
        return set()
    return {*nlp.get("pipeline", ()), *WHOLE, *LICENCES}


def _share(source: Path, new: Path) -> None:
    """Share with a pipeline what did not change.

    source (Path): A pipeline. new (Path): One made of it, in a draft.
    """
    twins: dict[tuple[str, int], list[Path]] = {}  # by content: a domain may have been renamed
    for path in filter(_is_ours, sorted(source.glob("*/**/*"))):
        twins.setdefault((path.name, path.stat().st_size), []).append(path)
    for path in filter(_is_ours, sorted(new.glob("*/**/*"))):
        for twin in twins.get((path.name, path.stat().st_size), ()):
            if filecmp.cmp(twin, path, shallow=False):
                _link_to(twin.resolve(), path)
                break
    for name in LICENCES:
        if (source / name).is_file() and not (new / name).exists():
            shutil.copy2(source / name, new / name)


def _is_ours(path: Path) -> bool:
    """Whether a file is one of those beside a manifest. The manifest is small and of one save."""
    return path.is_file() and path.name != MANIFEST and (path.parent / MANIFEST).is_file()


def _link_to(twin: Path, path: Path) -> None:
    beside = path.with_name(f"{path.name}.link")
    try:
        os.link(twin, beside)
    except OSError:  # another file system, or one without links
        return
    os.replace(beside, path)
