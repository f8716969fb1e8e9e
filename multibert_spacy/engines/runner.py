"""How a component predicts: the core with its adapters, in torch or in another engine.

The engine and the precision are settings of the component that owns the core. A graph, though,
belongs to the component that runs it, since the detector has another adapter and fewer layers than
the tagger. Training is always torch and needs no runner: `AdaptedModule.hidden` does either.

Threads. What predicts reads a view: a copy of the module that shares its tensors, is never changed
and has a runner of its own. Whoever changes the module drops the view, so that what begins later
reads a new one, and what has begun keeps the old one whole: no new head meets an old adapter, and
a runner that was being made for the old state belongs to the old view. Whether a pass is one of
training is said with each call: `nn.Module.training` is one switch for all threads, and is not
looked at.
"""

import contextlib
import copy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from torch import Tensor, nn

from ..adapters.bank import Bank
from ..adapters.kinds import Adapter
from ..core.encoder import Core
from ..core.packing import FlatRows
from ..forks import WHOLE, ForkLock
from ..text.batching import batch_by_pieces, batch_flat

__all__ = ["GRAPH", "AdaptedModule", "Runner", "TorchRunner", "make_runner", "run_rows"]


GRAPH = "graph"
"""Where in a component's folder a graph is kept. It is never needed."""
_MAKING = ForkLock()
"""Held while looking for a runner: of several threads that need one the first makes it."""
_CHANGING = ForkLock()
"""Held while a module changes and while a view of it is taken: either takes milliseconds."""


class Runner(Protocol):
    """Adapters, ready to run on a core."""

    core: Core

    def __call__(self, ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
        """ids (b, t) int64, lengths (b,) int64: Rows padded on the right, where the core is.
        index (Sequence[int]): For each row, its adapter.
        RETURNS (b, t, h): Hidden states. Positions behind a row's length are undefined.
        """
        ...

    def batches(
        self, lengths: Sequence[int], index: Sequence[int], budget: int
    ) -> list[list[int]]:
        """Rows that go through the core together best.

        lengths, index (Sequence[int]): Pieces and adapter of each row.
        budget (int): Pieces of a batch.
        RETURNS (list[list[int]]): Rows of each batch.
        """
        ...


ALONE = 1024
"""Pieces of one adapter that are enough for batches of their own. One of 1,024 pieces takes about
110 ms; its weights are merged in 8 ms, and a dozen shapes compiled in as long, where two batched
products with gathered adapters take 20 ms (see `rows.MERGED`).
"""


class TorchRunner:
    """`Core.forward` with a bank in the core's type; on a CPU with flat rows."""

    def __init__(self, core: Core, adapters: Sequence[Adapter], n_layers: int | None) -> None:
        self.core = core
        self._bank = Bank(adapters, core.dtype)
        self._n_layers = n_layers

    def __deepcopy__(self, memo: dict[int, Any]) -> "TorchRunner":
        return self  # the core is shared by design

    def __call__(self, ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
        return run_rows(self.core, self._bank, ids, lengths, index, n_layers=self._n_layers)

    def batches(
        self, lengths: Sequence[int], index: Sequence[int], budget: int
    ) -> list[list[int]]:
        return _batches(self.core, lengths, self._bank.keys(index), budget, alone=ALONE)


def _lies_flat(core: Core) -> bool:
    """Whether rows are better not padded, see `core/packing.py`."""
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
    """See `Runner`; `dropout` and `n_layers` as in `Core.forward`."""
    layout = None
    if _lies_flat(core) and len(set(bank.keys(index))) == 1:
        layout = FlatRows(lengths.tolist(), bank.n_virtual)
    rows = bank.rows(index)
    return core.forward(ids, lengths, rows, dropout=dropout, n_layers=n_layers, layout=layout)


def _batches(
    core: Core, lengths: Sequence[int], keys: Sequence[int], budget: int, *, alone: int
) -> list[list[int]]:
    """See `Runner`. keys, alone: See `batch_flat`."""
    if not _lies_flat(core):
        return batch_by_pieces(lengths, budget)
    return batch_flat(lengths, keys, budget, alone=alone)


def make_runner(
    core: Core,
    adapters: Sequence[Adapter],
    *,
    n_layers: int | None = None,
    graph: Path | None = None,
) -> Runner:
    """core (Core): The core; its `engine` decides.
    adapters (Sequence[Adapter]): At least one; see `Bank`.
    n_layers (int): Of the core that are run; None is all.
    graph (Path): Where a graph is kept; None keeps none. Not used by torch.
    RAISES (AdapterError): If the adapters cannot be mixed in one batch.
    """
    if core.engine == "torch":
        return TorchRunner(core, adapters, n_layers)
    from .openvino_engine import OpenvinoRunner  # imports an extra

    return OpenvinoRunner(core, adapters, n_layers, graph)


class AdaptedModule(nn.Module):
    """A component's network on the core, and the view that predicts, until its weights change."""

    def __init__(self, n_layers: int | None = None) -> None:
        """n_layers (int): Of the core that are run; None is all.

        graph (Path), settable: Where a graph of the core is kept, see `make_runner`.
        """
        super().__init__()
        self.n_layers = n_layers
        self.graph: Path | None = None
        self._view: Self | None = None
        self._is_view = False
        self._made: Runner | None = None

    @property
    def adapters(self) -> list[Adapter]:
        """What the rows of a batch may have."""
        raise NotImplementedError

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Around changes that belong together: other threads see all of them or none. Tensors
        that exist must be replaced (`p.data = new`), not written into: views share them.
        """
        with _CHANGING:
            try:
                yield
            finally:
                self._view = None

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Around what is read of the module itself, and not of a view: no change is seen half."""
        with _CHANGING:
            yield

    def weights_changed(self) -> None:
        """To be called after a change: what predicts is out of date."""
        with self.changing():
            pass

    def view(self) -> Self:
        """RETURNS (AdaptedModule): What there is now; see above. A view's view is itself."""
        if self._is_view:
            return self
        with _CHANGING:
            if self._view is None:
                shared: dict[int, Any] = {
                    id(p): nn.Parameter(p.detach(), requires_grad=False) for p in self.parameters()
                }
                view = copy.deepcopy(self, shared)
                view._is_view = True
                self._view = view
            return self._view

    @property
    def _runner(self) -> "Runner | None":
        """Of the view, if it has one."""
        return None if self._view is None else self._view._made

    def runner(self, core: Core) -> Runner:
        """All adapters, ready for prediction; made when first needed."""
        view = self.view()
        with WHOLE, _MAKING:
            runner = view._made
            if runner is None or runner.core is not core:
                runner = make_runner(core, view.adapters, n_layers=view.n_layers, graph=view.graph)
                view._made = runner
            return runner

    def hidden(
        self,
        core: Core,
        ids: Tensor,
        lengths: Tensor,
        index: Sequence[int],
        *,
        dropout: float = 0.0,
        is_train: bool = False,
    ) -> Tensor:
        """Hidden states of a batch, see `Runner`; in training with gradients.

        dropout (float): In the core, in training.
        is_train (bool): Whether it is training.
        """
        with WHOLE:
            if not is_train:
                return self.runner(core)(ids, lengths, index)
            adapters, used = self.adapters, sorted(set(index))
            bank = Bank([adapters[i] for i in used], train=True)
            own = [used.index(i) for i in index]
            return run_rows(core, bank, ids, lengths, own, n_layers=self.n_layers, dropout=dropout)

    def batches(
        self,
        core: Core,
        lengths: Sequence[int],
        index: Sequence[int],
        budget: int,
        *,
        is_train: bool = False,
    ) -> list[list[int]]:
        """Rows that go through the core together best, in training or not; see `Runner`."""
        if not is_train:
            return self.runner(core).batches(lengths, index, budget)
        return _batches(core, lengths, index, budget, alone=sys.maxsize)
