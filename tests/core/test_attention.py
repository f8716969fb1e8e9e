"""Attention: the plain way is torch's own, in every type and with every mask."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from multibert_spacy.core import attention
from multibert_spacy.core.attention import attend, attend_near


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("lengths", [None, [9, 4, 6]])
@pytest.mark.parametrize("n_virtual", [0, 3])
def test_it_is_scaled_dot_product_attention(dtype, tolerance, lengths, n_virtual):
    torch.manual_seed(0)
    q = torch.randn(3, 2, 9, 8)
    k, v = torch.randn(2, 3, 2, n_virtual + 9, 8)
    seen = None
    if lengths is not None:
        seen = (torch.arange(-n_virtual, 9) < torch.tensor(lengths)[:, None])[:, None, None]
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    output = attend(q.to(dtype), k.to(dtype), v.to(dtype), seen, dropout=0.0)
    assert output.dtype == dtype
    assert_close(output.float(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_is_of_the_weights(dtype):
    torch.manual_seed(0)
    q, k = torch.randn(2, 50, 1, 4, 8, dtype=dtype)
    ones = torch.ones(50, 1, 4, 8, dtype=dtype)
    assert_close(attend(q, k, ones, None, dropout=0.0), ones, rtol=0, atol=1e-2)
    kept = attend(q, k, ones, None, dropout=0.5).float()
    assert kept.std() > 0.2
    assert abs(kept.mean() - 1) < 0.1


@pytest.mark.parametrize("at_once", [1, 2 * 3 * 6 * 8, 10**9])
@pytest.mark.parametrize("masked", [False, True])
def test_rows_may_go_a_few_at_a_time(at_once, masked, monkeypatch):
    torch.manual_seed(0)
    q = torch.randn(5, 3, 6, 4).bfloat16()
    k, v = (torch.randn(5, 3, 8, 4).bfloat16() for _ in range(2))
    seen = None
    if masked:
        seen = (torch.arange(8) < torch.tensor([8, 1, 3, 7, 2])[:, None])[:, None, None, :]
    expected = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=seen)
    monkeypatch.setattr(attention, "AT_ONCE", at_once)
    found = attend(q, k, v, seen, dropout=0.0)
    assert found.dtype == torch.bfloat16
    assert_close(found.float(), expected, rtol=0, atol=3e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("near", [0, 3, 30])
@pytest.mark.parametrize("n_virtual", [0, 2])
def test_near_pieces_and_the_prefix_are_seen(dtype, near, n_virtual):
    t, lengths = 20, torch.tensor([20, 5])
    q = torch.randn(2, 3, t, 8).to(dtype)
    k, v = (torch.randn(2, 3, n_virtual + t, 8).to(dtype) for _ in range(2))
    seen = (torch.arange(-n_virtual, t) < lengths[:, None])[:, None, None]
    out = attend_near(q, k, v, seen, near, dropout=0.0)
    assert out.dtype == dtype
    assert out.isfinite().all()  # behind a row's end too: the next layer multiplies it by zero
    for row, length in enumerate(lengths.tolist()):
        for i in range(length):
            first, last = max(0, i - near), min(length, i + near + 1)
            kept = [*range(n_virtual), *range(n_virtual + first, n_virtual + last)]
            own = q[row, :, i : i + 1].float() @ k[row][:, kept].float().transpose(1, 2)
            expected = (own / 8**0.5).softmax(-1) @ v[row][:, kept].float()
            assert_close(out[row, :, i].float(), expected[:, 0], rtol=0, atol=2e-2)
