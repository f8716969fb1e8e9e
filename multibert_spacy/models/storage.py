"""One folder per adapter: PEFT's two files, what belongs to it of ours, and a manifest.

    adapter_config.json, adapter_model.safetensors   PEFT's format (absent for kind "none")
    head.safetensors                                 the linear layer behind the core
    multibert.json                                   format, kind, core, hashes of the files, meta

The head is stored with each domain, so that a folder can be copied, published and removed alone;
equal heads are one in memory. Folders are written beside and renamed, so that no half-written
one is taken for a whole one.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import AdapterError
from .adapters import Adapter, NoAdapter
from .core import Core
from .halves import exact_halves
from .peft_format import read_adapter, write_adapter

__all__ = ["FORMAT", "file_hashes", "read_folder", "verify_files", "write_folder"]

FORMAT = 1
MANIFEST = "multibert.json"


def file_hashes(folder: Path) -> dict[str, str]:
    """RETURNS (dict): File name -> SHA-256, for each file in a folder but the manifest."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }


def verify_files(folder: Path, hashes: dict[str, str], error: type[Exception]) -> None:
    """Check files against a manifest.

    folder (Path): Where they are.
    hashes (dict): File name -> SHA-256.
    error (type): What to raise, with the file's name, if one is missing or differs.
    """
    for name, expected in hashes.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise error(f"{path} is missing")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise error(f"{path} is damaged: its SHA-256 differs from the one in the manifest")


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
    text = json.dumps(manifest, ensure_ascii=False, indent=2)
    (draft / MANIFEST).write_text(text + "\n", encoding="utf8")
    if folder.exists():
        shutil.rmtree(folder)
    draft.rename(folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """RETURNS (dict): The manifest.
    RAISES (AdapterError): If it is missing, damaged, or of a newer format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf8"))
        version = manifest["format"]
        complete = {"kind", "core", "files", "labels"} <= manifest.keys()
    except OSError as e:
        raise AdapterError(f"{path} cannot be read: {e.strerror}") from e
    except (ValueError, TypeError, KeyError) as e:
        raise AdapterError(f"{path} is damaged: {e!r}") from e
    if version != FORMAT:
        raise AdapterError(f"{path} is of format {version}; this version reads {FORMAT}")
    if not complete or not isinstance(manifest["files"], dict):
        raise AdapterError(f"{path} is damaged: it must name kind, core, files and labels")
    labels = manifest["labels"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise AdapterError(f"{path} is damaged: labels must be a list of names, got {labels!r}")
    return dict(manifest)


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
            f"The adapter in {folder} was made for another core: {str(manifest['core'])[:12]}…, "
            f"this pipeline has {fingerprint[:12]}…"
        )
    verify_files(folder, manifest["files"], AdapterError)
    needed = ["head.safetensors"]
    if manifest["kind"] != "none":
        needed += ["adapter_config.json", "adapter_model.safetensors"]
    for name in needed:
        if name not in manifest["files"]:
            raise AdapterError(f"{folder / MANIFEST} names no {name}")
    adapter = NoAdapter() if manifest["kind"] == "none" else read_adapter(folder, core)
    if adapter.settings.kind != manifest["kind"]:
        raise AdapterError(f"{folder} holds a {adapter.settings.kind}, not a {manifest['kind']}")
    try:
        head = load_file(str(folder / "head.safetensors"))
    except (SafetensorError, OSError) as e:
        raise AdapterError(f"{folder / 'head.safetensors'} is damaged: {e}") from e
    return adapter, head, manifest
