"""The family of ALBERT: blocks that share their weights, and embeddings narrower than they.

An adapter may have an A and B of its own for each depth although the core has one set of weights,
which is what such a core lacks most. Its sites then have the names that they would have if each
depth were a group of its own; PEFT's word for that is `layer_replication`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from ...errors import CoreError
from .post_norm import PostNorm

__all__ = ["ALBERT"]


@dataclass(frozen=True, kw_only=True)
class Albert(PostNorm):
    """ALBERT."""

    def check(self, config: Any) -> None:
        super().check(config)
        if config.inner_group_num != 1:
            raise CoreError(
                "Of albert cores those with one layer in each group are supported; this one has "
                f"inner_group_num = {config.inner_group_num}"
            )
        if config.num_hidden_groups > config.num_hidden_layers:
            raise CoreError(
                f"This albert core has {config.num_hidden_groups} groups for "
                f"{config.num_hidden_layers} layers (num_hidden_groups, num_hidden_layers)"
            )

    def blocks(self, model: Any) -> Iterable[tuple[str, Any]]:
        own = [layer for _, layer in self.own_blocks(model)]
        groups = self.sharing(model.config) or range(len(own))
        return [(self._site(i), own[group]) for i, group in enumerate(groups)]

    def own_blocks(self, model: Any) -> Iterable[tuple[str, Any]]:
        groups = attrgetter(self.layers)(model)
        return [(self._site(i), group.albert_layers[0]) for i, group in enumerate(groups)]

    def sharing(self, config: Any) -> list[int] | None:
        n_layers, n_groups = config.num_hidden_layers, config.num_hidden_groups
        if n_layers == n_groups:
            return None
        return [int(i / (n_layers / n_groups)) for i in range(n_layers)]

    def _site(self, i: int) -> str:
        return f"{self.layers}.{i}.albert_layers.0"


ALBERT = Albert(
    kind="albert",
    layers="encoder.albert_layer_groups",
    sites=(
        "attention.query",
        "attention.key",
        "attention.value",
        "attention.dense",
        "ffn",
        "ffn_output",
    ),
    query_value=("attention.query", "attention.value"),
    settings=("embedding_size", "num_hidden_groups", "inner_group_num"),
    projection="encoder.embedding_hidden_mapping_in",
    counts=(
        *("intermediate_size", "type_vocab_size", "embedding_size"),
        *("num_hidden_groups", "inner_group_num"),
    ),
    positive=("layer_norm_eps",),
    attention_norm="attention.LayerNorm",
    activation="activation",
    output_norm="full_layer_layer_norm",
)
