"""What the CRF sees of a word: itself, its affixes, its shape and kind, and its neighbours."""

import re
from collections.abc import Sequence

from multibert_spacy.text.normalize import normalize_word

__all__ = ["AFFIX", "REACH", "word_features"]

REACH = 2
AFFIX = 4

_ZWNJ = "\u200c"
_KINDS = (
    (re.compile(r"[0-9]+"), "digits"),
    (re.compile(r".*[0-9].*"), "digit"),
    (re.compile(r"[#＃].*"), "hashtag"),
    (re.compile(r"[@＠].*"), "mention"),
    (re.compile(r"[A-Z].*"), "Latin"),
    (re.compile(r".*[A-Za-z].*"), "latin"),
    (re.compile(r".*[/:].*"), "link"),
    (re.compile(r"[^\w\s]+"), "punctuation"),
)


def _shape(word: str) -> str:
    """RETURNS (str): Runs of letters, digits and others, each cut to three: `xxx‌x`, `dd`, `Xx`."""
    classes = [
        "d" if char.isdigit() else ("X" if char.isupper() else "x") if char.isalpha() else char
        for char in word
    ]
    return re.sub(r"(.)\1{3,}", r"\1\1\1", "".join(classes))


def _own(word: str) -> list[str]:
    """Features of one word by itself, without its form."""
    found = [f"shape={_shape(word)}"]
    found += [f"is={kind}" for pattern, kind in _KINDS if pattern.fullmatch(word)]
    if _ZWNJ in word:
        found.append("is=joined")
    sizes = range(1, min(AFFIX, len(word)) + 1)
    return found + [f"p={word[:n]}" for n in sizes] + [f"s={word[-n:]}" for n in sizes]


def word_features(words: Sequence[str]) -> list[list[str]]:
    """Features of each word of a sentence.

    words (Sequence[str]): As they are written.
    RETURNS (list[list[str]]): A list for each word.
    """
    forms = [normalize_word(word) for word in words]
    own = [_own(form) for form in forms]
    features = []
    for i in range(len(forms)):
        row = ["bias"]
        for k in range(-REACH, REACH + 1):
            if not 0 <= i + k < len(forms):
                row.append(f"{k}:outside")
                continue
            row.append(f"{k}:w={forms[i + k]}")
            if abs(k) < REACH:
                row.extend(f"{k}:{feature}" for feature in own[i + k])
        for k in (-1, 0):
            if 0 <= i + k and i + k + 1 < len(forms):
                row.append(f"{k}:w|w={forms[i + k]}|{forms[i + k + 1]}")
        features.append(row)
    return features
