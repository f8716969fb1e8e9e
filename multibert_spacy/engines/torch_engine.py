"""The core with a bank of adapters in torch: what predicts unless another engine is chosen, and
what trains.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..adapters.bank import Bank
from ..adapters.kinds import Adapter
from ..core.encoder import Core
from ..core.packing import FlatRows
from ..text.batching import batch_by_pieces, batch_flat

__all__ = ["TorchEngine", "batch_rows", "run_rows"]

ALONE = 1024
"""Pieces of one adapter that are enough for batches of their own: merging its weights, and
compiling further shapes, then costs less than batched products with gathered adapters (see
`lora.MERGED`).
"""


class TorchEngine:
    """`Core.forward` with a bank in the core's type; on a CPU with flat rows."""

    def __init__(self, core: Core, adapters: Sequence[Adapter], n_layers: int | None) -> None:
        self.core = core
        self._bank = Bank(adapters, core.dtype)
        self._n_layers = n_layers

    def __deepcopy__(self, memo: dict[int, Any]) -> "TorchEngine":
        return self  # the core is shared by design

    def __call__(self, ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
        return run_rows(self.core, self._bank, ids, lengths, index, n_layers=self._n_layers)

    def batches(
        self, lengths: Sequence[int], index: Sequence[int], budget: int
    ) -> list[list[int]]:
        return batch_rows(self.core, lengths, self._bank.keys(index), budget, alone=ALONE)


def _is_flat(core: Core) -> bool:
    """Return whether rows are better not padded; see `core/packing.py`."""
    return core.device.type == "cpu"


def run_rows(
    core: Core,
    bank: Bank,
    ids: Tensor,
    lengths: Tensor,
    index: Sequence[int],
    *,
    n_layers: int | None,
    dropout: float = 0.0,
) -> Tensor:
    """Run a batch with a bank's adapters.

    See `Engine`; `dropout` and `n_layers` as in `Core.forward`.
    """
    layout = None
    if _is_flat(core) and len(set(bank.keys(index))) == 1:
        layout = FlatRows(lengths.tolist(), bank.n_virtual)
    rows = bank.rows(index)
    return core.forward(ids, lengths, rows, dropout=dropout, n_layers=n_layers, layout=layout)


def batch_rows(
    core: Core, lengths: Sequence[int], keys: Sequence[int], budget: int, *, alone: int
) -> list[list[int]]:
    """Cut rows into batches.

    See `Engine`. keys, alone: See `batch_flat`.
    """
    if not _is_flat(core):
        return batch_by_pieces(lengths, budget)
    return batch_flat(lengths, keys, budget, alone=alone)
