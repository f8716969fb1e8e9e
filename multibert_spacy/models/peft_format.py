"""PEFT's format on disk: `PeftModel.from_pretrained` reads what we write, and we read what PEFT
writes, or say which of its options we do not apply.

Reading does not import PEFT, which takes seconds. So its rule for which modules a LoRA adapter
sits on stands here again, and a test compares the two.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import AdapterError, ConfigError
from .adapters import (
    PEFT_PREFIX,
    Adapter,
    LoraAdapter,
    LoraSettings,
    NoAdapter,
    PrefixAdapter,
    PrefixSettings,
)
from .core import Core, layer_of
from .halves import exact_halves

__all__ = ["read_adapter", "write_adapter"]

UNSUPPORTED = (
    *("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save", "bias"),
    *("fan_in_fan_out", "lora_bias", "layer_replication", "use_qalora", "use_bdlora"),
    *("target_parameters", "trainable_token_indices", "alora_invocation_tokens", "arrow_config"),
    *("kasa_config", "velora_config", "monteclora_config"),
)
"""PEFT's options that change what an adapter computes, off in every adapter that we can run."""
PLAIN_INIT = (True, False, "gaussian", "eva", "orthogonal")
"""Start values of LoRA that leave the core's own weights alone (PiSSA, for example, does not)."""


def write_adapter(adapter: Adapter, folder: Path) -> None:
    """Write an adapter in PEFT's format.

    adapter (Adapter): What to write; NoAdapter writes nothing.
    folder (Path): An existing folder. Gets `adapter_config.json`, `adapter_model.safetensors`.
    """
    if isinstance(adapter, NoAdapter):
        return
    adapter.peft_config().save_pretrained(str(folder))
    tensors = exact_halves(adapter.export())
    save_file(tensors, str(folder / "adapter_model.safetensors"), metadata={"format": "pt"})


def read_adapter(folder: Path, core: Core) -> LoraAdapter | PrefixAdapter:
    """Read an adapter in PEFT's format, whoever wrote it.

    folder (Path): With `adapter_config.json` and `adapter_model.safetensors`.
    core (Core): The core it was trained for. What sits on a pooler is left out.
    RETURNS (LoraAdapter | PrefixAdapter): With its settings.
    RAISES (AdapterError): If a file is missing or damaged, if the adapter is of a kind or has an
        option that we do not apply, or if its tensors do not fit the core.
    """
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf8"))
        tensors = load_file(str(folder / "adapter_model.safetensors"))
        adapter = _from_config(config, folder, core)
    except AdapterError:
        raise
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, re.error) as e:
        raise AdapterError(f"The adapter in {folder} cannot be read: {e!r}") from e
    tensors = {k: v for k, v in tensors.items() if not k.startswith(f"{PEFT_PREFIX}pooler.")}
    own = adapter.export()
    if own.keys() != tensors.keys():
        odd = sorted(own.keys() ^ tensors.keys())[:3]
        raise AdapterError(f"The adapter in {folder} does not fit the core: tensors {odd}")
    for name, target in own.items():
        if target.shape != tensors[name].shape:
            raise AdapterError(
                f"The adapter in {folder} does not fit the core: {name} has shape "
                f"{tuple(tensors[name].shape)}, expected {tuple(target.shape)}"
            )
        target.data.copy_(tensors[name])
    return adapter


def _from_config(config: dict[str, Any], folder: Path, core: Core) -> LoraAdapter | PrefixAdapter:
    """An adapter with start values that has the shapes its PEFT config tells."""
    kind = config["peft_type"]
    if kind not in ("LORA", "PREFIX_TUNING"):
        raise AdapterError(
            f"{folder}: adapters of type {kind} are not supported (LORA, PREFIX_TUNING)"
        )
    for option in UNSUPPORTED:
        if config.get(option) not in (None, False, "none", [], {}):
            raise AdapterError(f"{folder}: the PEFT option {option} is not supported")
    if kind == "PREFIX_TUNING":
        return PrefixAdapter(PrefixSettings(config["num_virtual_tokens"], init="noise"), core)
    if config.get("init_lora_weights", True) not in PLAIN_INIT:
        raise AdapterError(
            f"{folder}: the PEFT option init_lora_weights={config['init_lora_weights']!r} "
            "changes the core and is not supported"
        )
    sites = [site for site in core.linear_sites() if _is_target(site, config)]
    if not sites:
        raise ConfigError(f"no linear layer of the core is in {config['target_modules']!r}")
    targets, first_layer = _short(sites, core.n_layers)
    dropout = config.get("lora_dropout", 0.0)
    return LoraAdapter(
        LoraSettings(config["r"], config["lora_alpha"], targets, first_layer, dropout), core
    )


def _is_target(site: str, config: dict[str, Any]) -> bool:
    """Whether PEFT puts LoRA on a module: see `check_target_module_exists` of its tuners_utils."""
    targets, layers = config["target_modules"], config.get("layers_to_transform")
    if not _matches(site, targets) or _matches(site, config.get("exclude_modules") or ()):
        return False
    if isinstance(targets, str) or site in targets or layers in (None, []):
        return True
    patterns = config.get("layers_pattern") or ["[^.]*"]
    return any(
        re.match(rf"(?:.*?\.)?{pattern}\.{i}\.", site)
        for pattern in ([patterns] if isinstance(patterns, str) else patterns)
        for i in ([layers] if isinstance(layers, int) else layers)
    )


def _matches(site: str, names: str | Sequence[str]) -> bool:
    """names (str | Sequence[str]): A regular expression, or ends of module names."""
    if isinstance(names, str):
        return re.fullmatch(names, site) is not None
    return any(site == name or site.endswith(f".{name}") for name in names)


def _short(sites: Sequence[str], n_layers: int) -> tuple[tuple[str, ...], int]:
    """Settings that name these sites: names inside a layer and the first layer where that is
    enough, as in an adapter of ours, otherwise all names in full.
    """
    layers: dict[int, list[str]] = {}
    for site in sites:
        i, name = layer_of(site)
        layers.setdefault(i, []).append(name)
    first = min(layers)
    if all(layers.get(i) == layers[first] for i in range(first, n_layers)):
        return tuple(layers[first]), first
    return tuple(sites), 0
