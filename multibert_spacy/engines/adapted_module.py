"""A component's network on the core: the module that is trained, and the view that predicts.

What predicts reads a view: a copy of the module that shares its tensors, is never changed and has
an engine of its own. Whoever changes the module drops the view, so that what begins later reads a
new one, and what has begun keeps the old one whole: no new head meets an old adapter, and an
engine that was being made for the old state belongs to the old view. Whether a pass is one of
training is said with each call: `nn.Module.training` is one switch for all threads, and is not
looked at.
"""

import contextlib
import copy
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from ..adapters.bank import Bank
from ..adapters.kinds import Adapter
from ..core.encoder import Core
from ..forks import WHOLE, ForkLock
from .engine import Engine, make_engine
from .torch_engine import batch_rows, run_rows

__all__ = ["AdaptedModule"]

_MAKING = ForkLock()
"""Held while looking for an engine: of several threads that need one the first makes it."""
_CHANGING = ForkLock()
"""Held while a module changes and while a view of it is taken: either takes milliseconds."""


class AdaptedModule(nn.Module, ABC):
    """A component's network on the core, and the view that predicts, until its weights change."""

    def __init__(self, n_layers: int | None = None) -> None:
        """Make a network without an engine; one is made when it is first needed.

        n_layers (int): How many layers of the core are run; None is all.
        graph (Path, settable): Where a graph of the core is kept; see `make_engine`.
        """
        super().__init__()
        self.n_layers = n_layers
        self.graph: Path | None = None
        self._view: Self | None = None
        self._is_view = False
        self._engine: Engine | None = None

    @property
    @abstractmethod
    def adapters(self) -> list[Adapter]:
        """The adapters that the rows of a batch may have."""

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
        """Return a view of the module as it is now. A view's view is itself."""
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

    def engine(self, core: Core) -> Engine:
        """All adapters, ready for prediction; made when first needed."""
        view = self.view()
        with WHOLE, _MAKING:
            engine = view._engine
            if engine is None or engine.core is not core:
                engine = make_engine(core, view.adapters, n_layers=view.n_layers, graph=view.graph)
                view._engine = engine
            return engine

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
        """Hidden states of a batch, see `Engine`; in training with gradients.

        dropout (float): In the core, in training.
        is_train (bool): Whether it is training.
        """
        with WHOLE:
            if not is_train:
                return self.engine(core)(ids, lengths, index)
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
        """Rows that go through the core together best, in training or not; see `Engine`."""
        if not is_train:
            return self.engine(core).batches(lengths, index, budget)
        return batch_rows(core, lengths, index, budget, alone=sys.maxsize)
