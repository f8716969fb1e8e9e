"""fp16 on disk where it loses nothing: what came in fp16 stays as small as it was."""

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["exact_halves"]


def exact_halves(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """tensors (Mapping): What is to be stored.
    RETURNS (dict): The same on the CPU, in fp16 if every value survives it, else in their types.
    """
    own = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    halves = {k: v.half() if v.is_floating_point() else v for k, v in own.items()}
    exact = all(torch.equal(halves[k].to(v.dtype), v) for k, v in own.items())
    return halves if exact else own
