"""What the core has to know of a kind of encoder, to walk over its modules."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from torch import Tensor

from ..packing import Layout
from ..row_adapter import RowAdapter
from .limits import check_counts, check_encoder, check_positive

__all__ = ["Family", "Step"]


class Step(NamedTuple):
    """What all blocks of a forward pass have in common.

    adapter (RowAdapter), layout (Layout), dropout (float): See `Core.forward`.
    n_heads (int): Of attention.
    rotations (Mapping): See `Family.rotations`.
    """

    adapter: RowAdapter
    layout: Layout
    n_heads: int
    dropout: float
    rotations: Mapping[float, tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Family(ABC):
    """A kind of encoder.

    kind (str): What `model_type` is in the settings of a core of this kind.
    layers (str): Where its blocks are: a list of modules.
    sites (tuple[str, ...]): Linear layers of a block, by their names in it.
    query_value (tuple[str, ...]): Those that PEFT adapts unless told otherwise, in BERT query and
        value, or what corresponds to them.
    settings (tuple[str, ...]): What changes a result besides what `core/settings.py` lists.
    projection (str): A linear layer between embeddings and blocks, where there is one.
    counts, positive (tuple[str, ...]): Settings besides those of all kinds that must be whole
        numbers from 1 on, and finite numbers above 0.
    """

    kind: str
    layers: str
    sites: tuple[str, ...]
    query_value: tuple[str, ...]
    settings: tuple[str, ...] = ()
    projection: str = ""
    counts: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()

    def check(self, config: Any) -> None:
        """Check what a core of this kind may be set to, before its model is made.

        config (PretrainedConfig): Of the core.
        RAISES (CoreError): If a size is impossible, or the walk does not know how.
        """
        check_counts(config, self.counts)
        check_positive(config, self.positive)
        check_encoder(config, self.first_position(config))

    def first_position(self, config: Any) -> int:
        """Return index of the embedding of a row's first position."""
        return 0

    def blocks(self, model: Any) -> Iterable[tuple[str, Any]]:
        """Return site and module of each block, in the order in which they run."""
        layers = attrgetter(self.layers)(model)
        return [(f"{self.layers}.{i}", layer) for i, layer in enumerate(layers)]

    def own_blocks(self, model: Any) -> Iterable[tuple[str, Any]]:
        """Return what `blocks` does, those once that share their weights, by the names that they
        have in the model.
        """
        return self.blocks(model)

    def sharing(self, config: Any) -> list[int] | None:
        """Return for each block which one of `own_blocks` it is; None where each has weights of
        its own.
        """
        return None

    @abstractmethod
    def embed(self, model: Any, ids: Tensor, positions: Tensor, adapter: RowAdapter) -> Tensor:
        """What the first block reads.

        ids: As they lie. positions: Of each, from `first_position` on.
        RETURNS: Of width h, as ids lie.
        """

    def rotations(self, config: Any, positions: Tensor) -> Mapping[float, tuple[Tensor, Tensor]]:
        """Rotary position embeddings, where a core of this kind has such.

        positions: Of each piece, as they lie.
        RETURNS (Mapping): Base -> cosines and sines in fp32, of each piece, of width d.
        """
        return {}

    @abstractmethod
    def block(self, i: int, site: str, layer: Any, x: Tensor, step: Step) -> Tensor:
        """A transformer block.

        i (int): Which one, for its prefix.
        site (str), layer (Module): As in `blocks`.
        x: Of width h, as the layout has it.
        RETURNS: The same shape.
        """

    def finish(self, model: Any, x: Tensor) -> Tensor:
        """Return what the last block gives, as the model gives it."""
        return x

    @abstractmethod
    def key_value(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Keys and values of a block.

        outputs (Mapping): What the sites of a block give (t, out), by their names in it.
        RETURNS (tuple): (t, h) each, before any rotation.
        """
