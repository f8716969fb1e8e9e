"""Windows over long docs. Windowing exists only here; `pipeline/batching.py` puts the words that
are kept of a doc's windows together again.

A window holds whole words. Neighbouring windows overlap, and in the overlap each word's label is
taken from the window in which it stands further from the border: the first half of the shared
words from the earlier window, the second half from the later. Alternatives: averaging the two
predictions (costs a pass over the logits and helped nobody we know of), or the window that is more
certain (then a word's label depends on calibration at the border).
"""

from collections.abc import Sequence

from ..errors import ConfigError
from ..types import Window

__all__ = ["check_window", "split_windows"]


def check_window(size: int, overlap: int) -> None:
    """Check the settings of a splitter.

    size (int): Pieces a window may hold, without special pieces.
    overlap (int): Pieces that neighbouring windows share at the most.
    RAISES (ConfigError): If no progress would be possible.
    """
    if size < 1 or not 0 <= overlap < size:
        raise ConfigError(
            f"A window of {size} pieces with an overlap of {overlap}: "
            "the window must be at least 1 and the overlap in [0, window)"
        )


def split_windows(n_pieces: Sequence[int], *, size: int, overlap: int) -> list[Window]:
    """Cut a doc into windows of whole words.

    n_pieces (Sequence[int]): Pieces of each word; 0 for a word the network does not see.
    size (int): Pieces a window may hold. A word of more pieces gets a window of its own, of which
        the caller may pass the first `size` pieces on: labels sit on first pieces.
    overlap (int): Pieces that neighbouring windows share at the most.
    RETURNS (list[Window]): In order; empty for a doc without words.
    RAISES (ConfigError): If size and overlap make no sense.
    """
    check_window(size, overlap)
    n_words = len(n_pieces)
    bounds: list[tuple[int, int]] = []
    start = end = total = 0
    while n_words:
        while end < n_words and (end == start or total + n_pieces[end] <= size):
            total += n_pieces[end]
            end += 1
        bounds.append((start, end))
        if end == n_words:
            break
        first, shared = end, 0
        while first - 1 > start and shared + n_pieces[first - 1] <= overlap:
            first -= 1
            shared += n_pieces[first]
        if shared + n_pieces[end] > size:  # the next word would not fit behind the shared ones
            first, shared = end, 0
        start, total = first, shared
    windows = []
    for i, (start, end) in enumerate(bounds):
        keep_start = 0 if i == 0 else (start + bounds[i - 1][1] + 1) // 2
        keep_end = n_words if i + 1 == len(bounds) else (bounds[i + 1][0] + end + 1) // 2
        windows.append(Window(start, end, keep_start, keep_end))
    return windows
