"""Prefixes in a batch: keys and values, gathered layer by layer. The class is a `RowAdapter`."""

import torch
from torch import Tensor

from ..core.row_adapter import RowAdapter

__all__ = ["PrefixRows"]


class PrefixRows(RowAdapter):
    """Prefixes of a batch: stacked keys and values (l, 2, n, a, p, d), and the prefix of each row,
    pick (b or 1,); None where all rows have the only one there is.
    """

    def __init__(self, kv: Tensor, pick: Tensor | None = None) -> None:
        self.kv = kv
        self.pick = pick
        self.n_virtual = kv.shape[-2]

    def prefix(self, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        kv = self.kv[layer]
        if self.pick is not None:
            kv = kv.index_select(1, self.pick)
        keys, values = kv.to(dtype)
        return keys, values
