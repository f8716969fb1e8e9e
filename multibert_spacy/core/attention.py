"""Attention of rows with a mask, by the faster of two ways.

torch's fused kernel for CPUs is slow in 16 bits on the short rows of this package: on 32 rows of
64 pieces, 12 heads of 32 (2 cores with AVX512-BF16, torch 2.13), it takes 2.6 ms forward and 25 ms
with its backward pass, two plain products and a softmax take 1.3 and 3.1 ms; on 4 rows of 512
pieces 15 and 43 ms against 8 and 19 ms. In fp32, and on a GPU, the fused kernel stays.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["attend", "attend_near", "bias_of"]

AT_ONCE = 3 * 2**20
"""Scores of a product of queries and keys: those of a row of 512 pieces and 12 heads, 6 MB in 16
bits. 25 MB of four such rows, made anew for each layer, go back to the system each time, and of
640 texts the first time took 9.8 s with them, 8.3 s with a third of this limit. That third was
slower on padded rows of a hundred domains (11.5 to 11.1 s).
"""
LONG = 2**23
"""Scores of one row from which on it is cut, too: more than 16 heads have of 512 pieces and a
prefix. Those of 8,192 pieces would be gigabytes.
"""


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, *, dropout: float) -> Tensor:
    """Attention of every row to its own pieces and its prefix.

    q (b, a, t, d), k and v (b, a, p + t, d): Queries, keys and values of `a` heads, one type.
    seen (b, 1, 1, p + t) bool: True where a key may be looked at; None is everywhere.
    dropout (float): On the weights; 0 is off.
    RETURNS (b, a, t, d): In the type of q.
    """
    if q.device.type != "cpu" or q.dtype == torch.float32:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout)
    b, heads, t, _ = q.shape
    rows = max(1, AT_ONCE // (heads * t * k.shape[2]))
    if heads * t * k.shape[2] > LONG:
        return _attend_long(q, k, v, seen, dropout)
    if rows >= b:
        return _attend(q, k, v, seen, dropout)
    parts = [slice(start, start + rows) for start in range(0, b, rows)]
    masks = (seen if seen is None or len(seen) == 1 else seen[i] for i in parts)
    return torch.cat(
        [_attend(q[i], k[i], v[i], own, dropout) for i, own in zip(parts, masks, strict=True)]
    )


def attend_near(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, near: int, *, dropout: float
) -> Tensor:
    """Attention of every row to its prefix, and to its own pieces as far as one sees.

    near (int): How many pieces to each side. Of a long row the queries are cut, and each part has
        the keys that it sees only.
    q, k, v, seen, dropout: See `attend`.
    RETURNS (b, a, t, d): In the type of q.
    """
    t, n_virtual = q.shape[2], k.shape[2] - q.shape[2]
    queries = torch.arange(t, device=q.device)
    keys = torch.arange(-n_virtual, t, device=q.device)
    if seen is None:
        seen = torch.ones_like(keys, dtype=torch.bool)[None, None, None]
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    size = max(1, 2 * near)
    if tracing or t <= size:  # a graph is for any length
        return attend(q, k, v, _near(seen, queries, keys, near), dropout=dropout)
    parts = []
    for start in range(0, t, size):
        own = slice(start, start + size)
        kept = (keys < 0) | ((keys >= start - near) & (keys < start + size + near))
        at = kept.nonzero()[:, 0]
        mask = _near(seen.index_select(-1, at), queries[own], keys[at], near)
        k_, v_ = (x.index_select(2, at) for x in (k, v))
        parts.append(attend(q[:, :, own], k_, v_, mask, dropout=dropout))
    return torch.cat(parts, dim=2)


def _near(seen: Tensor, queries: Tensor, keys: Tensor, near: int) -> Tensor:
    """Narrow what is seen to pieces that are near.

    seen (b or 1, 1, 1, m), queries (n,), keys (m,): Places in a row, those of a prefix below 0.
    RETURNS (b or 1, 1, n, m). Behind a row's end a piece sees itself: of nothing at all softmax
        makes no number.
    """
    far = (queries[:, None] - keys).abs()
    return (seen & (far <= near)) | (keys < 0) | (far == 0)


def bias_of(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what to add to the scores, of the shape of `seen`; see `attend`."""
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, float("-inf"))


def _attend_long(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, dropout: float) -> Tensor:
    """Row by row, and of each some queries at a time."""
    size = max(1, LONG // (q.shape[1] * k.shape[2]))
    rows = []
    for i in range(len(q)):
        own, parts = slice(i, i + 1), []
        for start in range(0, q.shape[2], size):
            some = slice(start, start + size)
            mask = seen if seen is None or len(seen) == 1 else seen[own]
            if mask is not None and mask.shape[2] > 1:
                mask = mask[:, :, some]
            parts.append(_attend(q[own, :, some], k[own], v[own], mask, dropout))
        rows.append(torch.cat(parts, dim=2))
    return torch.cat(rows)


def _attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, dropout: float) -> Tensor:
    bias = q.new_zeros(()) if seen is None else bias_of(seen, q.dtype)
    scores = torch.add(bias, q @ k.transpose(-1, -2), alpha=q.shape[-1] ** -0.5)
    weights = F.dropout(scores.softmax(-1), dropout, training=dropout > 0)
    return weights @ v
