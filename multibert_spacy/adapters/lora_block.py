"""A transformer block with an adapter in training, as one node of autograd's graph.

Left to autograd a block with six LoRA sites is some 60 nodes, and their bookkeeping counts where
batches are small, as those that adapters are trained on. Query, key and value, which see the same
input, have one product with their A's.

For rows that lie flat (`core/packing.py`), so for a CPU, and for a core that is frozen.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.attention import bias_of
from ..core.packing import Block, FlatRows
from ..core.row_adapter import PostNormBlock

__all__ = ["LoraBlock", "fits", "keep_of"]

aten = torch.ops.aten


class LoraBlock(NamedTuple):
    """What a block is computed with, besides its input and its adapter.

    modules (PostNormBlock): The block, frozen, its activation GELU (see `fits`).
    rows (FlatRows): Where each row of the batch lies.
    n_heads (int): Of attention.
    scale (float): LoRA's alpha / rank.
    dropout (float): On attention's weights and behind both halves of the block; 0 is off.
    """

    modules: PostNormBlock
    rows: FlatRows
    n_heads: int
    scale: float
    dropout: float

    def __call__(self, x: Tensor, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Compute the block.

        x (n, h): Rows one behind the other.
        a (r, in), b (out, r): Of the block's sites, in its order, in fp32.
        RETURNS (n, h).
        """
        apply: Callable[..., Tensor] = _Node.apply
        return apply(x, self, *a, *b)


def fits(modules: PostNormBlock) -> bool:
    """Whether the block's activation is the one that is written down here."""
    return getattr(modules.activation, "act", None) is F.gelu


def keep_of(x: Tensor, dropout: float) -> Tensor | None:
    """Return what dropout multiplies x by, of its shape; None where it is off."""
    return F.dropout(torch.ones_like(x), dropout) if dropout else None


class _Node(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, block: LoraBlock, *ab: Tensor) -> Tensor:
        own, drop = block.modules, block.dropout
        a, b = _factors(ab, block.scale, x.dtype)
        low_in = x @ a[0].T
        parts = low_in.chunk(3, dim=1)
        inputs = zip(_inputs(own), parts, b[:3], strict=True)
        q, k, v = (_linear(x, *one) for one in inputs)
        z, heads = _attend(block, q, k, v)
        low_z = z @ a[1].T
        y, keep_y = _dropout(_linear(z, own.out, low_z, b[3]), drop)
        y += x
        x_1, *stats_1 = _norm(y, own.attention_norm)
        low_1 = x_1 @ a[2].T
        u = _linear(x_1, own.inner, low_1, b[4])
        g = F.gelu(u)
        low_g = g @ a[3].T
        w, keep_w = _dropout(_linear(g, own.outer, low_g, b[5]), drop)
        w += x_1
        x_2, *stats_2 = _norm(w, own.output_norm)
        saved = [x, low_in, z, low_z, keep_y, y, *stats_1, x_1, low_1, u, g, low_g, keep_w, w]
        ctx.save_for_backward(*saved, *stats_2, *a, *b, *(part for one in heads for part in one))
        ctx.block = block
        return x_2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        block: LoraBlock = ctx.block
        own = block.modules
        x, low_in, z, low_z, keep_y, y, *rest = ctx.saved_tensors
        mean_1, std_1, x_1, low_1, u, g, low_g, keep_w, w, mean_2, std_2, *rest = rest
        a, b, heads = rest[:4], rest[4:10], rest[10:]
        d_x1 = _norm_back(gradients[0], w, mean_2, std_2, own.output_norm)
        d_w = d_x1 if keep_w is None else d_x1 * keep_w
        d_g, d_ag, d_bg = _linear_back(d_w, g, low_g, own.outer, a[3], b[5])
        d_u = aten.gelu_backward(d_g, u)
        d_in, d_a1, d_b1 = _linear_back(d_u, x_1, low_1, own.inner, a[2], b[4])
        d_x = _norm_back(d_in.add_(d_x1), y, mean_1, std_1, own.attention_norm)
        d_y = d_x if keep_y is None else d_x * keep_y
        d_z, d_az, d_bz = _linear_back(d_y, z, low_z, own.out, a[1], b[3])
        d_qkv = _attend_back(block, d_z, heads)
        parts = low_in.chunk(3, dim=1)
        d_b = [(d.T @ low).float() for d, low in zip(d_qkv, parts, strict=True)]
        d_low = torch.cat([d @ one for d, one in zip(d_qkv, b[:3], strict=True)], dim=1)
        d_a = d_low.T @ x
        if ctx.needs_input_grad[0]:
            for d, module in zip(d_qkv, _inputs(own), strict=True):
                d_x = d_x.addmm_(d, module.weight)
            d_x = d_x.addmm_(d_low, a[0])
        all_a = [one.float() * block.scale for one in (d_a, d_az, d_a1, d_ag)]
        return d_x, None, *all_a[0].chunk(3), *all_a[1:], *d_b, d_bz, d_b1, d_bg


def _inputs(modules: PostNormBlock) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    return modules.query, modules.key, modules.value


def _factors(
    ab: Sequence[Tensor], scale: float, dtype: torch.dtype
) -> tuple[list[Tensor], list[Tensor]]:
    """Return scaled A of query, key and value (3 r, h), and of the other three sites; B of all
    six.
    """
    a = [torch.cat(list(ab[:3])), *ab[3:6]]
    return [(own * scale).to(dtype) for own in a], [own.to(dtype) for own in ab[6:]]


def _linear(x: Tensor, dense: nn.Linear, low: Tensor, b: Tensor) -> Tensor:
    return F.linear(x, dense.weight, dense.bias).addmm_(low, b.T)


def _linear_back(
    d: Tensor, x: Tensor, low: Tensor, dense: nn.Linear, a: Tensor, b: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return gradients of x, of A (of the scaled one) and of B in fp32."""
    d_low = d @ b
    return (d @ dense.weight).addmm_(d_low, a), d_low.T @ x, (d.T @ low).float()


def _norm(x: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor, Tensor]:
    """Return the output (n, h), mean and reciprocal deviation (n, 1)."""
    shape = list(norm.normalized_shape)
    return torch.native_layer_norm(x, shape, norm.weight, norm.bias, norm.eps)


def _norm_back(d: Tensor, x: Tensor, mean: Tensor, std: Tensor, norm: nn.LayerNorm) -> Tensor:
    own = (norm.normalized_shape, mean, std, norm.weight, norm.bias, [True, False, False])
    d_x: Tensor = aten.native_layer_norm_backward(d, x, *own)[0]
    return d_x


def _dropout(x: Tensor, p: float) -> tuple[Tensor, Tensor | None]:
    """Return x, changed in place, and what it was multiplied by."""
    keep = keep_of(x, p)
    return x if keep is None else x.mul_(keep), keep


Heads = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]
"""Of rows of one length: scaled queries, keys and values (b * a, t, d), the weights (b * a, t, t),
and what dropout multiplied them by."""


def _attend(block: LoraBlock, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, list[Heads]]:
    """Attend from q to k and v (n, h).

    RETURNS (tuple): The output (n, h), and what the way back needs.
    """
    q, k, v = (block.rows.to_blocks(x) for x in (q, k, v))
    out, saved = torch.empty_like(q), []
    for rows, where in block.rows.slices:
        own_q, own_k, own_v = (_to_heads(x[where], rows, block.n_heads) for x in (q, k, v))
        own_q = own_q * own_q.shape[-1] ** -0.5
        scores = own_q @ own_k.transpose(1, 2)
        if rows.seen is not None:
            by_row = scores.view(len(rows.seen), -1, *scores.shape[1:])
            by_row += bias_of(rows.seen, q.dtype)
        weights = scores.softmax(-1)
        keep = keep_of(weights, block.dropout)
        dropped = weights if keep is None else weights * keep
        out[where] = _from_heads(dropped @ own_v, rows, block.n_heads)
        saved.append((own_q, own_k, own_v, weights, keep))
    return block.rows.from_blocks(out), saved


def _attend_back(block: LoraBlock, d: Tensor, saved: Sequence[Any]) -> list[Tensor]:
    """Go back through `_attend`.

    d (n, h); saved: What `_attend` did, one behind the other.
    RETURNS (list): Gradients of q, k and v (n, h).
    """
    d = block.rows.to_blocks(d, zero=True)
    d_qkv = [torch.empty_like(d) for _ in range(3)]
    heads = iter(saved)
    for rows, where in block.rows.slices:
        q, k, v, weights, keep = (next(heads) for _ in range(5))
        own = _to_heads(d[where], rows, block.n_heads)
        dropped = weights if keep is None else weights * keep
        d_v = dropped.transpose(1, 2) @ own
        d_weights = own @ v.transpose(1, 2)
        if keep is not None:
            d_weights *= keep
        d_scores = aten._softmax_backward_data(d_weights, weights, -1, weights.dtype)
        d_q = (d_scores @ k).mul_(q.shape[-1] ** -0.5)
        d_k = d_scores.transpose(1, 2) @ q
        for whole, part in zip(d_qkv, (d_q, d_k, d_v), strict=True):
            whole[where] = _from_heads(part, rows, block.n_heads)
    return [block.rows.from_blocks(own, zero=True) for own in d_qkv]


def _to_heads(x: Tensor, rows: Block, n_heads: int) -> Tensor:
    """Part x (b * t, h) into heads (b * a, t, d)."""
    by_row = x.view(-1, rows.t, n_heads, x.shape[-1] // n_heads).transpose(1, 2)
    return by_row.reshape(-1, rows.t, by_row.shape[-1])


def _from_heads(x: Tensor, rows: Block, n_heads: int) -> Tensor:
    """Join heads (b * a, t, d) to (b * t, h)."""
    by_row = x.view(-1, n_heads, rows.t, x.shape[-1]).transpose(1, 2)
    return by_row.reshape(-1, n_heads * x.shape[-1])
