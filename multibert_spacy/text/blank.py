"""Texts of nothing: no word of them can be seen, so nothing can be said of them."""

import regex
from spacy.tokens import Doc

from .normalize import normalize_word

__all__ = ["is_blank"]

_VISIBLE = regex.compile(
    r"[^\s\p{Z}\p{Cc}\p{Cf}\p{Cs}\p{M}\p{Default_Ignorable_Code_Point}\u0640\u2800]"
)
"""No white space, control, invisible mark, lone diacritic, tatweel or empty Braille pattern."""


def is_blank(doc: Doc) -> bool:
    """Return whether a doc has nothing to read.

    doc (Doc): A doc.
    RETURNS (bool): Whether no word of it has anything to see, as the network is shown it.
    """
    return not any(_VISIBLE.search(normalize_word(word.text)) for word in doc)
