"""Types of numbers, on disk and in memory: fp16 where it loses nothing, and nothing infinite."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ConfigError

__all__ = ["cast", "check_finite_tensors", "exact_halves", "hash_tensors", "save_tensors"]


def exact_halves(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store in fp16 what fp16 holds exactly.

    tensors (Mapping): What is to be stored.
    RETURNS (dict): The same on the CPU, in fp16 if every value survives it, else in their types.
    """
    own = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    halves = {k: v.half() if v.is_floating_point() else v for k, v in own.items()}
    exact = all(torch.equal(halves[k].to(v.dtype), v) for k, v in own.items())
    return halves if exact else own


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a file of tensors, with the rights that the user's umask gives any new file:
    safetensors by itself lets nobody else read it.

    tensors (Mapping): What is to be stored, see `exact_halves`.
    path (Path): A new file.
    """
    path.touch()
    mode = path.stat().st_mode
    save_file(exact_halves(tensors), str(path), metadata={"format": "pt"})
    path.chmod(mode)


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return x in another type.

    By way of fp32 if it is fp16: on a CPU torch has no fast way from there to bf16, and the two
    steps take a quarter to a half of the time (16 x 1,536: 44 to 11 us).
    """
    return x.float().to(dtype) if x.dtype == torch.float16 else x.to(dtype)


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Identify weights whatever precision they are stored in.

    tensors (Mapping): In any order.
    RETURNS (str): SHA-256 over names, shapes and values in fp32.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def check_finite_tensors(name: str, tensors: Mapping[str, Tensor], *, halves: bool = True) -> None:
    """Check what is to be saved, before anything is replaced.

    name (str): Whose it is.
    halves (bool): Whether it has to be finite in fp16 too, as all but a core's weights have, to
        be read.
    RAISES (ConfigError): If a value is not a finite number.
    """
    for key, tensor in tensors.items():
        kept = tensor.half() if halves and tensor.is_floating_point() else tensor
        if not torch.isfinite(kept).all():
            raise ConfigError(
                f"{name!r} is not saved: its weights ({key}) have values that are not finite "
                "numbers, so that it could not be read again. Train it with a lower learning "
                'rate, or with precision = "fp32" on the frozen_transformer'
            )
