"""One folder per adapter: PEFT's two files, what belongs to it of ours, and a manifest.

    adapter_config.json, adapter_model.safetensors   PEFT's format (absent for kind "none")
    head.safetensors                                 the linear layer behind the core
    multibert.json                                   format, kind, core, hashes of the files, meta

The head is stored with each domain, equal heads are one in memory. Adapters that are equal, as
those of domains which no tuning has improved, are stored once when they are saved together: the
manifests of the others name the folder beside theirs that has the weights (`weights_of`), and
their hash. Saved alone a folder has all of its files, and can be copied and published. Folders are
written beside and renamed, so that no half-written one is taken for a whole one.

Folders of strangers may be read: sizes, shapes and names are checked before memory is taken, and
no name in a file leads out of its folder.
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from ..core.dtypes import check_finite_tensors, save_tensors
from ..core.encoder import Core
from ..core.settings import differences
from ..errors import AdapterError, ConfigError
from ..names import check_description, check_labels, check_name
from ..serialization.drafts import draft_in, swap
from ..serialization.manifest import (
    FORMAT,
    MANIFEST,
    check_seal,
    file_hashes,
    read_json,
    verify_files,
    write_json,
)
from .kinds import Adapter, NoAdapter
from .peft_format import (
    WEIGHTS,
    check_tensors,
    largest_file,
    read_adapter,
    read_tensors,
    write_adapter,
)

__all__ = [
    "SETTINGS",
    "check_head",
    "check_saved_description",
    "check_saved_labels",
    "read_folder",
    "read_manifest",
    "say_unproven",
    "write_files",
    "write_folder",
]

logger = logging.getLogger(__name__)

SETTINGS = "core_settings"
"""Where in a manifest the core's second identity stands; version 0.1.0 wrote none."""
FILES = (MANIFEST, "adapter_config.json", "adapter_model.safetensors", "head.safetensors")

CARD, DETECTOR = "README.md", "detector.safetensors"
"""What a folder may hold beside them: for people, and of a detector."""
WEIGHTS_OF = "weights_of"
"""Where in a manifest the folder beside it stands that has its adapter's weights."""


def write_folder(
    folder: Path,
    adapter: Adapter,
    head: dict[str, Tensor],
    meta: dict[str, Any],
    core: str,
    *,
    more: Mapping[str, dict[str, Tensor]] = MappingProxyType({}),
    texts: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write an adapter and its head into the place of what is there; of a link the link is
    replaced, not what it leads to.

    folder (Path): Replaced if it exists, which must then be such a folder, or empty.
    adapter, head, meta, core, more: See `write_files`.
    texts (Mapping): Name of a file for people -> what it says. Nothing guards it.
    RAISES (AdapterError): If there is something else, which is not ours to remove.
    """
    _check_ours(folder, {*FILES, *more, *texts, CARD, DETECTOR})
    with draft_in(folder.parent) as draft:
        write_files(draft / folder.name, adapter, head, meta, core, more=more)
        for name, text in texts.items():
            (draft / folder.name / name).write_text(text, encoding="utf8")
        swap(draft, folder.parent, [folder.name])


def _check_ours(folder: Path, ours: Collection[str]) -> None:
    """Check that a folder may be replaced: that nothing of somebody else's would be lost.

    RAISES (AdapterError): If it holds anything that is not among `ours`.
    """
    if folder.is_symlink() or not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {"(a file)"}
    if foreign := sorted(names - set(ours)):
        raise AdapterError(
            f"{folder} is there and no adapter's folder: it holds {foreign[0]!r}. It would "
            "be replaced; write to an empty or a new one"
        )


def write_files(
    folder: Path,
    adapter: Adapter,
    head: dict[str, Tensor],
    meta: dict[str, Any],
    core: str,
    *,
    beside: dict[str, str] | None = None,
    more: Mapping[str, dict[str, Tensor]] = MappingProxyType({}),
) -> None:
    """Write the files of an adapter and its head into a new folder.

    folder (Path): Made here, in a draft.
    adapter (Adapter): The adapter.
    head (dict): Tensors of the linear layer.
    meta (dict): JSON values for the manifest: labels, head and domain names, `core_settings`.
    core (str): Fingerprint of the core.
    beside (dict): Hash of an adapter's weights -> the folder beside this one that has them.
        Those in it are not stored again, others are added to it. None stores all.
    more (Mapping): Name of a further file -> its tensors.
    RAISES (ConfigError): If a value is not a finite number: nobody could read it.
    """
    check_finite_tensors(folder.name, {**adapter.export(), **head})
    for tensors in more.values():
        check_finite_tensors(folder.name, tensors)
    folder.mkdir(parents=True)
    write_adapter(adapter, folder)
    for name, tensors in {"head.safetensors": head, **more}.items():
        save_tensors(tensors, folder / name)
    manifest = {
        "format": FORMAT,
        "kind": adapter.settings.kind,
        "core": core,
        **meta,
        "files": file_hashes(folder),
    }
    if beside is not None and WEIGHTS in manifest["files"]:
        owner = beside.setdefault(manifest["files"][WEIGHTS], folder.name)
        if owner != folder.name:
            (folder / WEIGHTS).unlink()
            manifest[WEIGHTS_OF] = owner
    write_json(folder / MANIFEST, manifest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest.

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
    check_saved_labels(path, manifest["labels"])
    return manifest


def check_saved_labels(path: Path, labels: object) -> None:
    """Check labels that were read from a file.

    path (Path): Where labels were read from.
    RAISES (AdapterError): If they are none.
    """
    if not isinstance(labels, list):
        raise AdapterError(f"{path} is damaged: labels must be a list of names, got {labels!r}")
    try:
        check_labels(labels)
    except ConfigError as e:
        raise AdapterError(f"{path} is damaged: {e}") from e


def check_saved_description(path: Path, description: object) -> None:
    """Check what is said of a domain.

    path (Path): Where it was read from.
    RAISES (AdapterError): If it is no description that could be saved again.
    """
    try:
        check_description(description)
    except ConfigError as e:
        raise AdapterError(f"{path} is damaged: {e}") from e


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
    _check_settings(folder, manifest.get(SETTINGS), core)
    largest = largest_file(core)
    weights = _verify(folder, manifest, largest)
    needed = ["head.safetensors"]
    if manifest["kind"] != "none":
        needed += ["adapter_config.json", WEIGHTS]
    for name in needed:
        if name not in manifest["files"]:
            raise AdapterError(f"{folder / MANIFEST} names no {name}")
    adapter = NoAdapter() if manifest["kind"] == "none" else read_adapter(folder, core, weights)
    if adapter.settings.kind != manifest["kind"]:
        raise AdapterError(
            f"{folder} holds a {adapter.settings.kind}, not a {manifest['kind']} "
            f"as {MANIFEST} says"
        )
    head = read_tensors(folder / "head.safetensors", largest=largest)
    # last, so that damage with a better name has been given it
    check_seal(manifest, folder / MANIFEST, AdapterError)
    return adapter, head, manifest


def _verify(folder: Path, manifest: Mapping[str, Any], largest: int) -> Path:
    """Check all files that a manifest names.

    largest (int): Bytes that a file may have.
    RETURNS (Path): The adapter's weights, in this folder or in one beside it.
    RAISES (AdapterError): If one is missing or differs.
    """
    files = dict(manifest["files"])
    owner = manifest.get(WEIGHTS_OF)
    if owner is None:
        verify_files(folder, files, AdapterError, largest=largest)
        return folder / WEIGHTS
    try:
        beside = folder.parent / check_name(owner)
    except ConfigError as e:
        raise AdapterError(f"{folder / MANIFEST} is damaged: {WEIGHTS_OF}: {e}") from e
    shared = {WEIGHTS: files.pop(WEIGHTS, "")}
    verify_files(folder, files, AdapterError, largest=largest)
    try:
        verify_files(beside, shared, AdapterError, largest=largest)
    except AdapterError as e:
        raise AdapterError(
            f"{e}. The weights of {folder.name!r} are there, since the two were equal when they "
            "were saved: whoever copies or removes domains by hand needs both folders as they "
            "were, or one that was saved alone"
        ) from e
    return beside / WEIGHTS


def _check_settings(folder: Path, there: object, core: Core) -> None:
    """Check that an adapter was made for the same weights in the same setting.

    RAISES (AdapterError): If it was not.
    """
    if there is None:
        return
    if not isinstance(there, dict):
        raise AdapterError(f"{folder / MANIFEST} is damaged: {SETTINGS} must be an object")
    found = differences(there, core.settings)
    if found:
        raise AdapterError(
            f"The adapter in {folder} was made for another core: the weights are the same, but "
            f"these settings differ: {', '.join(found)}"
        )


def say_unproven(folder: Path, manifests: Mapping[str, Mapping[str, Any]]) -> None:
    """Say which adapters were made before a manifest said all that they need of a core.

    folder (Path): Where they are from.
    manifests (Mapping): Name -> what `read_folder` returned.
    """
    names = [name for name, manifest in manifests.items() if SETTINGS not in manifest]
    if names:
        logger.warning(
            "Adapters in %s are unproven: %s. They were saved by an older version, whose "
            "manifests name the core's weights alone, so that another tokenizer or other settings "
            "of the core would not be noticed. nlp.to_disk writes them anew",
            *(folder, ", ".join(names)),
        )


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
