"""What the core computes in, and with how many threads."""

import os
from collections.abc import Callable

import torch

from ..errors import ConfigError

__all__ = ["resolve_precision"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# `nlp.pipe(n_process=2)` forks, OpenMP's threads do not survive that, and a child that asks for
# more than one waits for ever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

# oneDNN keeps 1,024 compiled products with their scratch memory, one per shape. Texts hardly ever
# make the same shape twice: after 120 small training steps the process had 1,729 MB, with 16 kept
# 1,221 MB and no growth. A forward pass needs about ten.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """precision (str): auto, fp32, bf16 or fp16. "auto" is bf16 on a GPU that has it and on a CPU
        with AVX512-BF16 or AMX, fp32 otherwise: on a 2-core CPU with AVX512-BF16 the embedded core
        with LoRA reads 3,650 pieces/s in fp32 and 11,170 in bf16, and trains at 1,570 and 4,450
        (32 x 48 pieces, torch 2.13).
    device (torch.device): Where the core is.
    RAISES (ConfigError): For any other value.
    """
    if precision in DTYPES:
        return DTYPES[precision]
    if precision != "auto":
        raise ConfigError(f"precision must be auto, {', '.join(DTYPES)}; got {precision!r}")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu" and any(map(_cpu_has, ("avx512_bf16", "amx_tile"))):
        return torch.bfloat16
    return torch.float32


def _cpu_has(feature: str) -> bool:
    """Whether this CPU has bf16 products; torch has no public name for the question."""
    ask: Callable[[], bool] = getattr(torch.cpu, f"_is_{feature}_supported", lambda: False)
    return ask()
