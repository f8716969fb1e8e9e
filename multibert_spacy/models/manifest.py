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

from ..errors import MultibertError
from ..files import read_regular

__all__ = ["SEAL", "check_seal", "read_json", "seal", "write_json"]

LARGEST = 2**18
"""Bytes of the largest JSON file that is read. Ours have one to four thousand."""
SEAL = "seal"


def _digest(data: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in data.items() if key != SEAL}
    text = json.dumps(rest, sort_keys=True)
    return hashlib.sha256(text.encode("utf8")).hexdigest()


def seal(data: Mapping[str, Any]) -> dict[str, Any]:
    """RETURNS (dict): The same with the hash of all that it says."""
    return {**data, SEAL: _digest(data)}


def check_seal(data: Mapping[str, Any], path: Path, error: type[MultibertError]) -> None:
    """data (Mapping): What was read from the path.
    error (type): What to raise if it is not what was sealed.
    """
    if SEAL in data and data[SEAL] != _digest(data):
        raise error(f"{path} is damaged: it is not what was written (its seal differs)")


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a sealed file."""
    text = json.dumps(seal(data), ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf8")


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
