"""Blocks as BERT's: attention, norm, feed forward, norm, and positions that are looked up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from ...errors import CoreError
from ..row_adapter import PostNormBlock, RowAdapter
from .family import Family, Step

__all__ = ["PostNorm"]


@dataclass(frozen=True, kw_only=True)
class PostNorm(Family):
    """A kind of encoder with such blocks. `sites` are query, key, value, out, inner and outer.

    attention_norm, activation, output_norm (str): The other modules of a block.
    token_types (bool): Whether there are embeddings of token types; all pieces have the first.
    """

    attention_norm: str
    activation: str
    output_norm: str
    token_types: bool = True

    @cached_property
    def _modules(self) -> Callable[[Any], tuple[Any, ...]]:
        query, key, value, out, inner, outer = self.sites
        return attrgetter(
            *(query, key, value, out, self.attention_norm),
            *(inner, self.activation, outer, self.output_norm),
        )

    def check(self, config: Any) -> None:
        super().check(config)
        kind = getattr(config, "position_embedding_type", "absolute")
        if kind != "absolute":
            raise CoreError(
                f"Unsupported position embeddings: {kind}; of {self.kind} cores those with "
                "absolute ones are supported"
            )

    def embed(self, model: Any, ids: Tensor, positions: Tensor, adapter: RowAdapter) -> Tensor:
        embeddings = model.embeddings
        x = embeddings.word_embeddings(ids)
        if self.token_types:
            x = x + embeddings.token_type_embeddings.weight[0]
        normed: Tensor = embeddings.LayerNorm(x + embeddings.position_embeddings(positions))
        if not self.projection or not _has(model, self.projection):
            return normed
        return adapter.linear(self.projection, normed, attrgetter(self.projection)(model))

    def block(self, i: int, site: str, layer: Any, x: Tensor, step: Step) -> Tensor:
        adapter, layout, n_heads, drop, _ = step
        sites = tuple([f"{site}.{name}" for name in self.sites])
        own = PostNormBlock(sites, *self._modules(layer))
        whole = adapter.block(own, x, layout, n_heads, drop)
        if whole is not None:
            return whole
        query, key, value, out, inner, outer = sites
        q = adapter.linear(query, x, own.query)
        k = adapter.linear(key, x, own.key)
        v = adapter.linear(value, x, own.value)
        prefix = adapter.prefix(i, k.dtype)
        a = layout.attend(q, k, v, n_heads, prefix, drop)
        a = F.dropout(adapter.linear(out, a, own.out), drop, training=drop > 0)
        x = own.attention_norm(a + x)
        y = own.activation(adapter.linear(inner, x, own.inner))
        y = F.dropout(adapter.linear(outer, y, own.outer), drop, training=drop > 0)
        normed: Tensor = own.output_norm(y + x)
        return normed

    def key_value(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        return outputs[self.sites[1]], outputs[self.sites[2]]


def _has(model: Any, path: str) -> bool:
    """As ELECTRA has no projection where it would change nothing."""
    *parents, name = path.split(".")
    for parent in parents:
        model = getattr(model, parent)
    return hasattr(model, name)
