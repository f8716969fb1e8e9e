"""What the core asks of a batch's adapters. `adapters/lora.py` and `adapters/prefix.py` answer."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .packing import Layout

__all__ = ["PostNormBlock", "RowAdapter"]


class PostNormBlock(NamedTuple):
    """Modules of a transformer block as BERT's is: attention, norm, feed forward, norm.

    sites (tuple[str, ...]): Of query, key, value, out, inner and outer.
    """

    sites: tuple[str, ...]
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    out: nn.Linear
    attention_norm: nn.LayerNorm
    inner: nn.Linear
    activation: Any
    outer: nn.Linear
    output_norm: nn.LayerNorm


class RowAdapter:
    """What a batch's adapters add to the core: nothing, unless a subclass says otherwise.

    Sites are module names inside the core. n_virtual (int): Virtual tokens in front of each row.
    """

    n_virtual: int = 0

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        """A linear layer with what is added to it.

        x (b, t, in) or (n, in).
        RETURNS: Of width out.
        """
        return F.linear(x, module.weight, module.bias)

    def prefix(self, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """Return keys and values in front of a row's own, (b or 1, a, p, d) each; None if there
        are none.
        """
        return None

    def block(
        self, block: PostNormBlock, x: Tensor, layout: Layout, n_heads: int, dropout: float
    ) -> Tensor | None:
        """A whole transformer block at once, of a core whose blocks are as BERT's.

        block (PostNormBlock): The block. x: Of width h, as the layout has it.
        n_heads (int), dropout (float): See `Core.forward`.
        RETURNS: Of width h, as the layout has it. None to have it computed site by site.
        """
        return None
