"""What the core asks of a batch's adapters. `adapters/lora.py` and `adapters/prefix.py` answer."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .packing import Layout

__all__ = ["BlockAdapter", "RowAdapter"]


class RowAdapter(Protocol):
    """What a batch's adapters add to the core. Sites are module names inside the core."""

    n_virtual: int

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        """x (b, t, in) or (n, in). RETURNS: The linear layer's output with what is added."""
        ...

    def prefix(self, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """RETURNS keys and values, (b or 1, a, p, d) each, or None."""
        ...


@runtime_checkable
class BlockAdapter(RowAdapter, Protocol):
    """One that can compute a whole block at once."""

    def block(
        self, i: int, layer: Any, x: Tensor, layout: Layout, n_heads: int, dropout: float
    ) -> Tensor | None:
        """i (int), layer (BertLayer): The block. x: Of width h, as the layout has it.
        n_heads (int), dropout (float): See `Core.forward`.
        RETURNS: Of width h, as the layout has it. None to have it computed site by site.
        """
        ...
