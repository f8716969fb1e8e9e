"""Folders that may lie anywhere: on a disk or, by fsspec, in an object store.

A file is written beside, in `_parts`, and moved to its name when it is whole. On a disk the move
is one atomic step; in an object store it is a copy, which is there whole or not at all.
"""

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from .extras import need

__all__ = ["Place", "open_place"]

DRAFTS = "_parts"


class Place:
    """A folder on a file system of fsspec. Names are relative to it, with `/` in them."""

    def __init__(self, fs: Any, root: str) -> None:
        self.fs = fs
        self.root = root.rstrip("/")

    def path(self, name: str) -> str:
        """Return the whole path of a name, as the file system takes it."""
        return f"{self.root}/{name}"

    def names(self, folder: str = "") -> set[str]:
        """Return the names that lie directly in the place, or in a folder of it."""
        path = self.path(folder).rstrip("/")
        if not self.fs.exists(path):
            return set()
        self.fs.invalidate_cache()
        return {own.rstrip("/").rsplit("/", 1)[-1] for own in self.fs.ls(path, detail=False)}

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        content: bytes = self.fs.cat_file(self.path(name))
        return content

    def read_all(self, names: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of small files, a few hundred fetched at once."""
        names = list(names)
        for i in range(0, len(names), 256):
            paths = [self.path(name) for name in names[i : i + 256]]
            found = self.fs.cat(paths, on_error="raise")
            found = found if isinstance(found, dict) else {paths[0]: found}
            yield from (found[path] for path in paths)

    def read_json(self, name: str) -> Any:
        """Return what a JSON file holds."""
        return json.loads(self.read(name))

    @contextmanager
    def draft(self, name: str) -> Iterator[IO[bytes]]:
        """Write a file beside, and give it its name if nothing was raised.

        name (str): What it is called in the end; what had that name is replaced.
        YIELDS (IO[bytes]): The open file.
        """
        self.fs.makedirs(self.path(DRAFTS), exist_ok=True)
        draft = self.path(f"{DRAFTS}/{uuid.uuid4().hex}.draft")
        with self.fs.open(draft, "wb") as file:
            yield file
        self.fs.mv(draft, self.path(name))

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, atomically."""
        with self.draft(name) as file:
            file.write(content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as JSON, atomically."""
        self.write(name, json.dumps(value, ensure_ascii=False).encode())

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, if it is there."""
        if self.fs.exists(self.path(name)):
            self.fs.rm(self.path(name), recursive=True)


def open_place(url: str) -> Place:
    """Open a folder, which need not exist yet.

    url (str): Its path, or its URL: `s3://bucket/out`.
    RETURNS (Place): The folder.
    """
    fs, root = need("fsspec.core", "apply").url_to_fs(url)
    return Place(fs, root)
