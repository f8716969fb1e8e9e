"""ModernBERT, such as mmBERT: norms in front, rotary positions, layers that see near pieces only.

Query, key and value are one product, and so are the two halves of the feed forward; an adapter
sits on each as a whole. A prefix stands outside of the text: its keys are not rotated, and every
piece sees them, in local layers too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import CoreError
from ..row_adapter import RowAdapter
from .family import Family, Step
from .limits import check_positive

__all__ = ["MODERNBERT"]

QKV, OUT, INNER, OUTER = "attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"


@dataclass(frozen=True, kw_only=True)
class ModernBert(Family):
    """ModernBERT."""

    def check(self, config: Any) -> None:
        super().check(config)
        if config.local_rope_theta is not None:
            check_positive(config, ["local_rope_theta"])
        for name, size in (
            ("local_attention", config.local_attention),
            (
                "hidden_size / num_attention_heads",
                config.hidden_size // config.num_attention_heads,
            ),
        ):
            if size % 2:
                raise CoreError(f"This modernbert core has {name} = {size}; it must be even")
        scaling = getattr(config, "rope_scaling", None)
        if scaling is not None:
            raise CoreError(
                f"Of modernbert cores those with plain rotary positions are supported; this one "
                f"has rope_scaling = {scaling}"
            )

    def embed(self, model: Any, ids: Tensor, positions: Tensor, adapter: RowAdapter) -> Tensor:
        normed: Tensor = model.embeddings.norm(model.embeddings.tok_embeddings(ids))
        return normed

    def rotations(self, config: Any, positions: Tensor) -> Mapping[float, tuple[Tensor, Tensor]]:
        """Not by way of the model's own tables: a core in 16 bits has rounded them."""
        d = config.hidden_size // config.num_attention_heads
        steps = torch.arange(0, d, 2, dtype=torch.float32, device=positions.device) / d
        found = {}
        for base in {_base(config, local=local) for local in (False, True)}:
            angles = positions[:, None].float() * base**-steps
            angles = torch.cat((angles, angles), dim=-1)
            found[base] = angles.cos(), angles.sin()
        return found

    def block(self, i: int, site: str, layer: Any, x: Tensor, step: Step) -> Tensor:
        adapter, layout, n_heads, drop, rotations = step
        near: int = layer.attn.local_attention[0]
        rotation = rotations[_base(layer.config, local=near >= 0)]
        qkv = adapter.linear(f"{site}.{QKV}", layer.attn_norm(x), layer.attn.Wqkv)
        q, k, v = qkv.chunk(3, dim=-1)
        q, k = (_rotate(part, rotation, n_heads) for part in (q, k))
        prefix = adapter.prefix(i, k.dtype)
        a = layout.attend(q, k, v, n_heads, prefix, drop, near if near >= 0 else None)
        a = adapter.linear(f"{site}.{OUT}", a, layer.attn.Wo)
        x = x + F.dropout(a, drop, training=drop > 0)
        inner = adapter.linear(f"{site}.{INNER}", layer.mlp_norm(x), layer.mlp.Wi)
        y, gate = inner.chunk(2, dim=-1)
        y = adapter.linear(f"{site}.{OUTER}", layer.mlp.act(y) * gate, layer.mlp.Wo)
        return x + F.dropout(y, drop, training=drop > 0)

    def finish(self, model: Any, x: Tensor) -> Tensor:
        normed: Tensor = model.final_norm(x)
        return normed

    def key_value(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        _, keys, values = outputs[QKV].chunk(3, dim=-1)
        return keys, values


def _base(config: Any, *, local: bool) -> float:
    """Return what the angles of local or of global layers are powers of."""
    own = config.local_rope_theta if local else None
    return float(config.global_rope_theta if own is None else own)


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor], n_heads: int) -> Tensor:
    """Rotate x (..., h), as it lies, into the same shape."""
    cos, sin = (part[:, None].to(x.dtype) for part in rotation)
    heads = x.view(*x.shape[:-1], n_heads, -1)
    one, other = heads.chunk(2, dim=-1)
    return (heads * cos + torch.cat((-other, one), dim=-1) * sin).flatten(-2)


MODERNBERT = ModernBert(
    kind="modernbert",
    layers="layers",
    sites=(QKV, OUT, INNER, OUTER),
    query_value=(QKV,),
    counts=("intermediate_size", "local_attention", "global_attn_every_n_layers"),
    positive=("global_rope_theta", "norm_eps"),
    settings=(
        *("hidden_activation", "norm_eps", "local_attention", "global_attn_every_n_layers"),
        *("global_rope_theta", "local_rope_theta"),
    ),
)
