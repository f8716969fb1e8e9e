from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibert_spacy.errors import CoreError
from scripts.build.e5s1 import dequantize_q4_0, read_e5s1
from tests.scripts.build.e5s1_files import PIECES, Content, pack_q4_0, row_nibbles


def test_read() -> None:
    file = read_e5s1(Path("tiny.bin"), Content().to_bytes())
    assert (file.shape.width, file.shape.layers, file.shape.heads) == (32, 1, 4)
    assert (file.shape.feed_forward, file.shape.rows) == (64, 30)
    assert (file.shape.positions, file.shape.types) == (48, 2)
    assert file.shape.eps == pytest.approx(1e-12)
    assert file.pieces == PIECES
    assert file.scores[:7].tolist() == [0, 0, 0, 0, -8, -8.125, -8.25]
    assert (file.bos, file.eos, file.pad, file.unk) == (0, 2, 1, 3)
    assert file.normalisation[0x200C] == (32,)
    assert file.normalisation[0x1] == ()
    assert file.normalisation[0xFEFB] == (0x644, 0x627)
    assert len(file.entries) == 21
    assert file.tensor("emb.word").shape == (30, 32)
    assert file.tensor("l0.fi.w").shape == (64, 32)
    assert file.tensor("l0.fo.w").shape == (32, 64)
    assert file.tensor("emb.ln.w").tolist() == [1.0] * 32
    rows = file.tensor("emb.word", [5, 2])
    assert rows.tolist() == [((row_nibbles(i) - 8) * 0.25).tolist() for i in (5, 2)]


def test_dequantize_q4_0() -> None:
    # Scale 0.5 is fp16 0x3800; byte 0 is 0xF0: weight 0 is (0 - 8) / 2, weight 16 is (15 - 8) / 2.
    raw = np.frombuffer(b"\x00\x38" + b"\xf0\x1a" + b"\x88" * 14, "u1")
    expected = [-4.0, 1.0] + [0.0] * 14 + [3.5, -3.5] + [0.0] * 14
    assert dequantize_q4_0(raw).tolist() == expected


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-14, 8).map(lambda e: 2.0**e),
            st.lists(st.integers(0, 15), min_size=32, max_size=32),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_quantized_values_come_back(blocks: list[tuple[float, list[int]]]) -> None:
    scales = np.array([scale for scale, _ in blocks])
    nibbles = np.array([block for _, block in blocks])
    raw = np.frombuffer(pack_q4_0(scales, nibbles), "u1").reshape(len(blocks), 18)
    assert (dequantize_q4_0(raw) == (nibbles - 8) * scales[:, None]).all()


@pytest.mark.parametrize("change", [{"magic": b"GGUF"}, {"version": 2}, {"block": 64}])
def test_another_format(change: dict[str, Any]) -> None:
    with pytest.raises(CoreError, match=r"^other\.bin: no E5S1 file of version 1"):
        read_e5s1(Path("other.bin"), Content(**change).to_bytes())
