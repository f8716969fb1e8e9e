"""Find the words of a doc that get a tag, and what stands between them.

    seen     has pieces; what the network sees
    bridged  has none: white space, invisible marks, lone diacritics. It is as if it were not
             there: a name goes on behind it, and none begins or ends with it
    cut      has none either, and is a certain O: no entity crosses a link, or a blank line. Only
             between words that are seen: behind the last one it would move the tags before it

The tagger's sequence holds the words that are seen or cut. A single line break is neither: text
is wrapped inside a name, and a list has a name on each line. The network does not see it; that an
entity goes on behind it has a price, by which the logits of the I- tags there are lower.

The sign of a hashtag is a word of its own, and bridged. ParsNER-social writes `#تهران` in one and
marks it whole; ParsTwiNER and ARMAN have no hashtags. So there are two ways to read one: with its
sign, which then belongs to the entity, and without, as any other word. Read without, two hashtags
in a row, whatever is bridged between them, are two names, which nothing but their signs would
tell (`#چین #ژاپن`); so a first and a last name that are a hashtag each are two as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Token

from ..types import Entity, Floats2d
from .normalize import is_link
from .references import read_references

__all__ = ["LINE_BREAK", "LIST_BREAK", "Words", "read_hashtags", "tagged_words"]

Floats = NDArray[np.float32]

CERTAIN = 30.0
"""A logit that says O with a probability of 1 in float32 where all others are 0."""
LINE_BREAK = 1.0
LIST_BREAK = 5.0
"""The price of a line break, in log-odds: LIST_BREAK where the lines in front of it and behind it
have 2 to 4 words each, as those of a list of names have. Three lines or more of one word each
are a list for certain; two are as often a name of two words. Chosen on texts of no corpus with
the domains given: a higher price finds more names that have a line of their own, and loses more
names with a line break inside.
"""
_SIGNS = ("#", "＃")
_LIST_LINES = (2, 4)
_WORD_LINES = 3


@dataclass(frozen=True)
class Words:
    """The w words of a doc that get a tag.

    places (w,) int64: Which words of the doc they are, in order.
    starts (w,) int64: Where an entity that begins with them begins: at the sign of a hashtag, if
        it belongs to it.
    cut (w,) bool: Which of them are a certain O.
    breaks (w,) float32: The price of what parts each of them from the word before, mostly 0.
    """

    places: NDArray[np.int64]
    starts: NDArray[np.int64]
    cut: NDArray[np.bool_]
    breaks: Floats

    def spread(self, logits: Floats2d) -> Floats2d:
        """Spread the network's logits over the words, with what is known of the others.

        logits (seen words, k): Of the words that it saw.
        RETURNS (w, k): Of all words.
        """
        if self.cut.any():
            seen, logits = logits, np.zeros((len(self.cut), logits.shape[1]), dtype=np.float32)
            logits[~self.cut] = seen
            logits[self.cut, 0] = CERTAIN
        if self.breaks.any():
            logits = logits.copy()
            logits[:, 2::2] -= self.breaks[:, None]
        return logits

    def gather(self, gradients: Floats2d) -> Floats2d:
        """Return the gradients (seen words, k) of `spread` from those of all words (w, k)."""
        return gradients[~self.cut] if self.cut.any() else gradients

    def gold(self, tags: NDArray[np.int64]) -> NDArray[np.int64]:
        """Gold tags of these words.

        tags (words of the doc,): Gold tags, -100 where one is not known.
        RETURNS (w,): Those of these words: what a cut parts is two entities, and one that begins
            with a bridged word begins behind it.
        """
        own = tags[self.places]
        own[self.cut & (own > 0)] = 0
        before = np.concatenate(([0], own[:-1]))
        inside = (own > 0) & (own % 2 == 0)
        own[inside & (before >= 0) & (before != own) & (before != own - 1)] -= 1
        return own

    def place(self, entities: Sequence[Entity]) -> list[Entity]:
        """Move entities from these words to the doc's.

        entities (Sequence[Entity]): By these words.
        RETURNS (list[Entity]): By the doc's.
        """
        at = self.places
        if not entities or at[-1] + 1 == len(at):
            return list(entities)
        first = self.starts
        return [
            e._replace(start=int(first[e.start]), end=int(at[e.end - 1]) + 1) for e in entities
        ]


def read_hashtags(words: Sequence[Token], *, signs: bool) -> list[str]:
    """Read hashtags as one word each.

    words (Sequence[Token]): Those of a doc or a span.
    signs (bool): Whether a hashtag is read with its sign, as one word. Without it underscores are
        what they stand for, spaces.
    RETURNS (list[str]): The texts of the words; of the sign of a hashtag nothing is left.
    """
    texts = [word.text for word in words]
    if any(sign in texts for sign in _SIGNS):
        for i in range(len(texts) - 2, -1, -1):
            if _is_sign(words[i]):
                own = texts[i + 1]
                texts[i : i + 2] = "", f"{texts[i]}{own}" if signs else own.replace("_", " ")
    return texts


def _is_sign(word: Token) -> bool:
    """Return whether a word is the sign of a hashtag, right in front of something to read."""
    if word.text not in _SIGNS or word.whitespace_ or word.i + 1 == len(word.doc):
        return False
    first: str = word.nbor().text[0]
    return first == "_" or first.isalnum()


def tagged_words(doc: Doc, seen: NDArray[np.int64], *, signs: bool = False) -> Words:
    """The words of a doc that get a tag.

    doc (Doc): Any doc.
    seen (n,) int64: Those of its words that have pieces, in order.
    signs (bool): Whether the sign of a hashtag belongs to the entity that begins behind it.
    RETURNS (Words): Those that get a tag; none where none is seen.
    """
    if len(seen) in (0, len(doc)):
        none = np.zeros(len(seen), np.bool_), np.zeros(len(seen), np.float32)
        return Words(seen, seen, *none)
    is_seen = np.zeros(len(doc), dtype=np.bool_)
    is_seen[seen] = True
    cut, ends, apart = [], [], []
    last, n_breaks = -1, 0
    for i in (np.flatnonzero(~is_seen[seen[0] : seen[-1]]) + seen[0]).tolist():
        text = doc[i].text
        n_breaks = _line_breaks(text) + (n_breaks if i == last + 1 else 0)
        last = i
        if is_link(text) or n_breaks > 1:
            cut.append(i)
            n_breaks = 0
        elif n_breaks:
            ends.append(i)
        elif not signs and _is_sign(doc[i]):
            before = int(seen[np.searchsorted(seen, i) - 1])
            if before and _is_sign(doc[before - 1]):
                apart.append(i)
    is_cut = np.zeros(len(doc), dtype=np.bool_)
    is_cut[cut] = True
    places = np.flatnonzero(is_seen | is_cut)
    broken = np.zeros(len(places) + 1, dtype=np.bool_)
    broken[np.searchsorted(places, ends)] = True
    starts = places
    if signs:
        begins = np.zeros(len(doc), dtype=np.bool_)
        begins[[i + 1 for i in np.flatnonzero(~is_seen).tolist() if _is_sign(doc[i])]] = True
        starts = places - begins[places]
    breaks = _prices(broken[:-1], is_cut[places])
    breaks[np.searchsorted(places, apart)] = CERTAIN
    return Words(places, starts, is_cut[places], breaks)


def _prices(broken: NDArray[np.bool_], cut: NDArray[np.bool_]) -> Floats:
    """Price the line breaks in front of words.

    broken (w,) bool: In front of which words a line ends.
    cut (w,) bool: Which are cut.
    RETURNS (w,) float32: What each line break costs.
    """
    line = np.cumsum(broken | cut | np.concatenate(([False], cut[:-1])))
    lengths = np.bincount(line)
    single = (lengths == 1) & ~np.bincount(line, weights=cut).astype(bool)
    run = np.cumsum(np.concatenate(([0], np.diff(single.astype(np.int64)) != 0)))  # of such lines
    many = single & (np.bincount(run)[run] >= _WORD_LINES)
    here, before = lengths[line], lengths[np.maximum(line - 1, 0)]
    shortest, longest = np.minimum(here, before), np.maximum(here, before)
    prices = np.full(len(line), LINE_BREAK, dtype=np.float32)
    prices[(shortest >= _LIST_LINES[0]) & (longest <= _LIST_LINES[1])] = LIST_BREAK
    prices[(longest == 1) & many[line]] = CERTAIN
    return np.where(broken, prices, np.float32(0))


def _line_breaks(text: str) -> int:
    """Count line breaks; a CRLF is one."""
    return len(f"{read_references(text)}.".splitlines()) - 1
