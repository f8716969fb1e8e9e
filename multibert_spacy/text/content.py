"""Reduce a text to what it is about: its words without its ornaments.

A sentence embedding of a group is read from few pieces (`networks/mixture.py`), so that they
should be those that say something: no links, mentions, emoji, punctuation, and none of the words
that every text has. That makes it blind, on purpose, to how a text is typed: one emoji more, a
final dot less, a ZWNJ that is a space.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from .normalize import is_link, normalize_word

__all__ = ["content_words", "spread"]

_LINK = re.compile(r"(?i)^www\.|//|\w\.(?:com|ir|org|net|me|co|ly)\b")
_MENTION = ("@", "＠")
_WORD = re.compile(r"[^\W_]+")
_EVERYWHERE = frozenset(
    """و در از به با های ها ی است می این آن را برای که یک تا خود بر شود شده شد یا هم کرد کردن کرده
    بین بود کنند کند هر دیگر پس باید نیز اما اگر نمی ای اند ترین تر روی باشد دارد""".split()
)
"""Words, and parts of words behind a ZWNJ, that are frequent in all of the fourteen corpora and
belong to no register; those of talk stay, since they are what a tweet is known by.
"""


def content_words(words: Iterable[str]) -> list[str]:
    """Runs of letters and digits, in their normal form.

    words (Iterable[str]): Tokens of a text.
    RETURNS (list[str]): In order. Those that every text has are left out, unless there is nothing
        else.
    """
    found = []
    for word in words:
        if not (word.startswith(_MENTION) or is_link(word) or _LINK.search(word)):
            found += _WORD.findall(normalize_word(word).replace("\u200c", " "))
    return [word for word in found if word not in _EVERYWHERE] or found


def spread(words: Sequence[Sequence[int]], limit: int, chunk: int) -> list[int]:
    """Cut a long text to a few passages, as far from each other as can be.

    Only some texts of a thread say what it is about.

    words (Sequence[Sequence[int]]): Pieces of each word.
    limit (int): Pieces in all.
    chunk (int): Pieces of a passage, which begins with a word.
    RETURNS (list[int]): All pieces, if they are not more than the limit.
    """
    pieces = [piece for word in words for piece in word]
    if len(pieces) <= limit:
        return pieces
    starts = [0, *accumulate(map(len, words))][:-1]
    n_chunks = max(limit // chunk, 1)
    chosen: list[int] = []
    done = 0
    for i in range(n_chunks):
        begin = starts[bisect_left(starts, i * len(pieces) // n_chunks, hi=len(starts) - 1)]
        end = max(done, begin) + chunk
        chosen += pieces[max(done, begin) : end]
        done = end
    return chosen[:limit]
