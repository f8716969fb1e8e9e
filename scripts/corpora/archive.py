"""Files inside a publisher's zip, read where they lie."""

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from multibert_spacy.errors import CorpusError

from .conll import Source, check_size


def read_archive(archive: Path, names: Sequence[str]) -> list[Source]:
    """Read members by base name, wherever in the archive they lie, without extracting it. Nothing
    is unpacked whose size was not looked at first: 6 MB can hold gigabytes.

    RETURNS (list[Source]): In the order of the names.
    RAISES (CorpusError): If the zip is damaged or has not one file of each name, or one is too
        large.
    """
    sources = []
    try:
        with zipfile.ZipFile(archive) as file:
            members = [m for m in file.infolist() if not m.filename.startswith("__MACOSX/")]
            paths = [PurePosixPath(member.filename) for member in members]
            for name in names:
                found = [m for m, path in zip(members, paths, strict=True) if path.name == name]
                if len(found) != 1:
                    listed = ", ".join(sorted(p.name for p in paths if p.suffix)) or "nothing"
                    raise CorpusError(
                        f"{archive}: expected one file '{name}' inside, found {len(found)}. "
                        f"The archive has: {listed[:300]}"
                    )
                sources.append(_read_member(archive, file, found[0]))
    except CorpusError:
        raise
    except Exception as err:  # zipfile and what it unpacks with raise a dozen types
        raise CorpusError(f"{archive}: expected a readable zip archive, found: {err!r}") from err
    return sources


def _read_member(archive: Path, file: zipfile.ZipFile, member: zipfile.ZipInfo) -> Source:
    """One member. What its header says of its size is where zipfile stops reading, for the two
    ways of packing that publishers use; others are unpacked by the block, whatever its size.
    """
    path = f"{archive}/{member.filename}"
    check_size(path, member.file_size)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CorpusError(
            f"{path}: expected a member that is stored or deflated, found the compression method "
            f"{member.compress_type}"
        )
    return Source(path, file.read(member))
