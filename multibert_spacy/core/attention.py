"""Attention of rows with a mask, by the faster of two ways.

torch's fused kernel for CPUs is slow in 16 bits on the short rows of this package: on 32 rows of
64 pieces, 12 heads of 32 (2 cores with AVX512-BF16, torch 2.13), it takes 2.6 ms forward and 25 ms
with its backward pass, two plain products and a softmax take 1.3 and 3.1 ms; on 4 rows of 512
pieces 15 and 43 ms against 8 and 19 ms. In fp32, and on a GPU, the fused kernel stays.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["attend", "bias_of"]

AT_ONCE = 3 * 2**20
"""Scores of a product of queries and keys: those of a row of 512 pieces and 12 heads, 6 MB in 16
bits. 25 MB of four such rows, made anew for each layer, go back to the system each time, and of
640 texts the first time took 9.8 s with them, 8.3 s with a third of this limit. That third was
slower on padded rows of a hundred domains (11.5 to 11.1 s).
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
    if rows >= b:
        return _attend(q, k, v, seen, dropout)
    parts = [slice(start, start + rows) for start in range(0, b, rows)]
    return torch.cat(
        [_attend(q[i], k[i], v[i], None if seen is None else seen[i], dropout) for i in parts]
    )


def bias_of(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """seen (bool): See `attend`. RETURNS: What to add to the scores, of its shape."""
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, float("-inf"))


def _attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, dropout: float) -> Tensor:
    bias = q.new_zeros(()) if seen is None else bias_of(seen, q.dtype)
    scores = torch.add(bias, q @ k.transpose(-1, -2), alpha=q.shape[-1] ** -0.5)
    weights = F.dropout(scores.softmax(-1), dropout, training=dropout > 0)
    return weights @ v
