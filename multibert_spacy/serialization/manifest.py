"""Small JSON files that say what belongs together: read with care, sealed with their own hash.

The hashes in a manifest guard the files beside it. Nothing would guard the manifest: a bit flipped
in a label's name gives wrong entities without an error. So it ends with its own hash, the seal.
A file without one is read too: adapters may be written by hand or by a program of another kind.
The seal is against accidents; who wants to deceive can make one.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, MultibertError
from .files import hash_regular, inside, read_regular

__all__ = [
    "FORMAT",
    "MANIFEST",
    "SEAL",
    "check_seal",
    "file_hash",
    "file_hashes",
    "read_json",
    "seal",
    "verify_files",
    "write_json",
]

FORMAT = 1
"""Of all that is saved; a newer one is not read."""
MANIFEST = "multibert.json"
"""Its name, in every folder that has one."""
LARGEST = 2**22
"""Bytes of the largest JSON file that is read or written. Ours have one to four thousand; that of
a detector has the descriptions of all domains.
"""
SEAL = "seal"


def _digest(data: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in data.items() if key != SEAL}
    text = json.dumps(rest, sort_keys=True)
    return hashlib.sha256(text.encode("utf8")).hexdigest()


def seal(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data with a hash of all that is in it."""
    return {**data, SEAL: _digest(data)}


def check_seal(data: Mapping[str, Any], path: Path, error: type[MultibertError]) -> None:
    """Check that a file says what it said when it was sealed.

    data (Mapping): What was read from the path.
    error (type): What to raise if it is not what was sealed.
    """
    if SEAL in data and data[SEAL] != _digest(data):
        raise error(f"{path} is damaged: it is not what was written (its seal differs)")


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a sealed file.

    RAISES (ConfigError): If it is so large that nobody would read it again.
    """
    text = json.dumps(seal(data), ensure_ascii=False, indent=2).encode("utf8")
    if len(text) >= LARGEST:
        raise ConfigError(
            f"{path.name} of {path.parent.name!r} is not written: it would have {len(text)} "
            f"bytes, and at most {LARGEST} are read. Shorten names and descriptions"
        )
    path.write_bytes(text + b"\n")


def read_json(
    path: Path, error: type[MultibertError], *, largest: int = LARGEST
) -> dict[str, Any]:
    """Read a JSON object, whoever wrote it.

    path (Path): The file.
    error (type): What to raise, with the file's name, if it is missing, too large, damaged or no
        object.
    largest (int): Bytes that are read.
    """
    try:
        size = path.stat().st_size
        if size > largest:
            raise error(f"{path} is damaged: it has {size} bytes, at most {largest} are read")
        data = json.loads(read_regular(path, largest=largest).decode("utf8"))
    except MultibertError:
        raise
    except OSError as e:
        raise error(f"{path} cannot be read: {e.strerror}") from e
    except (ValueError, RecursionError) as e:
        raise error(f"{path} is damaged: {e!r}") from e
    if not isinstance(data, dict):
        raise error(f"{path} is damaged: it should be an object, not {data!r:.50}")
    return data


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder, by name, except the manifest's."""
    return {
        path.name: file_hash(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a regular file, read piece by piece."""
    return hash_regular(path)


def verify_files(
    folder: Path,
    hashes: Mapping[str, str],
    error: type[MultibertError],
    *,
    largest: int | None = None,
) -> None:
    """Check files against a manifest.

    folder (Path): Where they are.
    hashes (Mapping): File name -> SHA-256.
    error (type): What to raise, with the file's name, if one is missing, too large or differs.
    largest (int): Bytes that a file may have; None is any number.
    """
    for name, expected in hashes.items():
        path = folder / name
        try:
            if Path(name).name != name or not path.is_file():
                raise error(f"{path} is missing, or no file that {MANIFEST} may name")
            size = inside(folder, name).stat().st_size
            if largest is not None and size > largest:
                raise error(f"{path} has {size} bytes: at most {largest} make sense here")
            found = file_hash(path)
        except (OSError, ValueError) as e:
            if isinstance(e, error):
                raise
            raise error(f"{path} cannot be read: {getattr(e, 'strerror', e)}") from e
        if found != expected:
            raise error(f"{path} is damaged: its SHA-256 differs from the one in {MANIFEST}")
