"""Align words with rows of pieces, both ways.

A word is tokenised alone, so its pieces do not depend on its neighbours and can be cached: the
commonest words cover most of a stream. This is what `is_split_into_words=True` does in
transformers. The first piece of a word carries its label.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..types import PieceIds, Window, WindowBatch

__all__ = ["PieceCache", "pack_rows", "window_row"]


class PieceCache:
    """Pieces of words, remembered. Safe to share between threads: the worst that can happen is
    that a word is tokenised twice.
    """

    def __init__(
        self, encode: Callable[[list[str]], list[PieceIds]], *, max_words: int = 100_000
    ) -> None:
        """Make an empty cache.

        encode (Callable): Pieces of each of a list of words, without special pieces.
        max_words (int): When the cache holds so many words it starts anew.
        """
        self.encode = encode
        self.max_words = max_words
        self._known: dict[str, PieceIds] = {"": ()}

    def __call__(self, words: Sequence[str]) -> list[PieceIds]:
        """Look words up.

        words (Sequence[str]): Normal forms; an empty one has no pieces.
        RETURNS (list[PieceIds]): The pieces of each word.
        """
        known = self._known
        new = [word for word in dict.fromkeys(words) if word not in known]
        if new:
            if len(known) + len(new) > self.max_words:
                kept = {word: known[word] for word in set(words) if word in known}
                known = self._known = {"": (), **kept}
            known.update(zip(new, self.encode(new), strict=True))
        return [known[word] for word in words]


def window_row(
    pieces: Sequence[PieceIds], window: Window, *, size: int
) -> tuple[list[int], NDArray[np.int64]]:
    """The pieces of a window and where its kept words start.

    pieces (Sequence[PieceIds]): Pieces of each word of the doc.
    window (Window): The window.
    size (int): Pieces the row may hold, without special pieces.
    RETURNS (tuple): Piece ids without special pieces, and for each kept word that has pieces the
        position of its first one in the row with one special piece in front.
    """
    ids: list[int] = []
    firsts: list[int] = []
    for i in range(window.start, window.end):
        if pieces[i] and window.keep_start <= i < window.keep_end:
            firsts.append(len(ids) + 1)
        ids.extend(pieces[i])
    return ids[:size], np.array(firsts, dtype=np.int64)


def pack_rows(
    rows: Sequence[Sequence[int]],
    firsts: Sequence[NDArray[np.int64]],
    domains: Sequence[str],
    *,
    bos: int,
    eos: int,
    pad: int,
) -> WindowBatch:
    """Add the special pieces and pad.

    rows (Sequence[Sequence[int]]): Piece ids of each row, without special pieces.
    firsts, domains: As in `WindowBatch`.
    bos, eos, pad (int): Ids of the special pieces.
    RETURNS (WindowBatch): ids of shape (b, t) with t = longest row + 2.
    """
    lengths = np.array([len(row) + 2 for row in rows], dtype=np.int64)
    ids = np.full((len(rows), int(lengths.max(initial=2))), pad, dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, 0] = bos
        ids[i, 1 : len(row) + 1] = row
        ids[i, len(row) + 1] = eos
    return WindowBatch(ids=ids, lengths=lengths, firsts=firsts, domains=domains)
