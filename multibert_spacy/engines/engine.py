"""The engines: what runs a component's adapters on the core.

The engine and the precision are settings of the component that owns the core. A graph, though,
belongs to the component that runs it, since the detector has another adapter and fewer layers than
the tagger. Training is always in torch and needs no engine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from ..adapters.kinds import Adapter
from ..core.encoder import Core
from .torch_engine import TorchEngine

__all__ = ["GRAPH", "Engine", "make_engine"]

GRAPH = "graph"
"""Where in a component's folder a graph is kept. It is never needed."""


class Engine(Protocol):
    """Adapters, ready to run on a core."""

    core: Core

    def __call__(self, ids: Tensor, lengths: Tensor, index: Sequence[int]) -> Tensor:
        """Run a batch.

        ids (b, t) int64, lengths (b,) int64: Rows padded on the right, where the core is.
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


def make_engine(
    core: Core,
    adapters: Sequence[Adapter],
    *,
    n_layers: int | None = None,
    graph: Path | None = None,
) -> Engine:
    """Make the engine that a core asks for.

    core (Core): The core; its `engine` decides.
    adapters (Sequence[Adapter]): At least one; see `Bank`.
    n_layers (int): Of the core that are run; None is all.
    graph (Path): Where a graph is kept; None keeps none. Not used by torch.
    RAISES (AdapterError): If the adapters cannot be mixed in one batch.
    """
    if core.engine == "torch":
        return TorchEngine(core, adapters, n_layers)
    from .openvino_engine import OpenvinoEngine  # imports an extra

    return OpenvinoEngine(core, adapters, n_layers, graph)
