"""Files inside a publisher's zip, read where they lie."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from multibert_spacy.errors import CorpusError

from .conll import Source

__all__ = ["read_archive"]


def read_archive(archive: Path, names: Sequence[str]) -> list[Source]:
    """Read members by base name, wherever in the archive they lie, without extracting it.

    archive (Path): The zip.
    names (Sequence[str]): Base names.
    RETURNS (list[Source]): In the order of the names.
    RAISES (CorpusError): If the zip is damaged or has not one file of each name.
    """
    sources = []
    try:
        with zipfile.ZipFile(archive) as file:
            members = [PurePosixPath(m) for m in file.namelist() if not m.startswith("__MACOSX/")]
            for name in names:
                found = [member for member in members if member.name == name]
                if len(found) != 1:
                    listed = ", ".join(sorted(m.name for m in members if m.suffix)) or "nothing"
                    raise CorpusError(
                        f"{archive}: expected one file '{name}' inside, found {len(found)}. "
                        f"The archive has: {listed}"
                    )
                member = str(found[0])
                sources.append(Source(f"{archive}/{member}", file.read(member)))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as err:
        raise CorpusError(f"{archive}: expected a readable zip archive, found: {err}") from err
    return sources
