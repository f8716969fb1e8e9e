"""Folders are written beside and swapped in, so that no half-written one is taken for a whole one.

    folder/.draft-<process>-<random>/    what is written; a name of its own for each save
    folder/.draft-…/replaced/            what it replaces, for the moment of the swap

A save that is killed leaves its draft, which the next save into the folder removes. That one is
left behind, and not at work, shows in a lock on it, which the kernel takes away with the process.
Where a file system has no locks, the process is looked for.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import MultibertError
from .files import inside

try:
    import fcntl
except ImportError:  # Windows, where nothing of it exists
    fcntl = None  # type: ignore[assignment]

__all__ = ["Mark", "carry_over", "draft_in", "has_draft", "locked", "put_folder", "swap"]

PREFIX = ".draft-"
OLD_SUFFIX = ".draft"
"""Of version 0.1.0's drafts: `.NAME.draft`."""
LOCK_SECONDS = 60.0
A_DAY = 86_400.0
AT_CWD, EXCHANGE = -100, 2
"""Linux's `AT_FDCWD` and `RENAME_EXCHANGE`."""


@contextlib.contextmanager
def draft_in(folder: Path) -> Iterator[Path]:
    """Write beside what is there, and swap it in when all is written.

    folder (Path): Made if it is missing. What dead saves left there is removed.
    YIELDS (Path): A new folder in it, removed at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft, lock = _begin(folder)
    try:
        yield draft
    finally:
        _end(draft, lock)


def _begin(folder: Path, *, alone: bool = False) -> tuple[Path, int | None]:
    """Make a new draft in a folder, and lock it.

    alone (bool): Whether nobody else may be at work there.
    RETURNS (tuple): The draft and its lock.
    RAISES (MultibertError): If somebody is.
    """
    with locked(folder):
        for old in _drafts(folder):
            if _is_dead(old):
                _remove(old, folder)
            elif alone:
                raise MultibertError(
                    f"Another save to {folder} is at work. Wait for its end, or save to a folder "
                    "of its own"
                )
        draft = folder / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        draft.mkdir()
        return draft, _lock(draft)


def _end(draft: Path, lock: int | None) -> None:
    _remove(draft, draft.parent)
    if lock is not None:
        os.close(lock)


class Mark:
    """A sign that a folder is between two saves.

    It is a draft without anything in it, which stays until `end` is called, or until the next save
    if this one is killed or fails.
    """

    def __init__(self, folder: Path) -> None:
        """Mark a folder as being saved to.

        folder (Path): The folder of a pipeline.
        RAISES (MultibertError): If there is a mark of another save that is at work.
        """
        self._lock: int | None = None
        self._draft, self._lock = _begin(folder, alone=True)

    def end(self) -> None:
        """The folder is one save again, or its parts say that it is not."""
        _end(self._draft, self._lock)
        self._lock = None

    def __del__(self) -> None:
        """The thread that made it is gone, and the save has failed."""
        if self._lock is not None:
            os.close(self._lock)


def has_draft(folder: Path) -> bool:
    """Return whether a save into this folder is at work, or was killed."""
    return any(True for _ in _drafts(folder))


def _drafts(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(PREFIX) and path.is_dir() and not path.is_symlink():
                yield path


def _is_dead(draft: Path) -> bool:
    """Return whether nobody works at a draft any more."""
    number = draft.name.removeprefix(PREFIX).split("-")[0]
    if not number.isdecimal():
        return False
    if fcntl is None:
        with contextlib.suppress(OSError):
            return time.time() - draft.stat().st_mtime > A_DAY
        return False
    try:
        lock = _open_folder(draft)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return not _is_process(int(number))
    finally:
        os.close(lock)
    return True


def _is_process(number: int) -> bool:
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _lock(draft: Path) -> int | None:
    """Lock a draft until the returned file is closed; None if the system has no locks."""
    if fcntl is None:
        return None
    lock = _open_folder(draft)
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one thread of one process at a time swap something in this folder.

    RAISES (MultibertError): If another one takes longer than a swap can.
    """
    if fcntl is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    end = time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as e:
                if time.monotonic() > end:
                    raise MultibertError(
                        f"Another process has been saving to {folder} for {LOCK_SECONDS:.0f} "
                        "seconds: end it, or save to another folder"
                    ) from e
                time.sleep(0.005)
            except OSError:
                break  # a file system without locks
        yield
    finally:
        os.close(lock)


def swap(draft: Path, folder: Path, names: Sequence[str]) -> None:
    """Put entries of a draft in the place of a folder's.

    draft (Path): What `draft_in` gave for the folder.
    folder (Path): What else is in it stays.
    names (Sequence[str]): Files and folders in the draft. The first is taken away first and comes
        last: it must be one without which nothing is loaded, so that half a swap is an error.
    RAISES (OSError): If that fails; the old ones are then back in their place.
    """
    aside = draft / "replaced"
    aside.mkdir(exist_ok=True)
    taken, put = [], []
    try:
        for name in names:
            if os.path.lexists(inside(folder, name)):
                (folder / name).rename(aside / name)  # of a link the link, not what it leads to
                taken.append(name)
        for name in [*names[1:], names[0]]:
            inside(draft, name).rename(folder / name)
            put.append(name)
    except BaseException:
        for name in reversed(put):
            (folder / name).rename(draft / name)
        for name in reversed(taken):
            (aside / name).rename(folder / name)
        raise
    for name in names:
        old = folder / f".{name}{OLD_SUFFIX}"
        if old.is_dir():
            _remove(old, folder)


def put_folder(new: Path, place: Path) -> None:
    """Put a whole folder in the place of another in one step: whoever looks, or is killed, finds
    the old one or the new one.

    new (Path): In a draft on the same file system, where the old one then is.
    place (Path): A folder, with something in it or not, or nothing.
    RAISES (MultibertError): If there is a folder that cannot be replaced in one step here.
    """
    if not place.is_dir() or not any(place.iterdir()):
        new.rename(place)
    elif not _exchange(new, place):
        raise MultibertError(
            f"{place} is there, and this system cannot replace a whole folder in one step: name a "
            "new folder, and remove the old one yourself"
        )


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change their names: Linux's `renameat2`, which Python has no function for.

    RETURNS (bool): Whether the system did it.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done: int = rename(AT_CWD, os.fsencode(one), AT_CWD, os.fsencode(other), EXCHANGE)
    return done == 0


def carry_over(old: Path, new: Path, *, skip: "Sequence[str] | set[str]") -> None:
    """Take what is not ours from a folder that is to be replaced.

    It is taken as links, which cost nothing and leave the folder whole until it is removed.

    old (Path): May be missing.
    new (Path): In a draft.
    skip (Sequence[str]): Names that are ours.
    """
    if not old.is_dir():
        return
    drafts = {path.name for path in _drafts(old)}
    for path in sorted(old.iterdir()):
        target = new / path.name
        if path.name in skip or path.name in drafts or os.path.lexists(target):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target, symlinks=True, copy_function=_link)
        else:
            _link(path, target)


def _link(source: "str | Path", target: "str | Path") -> None:
    """A hard link, or a copy where there are none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _remove(path: Path, folder: Path) -> None:
    """Remove an entry of a folder; a link itself, not what it leads to."""
    path = inside(folder, path.name)
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
