import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibert_spacy.errors import CoreError
from scripts.build.e5s1 import dequantize_q4_0, read_e5s1
from tests.scripts.build.e5s1_files import PIECES, Content, pack_q4_0, row_nibbles


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "tiny.bin"
    path.write_bytes(Content().to_bytes())
    file = read_e5s1(path)
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


def _sizes(**changes: int) -> Callable[[Content], None]:
    names = ("width", "layers", "heads", "wide", "rows", "positions", "types")

    def change(content: Content) -> None:
        for name, value in changes.items():
            content.sizes[names.index(name)] = value

    return change


def _set(**changes: object) -> Callable[[Content], None]:
    return lambda content: content.__dict__.update(changes)


def _tensor(name: str, place: int, value: object) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content.tensors[name][place] = value

    return change


def _rename(old: str, new: str) -> Callable[[Content], None]:
    return lambda content: content.tensors.update({new: content.tensors.pop(old)})


def _piece(place: int, piece: bytes) -> Callable[[Content], None]:
    return lambda content: content.pieces.__setitem__(place, piece)


BROKEN = [
    (_set(magic=b"GGUF"), "a header with b'GGUF', version 1"),
    (_set(version=2), "version 2"),
    (_set(block=64), "a header"),
    (_sizes(width=0), "sizes [0, 1, 4"),
    (_sizes(layers=-1), "a header"),
    (_sizes(layers=2**31 - 1), "tensor 'emb.word'"),
    (_sizes(rows=26), "27 pieces in"),
    (_sizes(rows=31), "tensor 'emb.word' with 960 values"),
    (_set(n_pieces=-5), "a count of -4"),
    (_set(n_pieces=2**31 - 2), "buffer is smaller"),
    (_set(blob_extra=2**40), "buffer is smaller"),
    (_piece(5, b"\xff"), "invalid start byte"),
    (_set(n_entries_extra=2**30), "no intact E5S1 file"),
    (_set(n_tensors_extra=-1), "20 tensors of 21"),
    (_rename("l0.q.w", "l1.q.w"), "tensor 'l1.q.w'"),
    (_tensor("l0.q.w", 0, 7), "tensor 'l0.q.w' with 1024 values of type 7"),
    (_tensor("l0.q.w", 1, 96), "tensor 'l0.q.w' with 96 values"),
    (_set(n_bytes={"l0.v.w": 577}), "tensor 'l0.v.w' with 577 bytes"),
    (_set(offset_extra=10**6), "tensor 'emb.word' ends behind the file"),
    (_set(offset_extra=2**63), "tensor 'emb.word' ends behind the file"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_broken_file(tmp_path: Path, change: Callable[[Content], None], message: str) -> None:
    content = Content()
    change(content)
    path = tmp_path / "broken.bin"
    path.write_bytes(content.to_bytes())
    with pytest.raises(CoreError, match=re.escape(message)) as caught:
        read_e5s1(path)
    assert str(caught.value).startswith(f"{path}, byte ")


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    whole = Content().to_bytes()
    path = tmp_path / "cut.bin"
    for n in [*range(0, 1800, 7), len(whole) - 4096, len(whole) - 1]:
        with pytest.raises(CoreError, match=r"cut\.bin, byte \d+: "):
            read_e5s1(path, whole[:n])


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    content = Content()
    content.tensors["emb.ln.b"][2] = np.full(32, np.nan, "<f4").tobytes()
    file = read_e5s1(tmp_path / "nan.bin", content.to_bytes())
    with pytest.raises(CoreError, match="tensor 'emb.ln.b' holds values that are not finite"):
        file.tensor("emb.ln.b")
