"""Shapes and units used throughout the package.

    word    a spaCy token; what a label belongs to
    piece   a subword of the core's tokenizer; what the network sees
    window  a run of consecutive words of one doc, as many as fit into one row
    row     one window in a batch, or one group in the detector's batch
    domain  a kind of text (news, travel); owns one adapter and names one head
    head    a label scheme and its linear layer; shared by several domains

Dimensions in docstrings
    b  rows of a batch                t  pieces of a row, padded
    h  width of the core              l  layers of the core
    a  attention heads                d  width of one attention head (h = a * d)
    p  virtual tokens of a prefix     r  rank of a LoRA adapter
    n  adapters of a bank             w  words
    k  tags of a head: O, then B- and I- of each label
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entity", "Floats2d", "PieceIds", "Window", "WindowBatch"]

Floats2d = NDArray[np.float32]
PieceIds = tuple[int, ...]


class Window(NamedTuple):
    """Words [start, end) of a doc go through the core; labels of [keep_start, keep_end) are kept.

    The kept ranges of a doc's windows are disjoint and cover it.
    """

    start: int
    end: int
    keep_start: int
    keep_end: int


class Entity(NamedTuple):
    """Words [start, end) of a doc, their label, and a probability between 0 and 1."""

    start: int
    end: int
    label: str
    score: float


@dataclass(frozen=True)
class WindowBatch:
    """Padded rows for one forward pass.

    ids (b, t) int64: piece ids with the special pieces, padded on the right.
    lengths (b,) int64: pieces of each row without padding.
    firsts: for each row, the positions in [0, t) of the first piece of each kept word that has
        pieces.
    domains: for each row, the name of its domain.
    """

    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    firsts: Sequence[NDArray[np.int64]]
    domains: Sequence[str]
