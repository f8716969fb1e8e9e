"""What the core computes with, in which type of numbers, and where."""

import importlib.util
import os
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError

__all__ = ["ENGINES", "check_engine", "resolve_precision", "upload"]

ENGINES = ("torch", "openvino")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

LEVELS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""How oneDNN is told what to leave alone: the first that says anything counts."""
WITHOUT_BF16 = (
    *("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"),
    *("AVX512_CORE", "AVX512_CORE_VNNI"),
)
"""Levels without the bf16 products of AVX512 and AMX. What oneDNN does not know it ignores."""


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The type of number that a core computes in.

    precision (str): auto, fp32, bf16, fp16, or int8 (then what is no product of the core's own
        weights is as in auto, see `check_engine`). "auto" is bf16 on a GPU that has it and on a
        CPU with AVX512-BF16 or AMX, fp32 otherwise: on a 2-core CPU with AVX512-BF16 the embedded
        core with LoRA reads 3,650 pieces/s in fp32 and 11,170 in bf16, and trains at 1,570 and
        4,450 (32 x 48 pieces, torch 2.13).
    device (torch.device): Where the core is.
    RAISES (ConfigError): For any other value.
    """
    if precision in DTYPES:
        return DTYPES[precision]
    if precision not in ("auto", "int8"):
        legal = ", ".join(("auto", *DTYPES, "int8"))
        raise ConfigError(f"precision must be one of {legal}; got {precision!r}")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu" and any(map(_cpu_has, ("avx512_bf16", "amx_tile"))):
        return torch.bfloat16
    return torch.float32


def check_engine(engine: str, precision: str, device: torch.device, *, trainable: bool) -> None:
    """Check that engine, precision and device go together.

    engine (str): "torch", or "openvino": a graph of the core that is compiled for the CPU.
    precision (str): int8 needs openvino, fp16 needs torch.
    device (torch.device): Where the core is.
    trainable (bool): Whether gradients must reach the core's own weights.
    RAISES (ConfigError): If they do not go together, or OpenVINO is not installed.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}")
    if engine == "torch":
        if precision == "int8":
            raise ConfigError('precision = "int8" needs engine = "openvino"')
        return
    if precision == "fp16":
        raise ConfigError('engine = "openvino" has no fp16: choose auto, fp32, bf16 or int8')
    if trainable:
        raise ConfigError('A core that is trained needs engine = "torch"')
    if device.type != "cpu":
        raise ConfigError(f'engine = "openvino" runs on the CPU, the core is on {device}')
    if importlib.util.find_spec("openvino") is None:
        raise ConfigError(
            'engine = "openvino" needs an extra: pip install "multibert-spacy[openvino]"'
        )


def upload(array: NDArray[np.int64], device: torch.device) -> Tensor:
    """Return the array where the core is.

    On the way to a GPU it is pinned, so that the copy does not hold up the CPU.
    """
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _cpu_has(feature: str) -> bool:
    """Whether this CPU has bf16 products; torch has no public name for the question. Neither torch
    nor OpenVINO has them where oneDNN was told to leave them alone.
    """
    level = next(filter(None, map(os.environ.get, LEVELS)), "")
    if level.upper() in WITHOUT_BF16:
        return False
    ask: Callable[[], bool] = getattr(torch.cpu, f"_is_{feature}_supported", lambda: False)
    return ask()
