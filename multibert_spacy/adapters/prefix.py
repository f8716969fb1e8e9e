"""Prefixes in a batch: keys and values, gathered layer by layer. The class is a `RowAdapter`."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PrefixRows"]


class PrefixRows:
    """Prefixes of a batch: stacked keys and values (l, 2, n, a, p, d), and the prefix of each row,
    pick (b or 1,); None where all rows have the only one there is.
    """

    def __init__(self, kv: Tensor, pick: Tensor | None = None) -> None:
        self.kv = kv
        self.pick = pick
        self.n_virtual = kv.shape[-2]

    def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
        return F.linear(x, module.weight, module.bias)

    def prefix(self, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        kv = self.kv[layer]
        if self.pick is not None:
            kv = kv.index_select(1, self.pick)
        keys, values = kv.to(dtype)
        return keys, values
