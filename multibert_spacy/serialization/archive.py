"""Bytes of a component are its folder, packed: one format, one code path, no pickle."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import srsly
from thinc.api import Model

from ..errors import AdapterError, ConfigError, MultibertError
from .files import inside, read_regular

__all__ = ["FolderBytes", "folder_from_bytes", "folder_to_bytes", "read_model", "write_model"]

LARGEST = 2**32
"""Bytes of a model of thinc's."""


def folder_to_bytes(write: Callable[[Path], Any]) -> bytes:
    """Pack a folder.

    write (Callable): Writes a folder at the path it is given.
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
    """Unpack a folder.

    data (bytes): What `folder_to_bytes` returned.
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
            try:
                path = folder
                for part in name.split("/"):
                    path = inside(path, part)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except (MultibertError, OSError, TypeError, AttributeError, ValueError) as e:
                raise MultibertError(
                    f"The bytes of a component hold an illegal file: {name!r:.200}"
                ) from e
        read(folder)


def write_model(model: Model[Any, Any], path: Path) -> None:
    """Write a model's file, in thinc's format.

    RAISES (ConfigError): If one of its weights is not a finite number.
    """
    _check_weights(model)
    model.to_disk(path)


def _check_weights(model: Model[Any, Any]) -> None:
    for node in model.walk():
        for name in node.param_names:
            weights = node.ops.to_numpy(node.get_param(name)) if node.has_param(name) else 0.0
            if not np.isfinite(weights).all():
                raise ConfigError(
                    f"The model {model.name!r} is not saved: {node.name!r} has values ({name}) "
                    "that are not finite numbers. Train it with a lower learning rate"
                )


def read_model(model: Model[Any, Any], path: Path) -> None:
    """Read thinc's file of a model, or leave the model as it is.

    RAISES (AdapterError): If the file is missing or damaged.
    """
    try:
        before = model.to_bytes()
    except ValueError:  # it has no weights yet
        before = None
    try:
        model.from_bytes(read_regular(path, largest=LARGEST))
    except Exception as e:  # thinc raises whatever a damaged file makes it stumble over
        if before is not None:
            model.from_bytes(before)
        raise AdapterError(f"{path} is missing or damaged: {e}") from e


class FolderBytes:
    """`to_bytes` and `from_bytes` of a component by way of its `to_disk` and `from_disk`."""

    checks_texts = True
    """As all of our components do, by which the tokenizer knows them; see `text/surrogates.py`."""
    model: Any
    to_disk: Callable[..., Any]
    from_disk: Callable[..., Any]

    def check_savable(self) -> None:
        """Check that the component can be saved, before a pipeline's first file is written.

        RAISES (ConfigError): If `to_disk` would refuse the weights.
        """
        check = getattr(self.model, "check_savable", None)
        if check is not None:
            check()
        else:
            _check_weights(self.model)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return what `to_disk` would write."""
        return folder_to_bytes(lambda path: self.to_disk(path, exclude=exclude))

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Read what `to_bytes` returned."""
        folder_from_bytes(data, lambda path: self.from_disk(path, exclude=exclude))
        return self
