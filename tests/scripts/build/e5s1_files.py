"""Writer of tiny E5S1 files."""

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, WIDE = 32, 64
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "▁",
    "▁سلام",
    "▁می",
    "روم",
    "▁روم",
    "▁کتاب",
    "لا",
    "،",
    "2",
    "۱۲",
    "🙂",
    "▁the",
    "th",
    "that",
    "▁query",
    "▁passage",
    ":",
    "é",
    "éé",
    "я",
    "на",
    "字",
    "<mask>",
]
TABLE = {
    0x1: "",
    0xA: " ",
    0xB2: "2",
    0x200C: " ",
    0x200D: " ",
    0xFEFB: "لا",
    0x1F14D: "ss",
}


def pack_q4_0(scales: NDArray[Any], nibbles: NDArray[Any]) -> bytes:
    """Encode blocks: scales of shape (blocks,), nibbles (blocks, 32) in reading order."""
    blocks = []
    for scale, row in zip(scales, nibbles, strict=True):
        low, high = row[:16].astype("u1"), row[16:].astype("u1")
        blocks.append(np.float16(scale).tobytes() + (low | high << 4).tobytes())
    return b"".join(blocks)


def row_nibbles(row: int) -> NDArray[Any]:
    """The nibbles of embedding row `row`: no two rows of a file have the same."""
    return (np.arange(WIDTH) * (row % 7 + 1) + row) % 16


def _tensors() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    rows = len(PIECES) + 3
    word = np.array([row_nibbles(row) for row in range(rows)])
    made: dict[str, list[Any]] = {
        "emb.word": [1, rows * WIDTH, pack_q4_0(np.full(rows, 0.25), word)],
    }

    def vector(name: str, values: NDArray[Any]) -> None:
        made[name] = [0, values.size, values.astype("<f4").tobytes()]

    def matrix(name: str, n_out: int, n_in: int) -> None:
        n = n_out * n_in // 32
        nibbles = rng.integers(0, 16, (n, 32))
        made[name] = [1, n_out * n_in, pack_q4_0(np.full(n, 2**-5), nibbles)]

    vector("emb.pos", rng.normal(size=(48, WIDTH)))
    vector("emb.type", rng.normal(size=(2, WIDTH)))
    vector("emb.ln.w", np.ones(WIDTH))
    vector("emb.ln.b", np.zeros(WIDTH))
    for name, n_out, n_in in (
        ("q", WIDTH, WIDTH),
        ("k", WIDTH, WIDTH),
        ("v", WIDTH, WIDTH),
        ("ao", WIDTH, WIDTH),
        ("fi", WIDE, WIDTH),
        ("fo", WIDTH, WIDE),
    ):
        matrix(f"l0.{name}.w", n_out, n_in)
        vector(f"l0.{name}.b", rng.normal(size=n_out))
    for name in ("aln", "oln"):
        vector(f"l0.{name}.w", np.ones(WIDTH))
        vector(f"l0.{name}.b", np.zeros(WIDTH))
    return made


@dataclass
class Content:
    """What goes into a file."""

    magic: bytes = b"E5S1"
    version: int = 1
    sizes: list[int] = field(
        default_factory=lambda: [WIDTH, 1, 4, WIDE, len(PIECES) + 3, 48, 2],
    )
    eps: float = 1e-12
    block: int = 32
    specials: list[int] = field(default_factory=lambda: [0, 2, 1, 3])
    pieces: list[bytes] = field(default_factory=lambda: [p.encode() for p in PIECES])
    scores: list[float] = field(
        default_factory=lambda: [0.0] * 4 + [-8 - i / 8 for i in range(len(PIECES) - 5)] + [0.0]
    )
    table: dict[int, list[int]] = field(
        default_factory=lambda: {c: [*map(ord, text)] for c, text in TABLE.items()}
    )
    tensors: dict[str, list[Any]] = field(default_factory=_tensors)

    def to_bytes(self) -> bytes:
        ends = np.cumsum([0, *map(len, self.pieces)])
        out = self.magic + struct.pack("<I7ifi", self.version, *self.sizes, self.eps, self.block)
        out += struct.pack("<5iQ", len(self.pieces), *self.specials, ends[-1])
        out += ends.astype("<u4").tobytes() + np.array(self.scores, "<f4").tobytes()
        out += b"".join(self.pieces)
        table = b"".join(
            struct.pack(f"<IB{len(to)}I", code, len(to), *to) for code, to in self.table.items()
        )
        out += struct.pack("<iI", len(self.table), len(table)) + table
        out += struct.pack("<i", len(self.tensors))
        at = len(out) + sum(len(name.encode()) + 23 for name in self.tensors)
        at = math.ceil(at / 64) * 64
        directory, body = b"", b""
        for name, (dtype, n, raw) in self.tensors.items():
            directory += struct.pack("<H", len(name.encode())) + name.encode()
            directory += struct.pack("<BIQQ", dtype, n, at + len(body), len(raw))
            body += raw
        return (out + directory).ljust(at, b"\0") + body
