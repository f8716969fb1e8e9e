"""PEFT folders of anybody's: an adapter, perhaps with a classifier, that know nothing of us.

PEFT names tensors by the model that was trained: a core alone (`encoder.layer…`), or a core inside
a model with a task's classifier (`bert.encoder.layer…`, `classifier`), which PEFT saves whole
under `modules_to_save`. Here the names are made those of the core, and the classifier is set
apart.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..core.encoder import Core
from ..errors import AdapterError
from ..serialization.manifest import MANIFEST, read_json
from .kinds import PEFT_PREFIX, LoraAdapter, PrefixAdapter
from .peft_format import WEIGHTS, build_adapter, check_tensors, largest_file, read_tensors

__all__ = ["ForeignAdapter", "read_foreign"]

CONFIG = "adapter_config.json"
TASKS = (None, "FEATURE_EXTRACTION", "TOKEN_CLS")
CLASSIFIERS = ("classifier", "score")
"""Names of a token classifier in transformers; PEFT lists both, and saves what is there."""
LARGEST_CONFIG = 2**22
"""Bytes: a model's names all of its classes."""


class ForeignAdapter(NamedTuple):
    """What was read.

    adapter (LoraAdapter | PrefixAdapter): For the core.
    weight (k, h), bias (k,): Of the classifier; None without one.
    tags (list[str]): Names of the classifier's outputs, if a `config.json` beside says them.
    base (str): What the folder calls its core.
    core (str): The core's fingerprint, if `base` is a folder that says it.
    """

    adapter: LoraAdapter | PrefixAdapter
    weight: Tensor | None
    bias: Tensor | None
    tags: list[str] | None
    base: str
    core: str | None


def read_foreign(folder: Path, core: Core) -> ForeignAdapter:
    """Read a folder that PEFT wrote, for feature extraction or token classification.

    folder (Path): With `adapter_config.json` and `adapter_model.safetensors`.
    core (Core): The core to run it on.
    RAISES (AdapterError): If a file is missing or damaged, if the adapter is of another task or
        kind, trains parts of the core, or does not fit the core.
    """
    if not (folder / WEIGHTS).is_file() and (folder / "adapter_model.bin").is_file():
        raise AdapterError(
            f"{folder / 'adapter_model.bin'} is a pickle, which is not loaded: save the adapter "
            "with safe_serialization=True"
        )
    config = read_json(folder / CONFIG, AdapterError)
    _check_task(folder, config)
    tensors = read_tensors(folder / WEIGHTS, largest=largest_file(core))
    prefix = f"{getattr(core.model, 'base_model_prefix', '')}."
    inside = {_inside(name, prefix): own for name, own in tensors.items()}
    heads = {name: own for name, own in inside.items() if name.split(".")[0] in CLASSIFIERS}
    rest = {
        name if name == "prompt_embeddings" else f"{PEFT_PREFIX}{name}": own
        for name, own in inside.items()
        if name not in heads
    }
    nested = any(name.startswith(f"{PEFT_PREFIX}{prefix}") for name in tensors)
    _check_names(folder / WEIGHTS, tensors, inside, f"{PEFT_PREFIX}{prefix}")
    own = {**config, "modules_to_save": None}
    adapter = build_adapter(own, rest, folder, core, inside=prefix if nested else "")
    weight, bias = _classifier(folder, heads, core)
    base = config.get("base_model_name_or_path")
    base = base if isinstance(base, str) else ""
    return ForeignAdapter(adapter, weight, bias, _tags(folder), base, _fingerprint(base))


def _check_task(folder: Path, config: Mapping[str, Any]) -> None:
    task, saved = config.get("task_type"), config.get("modules_to_save")
    if task not in TASKS:
        raise AdapterError(
            f"{folder} is for the task {task!r:.80}: adapters for FEATURE_EXTRACTION and "
            "TOKEN_CLS can be imported"
        )
    if not isinstance(saved, list | None) or not set(map(str, saved or ())) <= set(CLASSIFIERS):
        raise AdapterError(
            f"{folder} has trained parts of the core itself (modules_to_save: {saved!r:.80}), "
            "which all domains share"
        )


def _check_names(
    path: Path, tensors: Iterable[str], inside: Mapping[str, Tensor], begin: str
) -> None:
    """Check that names are of one model: of two that mean the same tensor the last would count.

    tensors (Iterable[str]): Names in the file. inside (Mapping): Those in the core.
    begin (str): Of names where the core is inside another model.
    RAISES (AdapterError): If some are of a core alone, and others of a core inside a model.
    """
    names = list(tensors)
    of_core = [name for name in names if any(f".{part}." in name for part in ("lora_A", "lora_B"))]
    nested = [name for name in of_core if name.startswith(begin)]
    if len(inside) < len(names) or (nested and len(nested) < len(of_core)):
        odd = next((name for name in of_core if name not in nested), names[0])
        raise AdapterError(
            f"{path} names tensors of two models, some by {begin}… and some not ({odd!r:.200}): "
            "save the adapter of one"
        )


def _inside(name: str, prefix: str) -> str:
    """Return the name of a tensor inside the core, or of the classifier."""
    for begin in (PEFT_PREFIX, "base_model."):  # PEFT leaves out `model` beside a prefix
        if name.startswith(begin):
            return name.removeprefix(begin).removeprefix(prefix)
    return name


def _classifier(
    folder: Path, heads: Mapping[str, Tensor], core: Core
) -> tuple[Tensor | None, Tensor | None]:
    """Return weight (k, h) and bias (k,).

    RAISES (AdapterError): If it is no linear layer on the core.
    """
    if not heads:
        return None, None
    begin = next(iter(heads)).split(".")[0]
    weight = heads.get(f"{begin}.weight")
    k = 0 if weight is None or weight.ndim != 2 else len(weight)
    check_tensors(
        folder / WEIGHTS, heads, {f"{begin}.weight": (k, core.width), f"{begin}.bias": (k,)}
    )
    return heads[f"{begin}.weight"].float(), heads[f"{begin}.bias"].float()


def _tags(folder: Path) -> list[str] | None:
    """Return what a model's `config.json` calls its classes, in order."""
    if not (folder / "config.json").is_file():
        return None
    names = read_json(folder / "config.json", AdapterError, largest=LARGEST_CONFIG).get("id2label")
    if not isinstance(names, dict):
        return None
    tags = [names.get(str(i)) for i in range(len(names))]
    return [tag for tag in tags if isinstance(tag, str)] if all(tags) else None


def _fingerprint(base: str) -> str | None:
    """Return the core's fingerprint, if it was a folder of ours which is still there."""
    path = Path(base) / MANIFEST
    try:
        if not base or "\0" in base or not path.is_file():
            return None
    except OSError:  # a name that is too long for a folder's is none
        return None
    found = read_json(path, AdapterError).get("core")
    return found if isinstance(found, str) else None
