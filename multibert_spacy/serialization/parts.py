"""Know which parts of a pipeline this thread is writing or reading.

`nlp.to_disk` calls its components one by one and tells them nothing of each other: that calls
belong to one save shows in thread, folder and order alone. A part is the tokenizer or a component,
under the name that its file or folder has. See `saves.py` for what is made of it.
"""

import contextlib
import threading
from pathlib import Path

from .drafts import Mark
from .files import read_regular

__all__ = ["ID_LENGTH", "LOADED", "SAVED", "Parts", "is_whole"]

ID_LENGTH = 32
"""Of the hexadecimal digits of a SHA-256."""


class Parts(threading.local):
    """The ids of the parts of one pipeline, as far as it has been written or read. Of the last
    one only: a thread does one after the other.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._ids: dict[str, str | None] = {}
        self._mark: Mark | None = None

    def begin(self, folder: Path, *, to_come: bool = False) -> None:
        """Mark a pipeline's folder, before spaCy writes its own files.

        From then on they belong to another save than the components that are there. The first
        component that is written takes the mark away, and its id then says the same.

        folder (Path): The pipeline's.
        to_come (bool): Whether it is known that a component of ours will be written. If it is not,
            and none is there, there is no mark, which nobody would take away.
        RAISES (MultibertError): If another save is as far as this one: the files of the two would
            be mixed.
        """
        self._unmark()
        if to_come or any(_is_ours(path) for path in folder.iterdir() if path.is_dir()):
            self._mark = Mark(folder)

    def _unmark(self) -> None:
        if self._mark is not None:
            self._mark.end()
            self._mark = None

    def known(self, path: Path) -> dict[str, str | None]:
        """The ids of the parts that were written or read before a part.

        path (Path): Of a part that is about to be written or read. One that comes again, or
            in another folder, begins anew.
        RETURNS (dict): Name -> id of the parts before it.
        """
        folder = path.parent.resolve()
        if folder != self._folder or path.name in self._ids:
            self._folder, self._ids = folder, {}
        return dict(self._ids)

    def note(self, path: Path, own: str | None) -> None:
        """Remember a part.

        path (Path): Of a part that was written or read. own (str): Its id.
        """
        self.known(path)
        self._ids[path.name] = own
        if path.is_dir():
            self._unmark()


def _is_ours(folder: Path) -> bool:
    """Return whether a folder is of a component of ours, of any version."""
    for name in ("cfg", "model/multibert.json"):
        with contextlib.suppress(OSError):
            return b'"seal"' in read_regular(folder / name, largest=2**20)
    return False


SAVED = Parts()
LOADED = Parts()


def is_whole(exclude: object) -> bool:
    """Return whether a part is written or read with its whole pipeline.

    exclude (Iterable[str]): What `to_disk` or `from_disk` of a part was told to leave out.
    RETURNS (bool): Whether it is called for a whole pipeline: `Language` leaves out the
        vocabulary, which is a part of its own; whoever saves or loads one component does not.
    """
    return isinstance(exclude, list | tuple | set | frozenset) and "vocab" in exclude
