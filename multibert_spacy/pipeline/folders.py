"""Bytes of a component are its folder, packed: one format, one code path, no pickle."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import srsly

from ..errors import MultibertError

__all__ = ["FolderBytes", "folder_from_bytes", "folder_to_bytes"]


def folder_to_bytes(write: Callable[[Path], Any]) -> bytes:
    """write (Callable): Writes a folder at the path it is given.
    RETURNS (bytes): A msgpack dict from relative names to the files' bytes.
    """
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "component"
        write(folder)
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    data: bytes = srsly.msgpack_dumps(files)
    return data


def folder_from_bytes(data: bytes, read: Callable[[Path], Any]) -> None:
    """data (bytes): What `folder_to_bytes` returned.
    read (Callable): Reads a folder from the path it is given.
    RAISES (MultibertError): If the bytes are no such dict, or a name leads out of the folder.
    """
    try:
        files = dict(srsly.msgpack_loads(data))
    except Exception as e:  # msgpack has an exception type for each kind of damage
        raise MultibertError(f"The bytes of a component are damaged: {e}") from e
    with tempfile.TemporaryDirectory() as root:
        folder = (Path(root) / "component").resolve()
        folder.mkdir()
        for name, content in files.items():
            path = (folder / str(name)).resolve()
            legal = isinstance(name, str) and folder in path.parents
            if not legal or not isinstance(content, bytes):
                raise MultibertError(f"The bytes of a component hold an illegal file: {name!r}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        read(folder)


class FolderBytes:
    """`to_bytes` and `from_bytes` of a component by way of its `to_disk` and `from_disk`."""

    checks_texts = True
    """As all of our components do, by which the tokenizer knows them; see `text/surrogates.py`."""
    to_disk: Callable[..., Any]
    from_disk: Callable[..., Any]

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """RETURNS (bytes): What `to_disk` would write."""
        return folder_to_bytes(lambda path: self.to_disk(path, exclude=exclude))

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Read what `to_bytes` returned."""
        folder_from_bytes(data, lambda path: self.from_disk(path, exclude=exclude))
        return self
