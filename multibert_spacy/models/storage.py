"""One folder per adapter: PEFT's two files, what belongs to it of ours, and a manifest.

    adapter_config.json, adapter_model.safetensors   PEFT's format (absent for kind "none")
    head.safetensors                                 the linear layer behind the core
    multibert.json                                   format, kind, core, hashes of the files, meta

The head is stored with each domain, so that a folder can be copied, published and removed alone;
equal heads are one in memory. Folders are written beside and renamed, so that no half-written
one is taken for a whole one.

Folders of strangers may be read: sizes, shapes and names are checked before memory is taken, and
no name in a file leads out of its folder.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import AdapterError, MultibertError
from .adapters import Adapter, NoAdapter
from .core import Core
from .halves import exact_halves
from .manifest import check_seal, read_json, write_json
from .peft_format import check_tensors, read_adapter, write_adapter

__all__ = [
    "FORMAT",
    "check_head",
    "file_hash",
    "file_hashes",
    "read_folder",
    "verify_files",
    "write_folder",
]

FORMAT = 1
MANIFEST = "multibert.json"
LARGEST = 2**20
"""Bytes that a file of an adapter may have beside four times those of the core in fp32: more than
the full rank on every linear layer of it.
"""


def file_hashes(folder: Path) -> dict[str, str]:
    """RETURNS (dict): File name -> SHA-256, for each file in a folder but the manifest."""
    return {
        path.name: file_hash(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }


def file_hash(path: Path) -> str:
    """RETURNS (str): SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            size = path.stat().st_size
            if largest is not None and size > largest:
                raise error(f"{path} has {size} bytes: at most {largest} make sense here")
            found = file_hash(path)
        except OSError as e:
            raise error(f"{path} cannot be read: {e.strerror}") from e
        if found != expected:
            raise error(f"{path} is damaged: its SHA-256 differs from the one in {MANIFEST}")


def write_folder(
    folder: Path, adapter: Adapter, head: dict[str, Tensor], meta: dict[str, Any], core: str
) -> None:
    """Write an adapter and its head.

    folder (Path): Replaced if it exists.
    adapter (Adapter): The adapter.
    head (dict): Tensors of the linear layer.
    meta (dict): JSON values for the manifest: labels, head and domain names.
    core (str): Fingerprint of the core.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    write_adapter(adapter, draft)
    save_file(exact_halves(head), str(draft / "head.safetensors"), metadata={"format": "pt"})
    manifest = {
        "format": FORMAT,
        "kind": adapter.settings.kind,
        "core": core,
        **meta,
        "files": file_hashes(draft),
    }
    write_json(draft / MANIFEST, manifest)
    if folder.exists():
        shutil.rmtree(folder)
    draft.rename(folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """RETURNS (dict): The manifest.
    RAISES (AdapterError): If it is missing, damaged, or of a newer format.
    """
    path = folder / MANIFEST
    manifest = read_json(path, AdapterError)
    if manifest.get("format", FORMAT) != FORMAT:
        version = manifest["format"]
        raise AdapterError(f"{path} is of format {version}; this version reads {FORMAT}")
    complete = {"format", "kind", "core", "files", "labels"} <= manifest.keys()
    if not complete or not isinstance(manifest["files"], dict):
        raise AdapterError(f"{path} is damaged: it must name kind, core, files and labels")
    labels = manifest["labels"]
    if not isinstance(labels, list) or not all(isinstance(n, str) and n.strip() for n in labels):
        raise AdapterError(f"{path} is damaged: labels must be a list of names, got {labels!r}")
    if len(set(labels)) < len(labels):
        raise AdapterError(f"{path} is damaged: a label stands twice in {labels!r}")
    return manifest


def read_folder(
    folder: Path, core: Core, fingerprint: str
) -> tuple[Adapter, dict[str, Tensor], dict[str, Any]]:
    """Read an adapter and its head.

    folder (Path): What `write_folder` wrote.
    core (Core): The core to run it on.
    fingerprint (str): The core's.
    RETURNS (tuple): Adapter, tensors of the head, manifest.
    RAISES (AdapterError): If anything is missing, damaged, or made for another core.
    """
    manifest = read_manifest(folder)
    if manifest["core"] != fingerprint:
        raise AdapterError(
            f"The adapter in {folder} was made for another core: {str(manifest['core'])[:12]}… "
            f"in {MANIFEST}, this pipeline has {fingerprint[:12]}…"
        )
    largest = 16 * sum(p.numel() for p in core.model.parameters()) + LARGEST
    verify_files(folder, manifest["files"], AdapterError, largest=largest)
    needed = ["head.safetensors"]
    if manifest["kind"] != "none":
        needed += ["adapter_config.json", "adapter_model.safetensors"]
    for name in needed:
        if name not in manifest["files"]:
            raise AdapterError(f"{folder / MANIFEST} names no {name}")
    adapter = NoAdapter() if manifest["kind"] == "none" else read_adapter(folder, core)
    if adapter.settings.kind != manifest["kind"]:
        raise AdapterError(
            f"{folder} holds a {adapter.settings.kind}, not a {manifest['kind']} "
            f"as {MANIFEST} says"
        )
    try:
        head = load_file(str(folder / "head.safetensors"))
    except (SafetensorError, OSError) as e:
        raise AdapterError(f"{folder / 'head.safetensors'} is damaged: {e}") from e
    # last, so that damage with a better name has been given it
    check_seal(manifest, folder / MANIFEST, AdapterError)
    return adapter, head, manifest


def check_head(
    folder: Path,
    head: Mapping[str, Tensor],
    n_outputs: int,
    core: Core,
    *,
    extra: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    """Check the tensors of a linear layer before one is made for them.

    folder (Path): Where they are from.
    head (Mapping): What `read_folder` returned.
    n_outputs (int): What the labels need.
    core (Core): The core that it is put on.
    extra (Mapping): Names and shapes of what it has besides.
    RAISES (AdapterError): If they are others, of other shapes, or not finite.
    """
    shapes: dict[str, tuple[int, ...]] = {"weight": (n_outputs, core.width), "bias": (n_outputs,)}
    check_tensors(folder / "head.safetensors", head, {**shapes, **(extra or {})})
