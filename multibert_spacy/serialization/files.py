"""Files of strangers and folders of users: what may be opened, what may be written or removed.

A folder that somebody sent may hold a pipe that never ends, a link to a device, or a name that
leads out of it. Opening such a file hangs or takes all memory before a hash or a size can say what
is wrong. So each file that is not ours alone is opened here, and each path that comes from a name
is made here.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import MultibertError

__all__ = ["hash_regular", "inside", "open_regular", "read_regular"]

BLOCK = 2**20


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; links to one are followed.

    path (Path): The file.
    RETURNS (BinaryIO): Unbuffered. A reader should stop at the size that `os.fstat` tells: the
        kernel's own files (`/proc/kmsg`) look regular and empty, and never end.
    RAISES (OSError): If it is missing, or a folder, a pipe, a device or a socket.
    """
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    _check_regular(os.stat(path), path)  # opening a device may do something already
    descriptor = os.open(path, flags)
    try:
        _check_regular(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(info: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.EINVAL, "It is not a regular file", str(path))


def read_regular(path: Path, *, largest: int) -> bytes:
    """Read a regular file whole.

    path (Path): The file.
    largest (int): Bytes that it may have.
    RETURNS (bytes): As many as its size.
    RAISES (OSError): See `open_regular`; or if it is larger, or shorter than it says.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > largest:
            raise OSError(errno.EFBIG, f"It has more than {largest} bytes", str(path))
        return b"".join(_blocks(file, path))


def hash_regular(path: Path) -> str:
    """Return the SHA-256 of a regular file, read piece by piece.

    RAISES (OSError): As `read_regular`.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        for block in _blocks(file, path):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    left = os.fstat(file.fileno()).st_size
    while left:
        block = file.read(min(left, BLOCK))
        if not block:
            raise OSError(errno.EIO, "It is shorter than its size says", str(path))
        left -= len(block)
        yield block


def inside(folder: Path, name: object) -> Path:
    """The path of a name in a folder, for whatever is written, replaced or removed there.

    folder (Path): The folder.
    name (str): From a manifest, from bytes, or from a user: nothing is taken for granted.
    RETURNS (Path): Of an entry of this folder.
    RAISES (MultibertError): If the name is none of a single entry: empty, "..", absolute, with a
        separator of any system or a NUL.
    """
    legal = (
        isinstance(name, str)
        and name not in ("", ".", "..")
        and not set(name) & {"/", "\\", "\0", ":"}
    )
    path = folder / str(name) if legal else folder
    if not legal or path.parent != folder or path.name != name:
        raise MultibertError(
            f"{name!r:.200} is not the name of a file or folder inside {folder}: it must be one "
            "name, without '/', '\\', ':' and '..'"
        )
    return path
