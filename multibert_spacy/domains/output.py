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
from typing import Any

from ..errors import ConfigError
from ..serialization.drafts import draft_in, put_folder
from ..serialization.manifest import MANIFEST

__all__ = ["check_place", "write_pipeline"]

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
    RAISES (ConfigError): If something else than a pipeline is there.
    """
    out = Path(out).resolve()
    if out.is_dir():
        other = any(out.iterdir()) and not (out / "config.cfg").is_file()
    else:
        other = os.path.lexists(out)
    if other:
        raise ConfigError(
            f"{out} is there and no pipeline, and would be replaced: name a new folder"
        )
    return out


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
