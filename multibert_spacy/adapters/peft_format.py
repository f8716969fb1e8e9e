"""PEFT's format on disk: `PeftModel.from_pretrained` reads what we write, and we read what PEFT
writes, or say which of its options we do not apply.

Reading does not import PEFT, which takes seconds. So its rule for which modules a LoRA adapter
sits on stands here again, and a test compares the two. The patterns of that rule come from the
file: what they may hold is in `patterns.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ..core.dtypes import save_tensors
from ..core.encoder import Core, layer_of
from ..errors import AdapterError, ConfigError
from ..serialization.files import read_regular
from ..serialization.manifest import read_json
from .kinds import (
    ALL_LINEAR,
    PEFT_PREFIX,
    Adapter,
    LoraAdapter,
    LoraSettings,
    NoAdapter,
    PrefixAdapter,
    PrefixSettings,
)
from .target_modules import PatternError, Patterns

__all__ = [
    "WEIGHTS",
    "build_adapter",
    "check_tensors",
    "largest_file",
    "read_adapter",
    "read_tensors",
    "write_adapter",
]

WEIGHTS = "adapter_model.safetensors"

UNSUPPORTED = (
    *("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save", "bias"),
    *("fan_in_fan_out", "lora_bias", "layer_replication", "use_qalora", "use_bdlora"),
    *("target_parameters", "trainable_token_indices", "alora_invocation_tokens", "arrow_config"),
    *("kasa_config", "velora_config", "monteclora_config"),
)
"""PEFT's options that change what an adapter computes, off in every adapter that we can run."""
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Of tensors that are read; of 8-bit ones torch cannot even say whether they are finite."""
PATTERN_SECONDS = 2.0
MOST_PATTERNS = 100
LARGEST = 2**20
"""Bytes that a file of an adapter may have beside four times those of the core in fp32: more than
the full rank on every linear layer of it.
"""
ALL_LAYERS = "all-linear"
PLAIN_INIT = (True, False, "gaussian", "eva", "orthogonal")
"""Start values of LoRA that leave the core's own weights alone (PiSSA, for example, does not)."""


def write_adapter(adapter: Adapter, folder: Path) -> None:
    """Write an adapter in PEFT's format.

    adapter (Adapter): What to write; NoAdapter writes nothing.
    folder (Path): An existing folder. Gets `adapter_config.json`, `adapter_model.safetensors`.
    """
    if isinstance(adapter, NoAdapter):
        return
    config = adapter.peft_config()
    if isinstance(adapter, LoraAdapter):  # PEFT has a set, and equal adapters are equal files
        config.target_modules = sorted(config.target_modules)
    config.save_pretrained(str(folder))
    save_tensors(adapter.export(), folder / WEIGHTS)


def read_adapter(
    folder: Path, core: Core, weights: Path | None = None
) -> LoraAdapter | PrefixAdapter:
    """Read an adapter in PEFT's format, whoever wrote it.

    folder (Path): With `adapter_config.json` and `adapter_model.safetensors`.
    core (Core): The core it was trained for. What sits on a pooler is left out.
    weights (Path): Where the second lies if not in the folder.
    RETURNS (LoraAdapter | PrefixAdapter): With its settings. What came in fp16 stays in it, half
        the memory, until it is trained (`float()`).
    RAISES (AdapterError): If a file is missing or damaged, if the adapter is of a kind or has an
        option that we do not apply, or if its tensors do not fit the core.
    """
    config = read_json(folder / "adapter_config.json", AdapterError)
    weights = weights or folder / WEIGHTS
    tensors = read_tensors(weights, largest=largest_file(core))
    return build_adapter(config, tensors, folder, core, weights=weights)


def build_adapter(
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    folder: Path,
    core: Core,
    *,
    weights: Path | None = None,
    inside: str = "",
) -> LoraAdapter | PrefixAdapter:
    """Make an adapter of what its two files say.

    config (dict), tensors (dict): What they hold, the tensors by their names inside the core.
    folder (Path): Where they are from.
    core (Core): The core it was trained for.
    weights (Path): Where the second lies if not in the folder.
    inside (str): What the model that PEFT saw called the core, with a dot: it is in front of the
        names that the config's patterns are for.
    RAISES (AdapterError): See `read_adapter`.
    """
    path = weights or folder / WEIGHTS
    try:
        settings = _settings(config, folder, core, inside)
        shapes = settings.shapes(core)
    except AdapterError:
        raise
    except (OSError, KeyError, TypeError, ValueError, ArithmeticError) as e:
        raise AdapterError(f"The adapter in {folder} cannot be read: {e!r}") from e
    tensors = {k: v for k, v in tensors.items() if not k.startswith(f"{PEFT_PREFIX}pooler.")}
    check_tensors(path, tensors, shapes)
    adapter = settings.build(core)
    for name, target in adapter.export().items():
        kept = tensors[name].dtype if tensors[name].dtype == torch.float16 else torch.float32
        target.data = tensors[name].to(kept, copy=True)
    return adapter


def largest_file(core: Core) -> int:
    """Return how many bytes a file of an adapter may have."""
    return 16 * core.n_weights + LARGEST


def read_tensors(path: Path, *, largest: int) -> dict[str, Tensor]:
    """Read a file of tensors, whoever wrote it.

    path (Path): In the format of safetensors.
    largest (int): Bytes that it may have.
    RAISES (AdapterError): If it is missing, too large, damaged, or no regular file.
    """
    try:
        tensors: dict[str, Tensor] = load(read_regular(path, largest=largest))
    except OSError as e:
        raise AdapterError(f"{path} cannot be read: {e.strerror}") from e
    except (SafetensorError, ValueError, TypeError, KeyError) as e:
        raise AdapterError(f"{path} is damaged: {e}") from e
    return tensors


def check_tensors(
    path: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Check what a file holds before a module is made for it.

    path (Path): The file.
    tensors (Mapping): Its tensors by name.
    shapes (Mapping): Those that there should be.
    RAISES (AdapterError): If there are others, one is of another type, or a value is not finite
        in fp16, in which some are kept and most are stored.
    """
    if shapes.keys() != tensors.keys():
        odd = sorted(shapes.keys() ^ tensors.keys())[:3]
        raise AdapterError(f"{path} does not fit the core: tensors {odd}")
    for name, shape in shapes.items():
        found = tensors[name]
        if tuple(found.shape) != shape:
            raise AdapterError(
                f"{path} does not fit the core: {name} has shape {tuple(found.shape)}, "
                f"expected {shape}"
            )
        if found.dtype not in DTYPES:
            raise AdapterError(
                f"{path} cannot be read: {name} is of type {str(found.dtype).split('.')[-1]}, "
                f"adapters have {', '.join(str(own).split('.')[-1] for own in DTYPES)}"
            )
        if not torch.isfinite(found.half()).all():  # as it will be stored
            raise AdapterError(
                f"{path} is damaged: {name} has values that are not finite numbers, or are none "
                "in fp16"
            )


def _settings(
    config: dict[str, Any], folder: Path, core: Core, inside: str
) -> LoraSettings | PrefixSettings:
    """The settings that a PEFT config tells. inside (str): See `build_adapter`."""
    kind = config["peft_type"]
    if kind not in ("LORA", "PREFIX_TUNING"):
        raise AdapterError(
            f"{folder}: adapters of type {kind} are not supported (LORA, PREFIX_TUNING)"
        )
    replication = config.get("layer_replication") or None
    for option in UNSUPPORTED:
        fits = option == "layer_replication" and replication == core.replication
        if not fits and config.get(option) not in (None, False, "none", [], {}):
            raise AdapterError(f"{folder}: the PEFT option {option} is not supported")
    if kind == "PREFIX_TUNING":
        return PrefixSettings(config["num_virtual_tokens"], init="noise")
    if config.get("init_lora_weights", True) not in PLAIN_INIT:
        raise AdapterError(
            f"{folder}: the PEFT option init_lora_weights={config['init_lora_weights']!r} "
            "changes the core and is not supported"
        )
    try:
        patterns = Patterns(PATTERN_SECONDS)
        shared = core.replication is not None and replication is None
        all_sites = core.linear_sites(shared=shared)
        sites = [site for site in all_sites if _is_target(site, config, patterns, inside)]
    except TimeoutError as e:
        raise AdapterError(
            f"{folder / 'adapter_config.json'} holds a pattern that takes more than "
            f"{PATTERN_SECONDS} seconds"
        ) from e
    except PatternError as e:
        raise AdapterError(f"{folder / 'adapter_config.json'} cannot be read: {e}") from e
    if not sites:
        raise ConfigError(f"no linear layer of the core is in {config['target_modules']!r:.200}")
    targets, first_layer = _short(sites, all_sites, shared=shared)
    dropout = config.get("lora_dropout", 0.0)
    return LoraSettings(config["r"], config["lora_alpha"], targets, first_layer, dropout, shared)


def _is_target(site: str, config: dict[str, Any], patterns: Patterns, inside: str) -> bool:
    """Whether PEFT puts LoRA on a module: see `check_target_module_exists` of its tuners_utils."""
    layer = layer_of(site)[0]
    site = f"{inside}{site}"
    targets, layers = config["target_modules"], config.get("layers_to_transform")
    excluded = config.get("exclude_modules") or ()
    if not _matches(site, targets, patterns) or _matches(site, excluded, patterns):
        return False
    if isinstance(targets, str) or site in targets or layers in (None, []):
        return True
    names = config.get("layers_pattern") or ["[^.]*"]
    names = [names] if isinstance(names, str) else names
    if len(names) > MOST_PATTERNS:
        raise ConfigError(f"{len(names)} patterns, at most {MOST_PATTERNS} are read")
    return layer in ([layers] if isinstance(layers, int) else layers) and any(
        patterns.begins(name, layer, site) for name in names
    )


def _matches(site: str, names: str | Sequence[str], patterns: Patterns) -> bool:
    """Match a module's name as PEFT does.

    names (str | Sequence[str]): A regular expression, PEFT's word for all linear layers, or
        ends of module names.
    """
    if isinstance(names, str):
        return names == ALL_LAYERS or patterns.matches(names, site)
    return any(site == name or site.endswith(f".{name}") for name in names)


def _short(
    sites: Sequence[str], every: Iterable[str], *, shared: bool
) -> tuple[tuple[str, ...], int]:
    """Settings that name these sites: names inside a layer and the first layer where that is
    enough, as in an adapter of ours, otherwise all names in full.

    every (Iterable[str]): All sites of the core. shared (bool): See `LoraSettings`.
    """
    layers, there = _by_layer(sites), _by_layer(every)
    first = min(layers)
    upper = range(first, len(there))
    if not (shared and first):
        if all(layers.get(i) == there[i] for i in upper):
            return ALL_LINEAR, first
        if all(layers.get(i) == layers[first] for i in upper):
            return tuple(layers[first]), first
    return tuple(sites), 0


def _by_layer(sites: Iterable[str]) -> dict[int, list[str]]:
    layers: dict[int, list[str]] = {}
    for site in sites:
        i, name = layer_of(site)
        layers.setdefault(i, []).append(name)
    return layers
