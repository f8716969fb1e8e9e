"""Normalise words for the network: one spelling for the many ways to type one.

The work is hazm's, word by word and without its spacing rules, which break URLs and change the
number of words. `import hazm` is slow and large, so what it knows is in `hazm_data.py`, and its
dictionary is read when a word has a letter three times in a row.
The tests check every code point and random words against hazm itself.

Where hazm is silent, or against the vocabulary of XLM-R, this module decides:

- Persian and Arabic digits become Latin, and so do `٪ ٫ ٬`. The vocabulary has many more
  pieces of Latin digits than of Persian ones, so that a number needs fewer pieces; ParsTwiNER
  writes Latin ones, and hazm's default, Persian digits, breaks URLs and mentions.
- Presentation forms are decomposed by Unicode (NFKC) first: hazm turns `ﺁ` into `ا`, not `آ`.
  A letter and a combining madda or hamza become one letter for the same reason.
- HTML references become what they stand for, before all else: inside a word `&zwnj;` is a ZWNJ.
  One with Persian digits, or with marks inside, is one in its normal form, and is read then.
- `ة` and `ۀ` become `ه`, `ٱ` becomes `ا`; tatweel, control and format characters, variation
  selectors and lone surrogates go. One ZWNJ between letters stays, as hazm leaves it.

URLs, mentions, hashtags and e-mail addresses need no exception: nothing here touches
ASCII, apart from references. That the tagger's network does not see links at all is `is_link`'s
doing.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from spacy.util import registry

from .hazm_data import LETTERS, RARE_LETTERS, hazm_words
from .references import read_references

__all__ = [
    "INVISIBLE",
    "build_hazm_normalizer_v1",
    "build_no_normalizer_v1",
    "is_link",
    "join_word",
    "normalize_word",
]

INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters without a look and a width, as ranges of a pattern: control and format characters,
joiners, variation selectors, fillers. White space is not among them.
"""
_NOTHING_TO_SEE = re.compile(rf"[\s{INVISIBLE}]*")
_LINK = re.compile(r"(?i:https?|ftp)://\S")
LONGEST_CACHED = 64
"""Characters of the longest word that is remembered: so 2**16 words take little memory."""

_TRIPLE = re.compile(rf"([{LETTERS}])\1\1")
_REPEAT = re.compile(rf"([{LETTERS}])\1{{2,}}")
_LETTER_RUN = re.compile(rf"[{LETTERS}]+")
_LONGEST_RUN = 64
_KEPT = LETTERS + "ءأؤإئ،؛؟"
_SAFE = rf"[!-~«»…–—{_KEPT}\U0001F300-\U0001FAFF]"
_UNCHANGED = re.compile(rf"{_SAFE}+(?:\u200c{_SAFE}+)*")
_PRESENTATION = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]")
_HONORIFICS = "\ufdfa\ufdfb"
_COMBINABLE = re.compile(
    "([اوىيی])([\u0640\u064b-\u0652\u0670]*)([\u0653-\u0655])", flags=re.DOTALL
)
_COMBINED = {
    "ا\u0653": "آ",
    "ا\u0654": "أ",
    "ا\u0655": "إ",
    "و\u0654": "ؤ",
    "ی\u0654": "ئ",
    "ي\u0654": "ئ",
    "ى\u0654": "ئ",
}
_GAP = re.compile("[ \u200c]{2,}")
_DEEPEST = 4


def _own_char(char: str) -> str:
    """Map one character by the rules that hazm does not have."""
    if char.isspace():
        return " "
    if char == "\u200c":
        return char
    if unicodedata.category(char) in ("Cc", "Cf", "Cs") or char == "\u0640":
        return ""
    if _NOTHING_TO_SEE.fullmatch(char):
        return ""
    if _PRESENTATION.match(char) and char not in _HONORIFICS:
        plain = unicodedata.normalize("NFKC", char)
        return char if plain == char else "".join(map(_own_char, plain)).replace(" ", "")
    return _OWN.get(char, char)


_OWN = {
    **dict(zip("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789", strict=True)),
    **dict(zip("٪٫٬ةۀٱ", "%.,هها", strict=True)),
}
_OTHERS = {
    **RARE_LETTERS,
    **dict(zip("يىےكھہە", "یییکههه", strict=True)),
    **{chr(code): "" for code in (*range(0x064B, 0x0656), 0x0670)},
}


class _CharTable(dict[int, str]):
    """Code point -> what replaces it, filled in as characters are met."""

    def __missing__(self, code: int) -> str:
        result = "".join(map(self._final, _own_char(chr(code))))
        self[code] = result
        return result

    @staticmethod
    def _final(char: str) -> str:
        if char in "“”":
            return '"'
        return _OTHERS.get(char, char)


_TABLE = _CharTable()


def _combine(match: re.Match[str]) -> str:
    base, between, mark = match.groups()
    return _COMBINED.get(base + mark, base) + between


def _shorten(match: re.Match[str]) -> str:
    """Let hazm's dictionary decide between one and two of a letter typed thrice or more: two,
    unless it has the word with one of each and not the one with two.

    A run that is still longer than 64 letters with every repetition cut to three is no word.
    """
    run = match.group()
    if not _TRIPLE.search(run):
        return run
    twice = _REPEAT.sub(r"\1\1", run)
    if len(run) > _LONGEST_RUN and len(_REPEAT.sub(r"\1\1\1", run)) > _LONGEST_RUN:
        return twice
    words = hazm_words()
    once = _REPEAT.sub(r"\1", run)
    if run in words:
        return run
    return once if once in words and twice not in words else twice


def _gap(match: re.Match[str]) -> str:
    return " " if " " in match.group() else "\u200c"


def _normalize(word: str) -> str:
    if "&" not in word:
        return _normalize_letters(word)
    for _ in range(_DEEPEST):
        word = _normalize_letters(read_references(word))
        if read_references(word) == word:
            return word
    return _normalize_letters(word.replace("&", ""))  # only who wants to gets so far


def _normalize_letters(word: str) -> str:
    if _UNCHANGED.fullmatch(word) and not _TRIPLE.search(word):
        return word
    word = _COMBINABLE.sub(_combine, word).translate(_TABLE)
    word = _GAP.sub(_gap, word.strip(" \u200c"))
    return _LETTER_RUN.sub(_shorten, word)


_normalize_cached = lru_cache(maxsize=2**16)(_normalize)


def normalize_word(word: str) -> str:
    """Give the spelling under which the network sees a word.

    The time grows linearly with the length, and no string raises. Applying it twice is
    applying it once.

    word (str): One token of a text.
    RETURNS (str): Its normal form; empty for a word of nothing but diacritics, white space or
        invisible characters: the caller keeps the word's place.
    """
    return _normalize_cached(word) if len(word) <= LONGEST_CACHED else _normalize(word)


def is_link(word: str) -> bool:
    """Return whether a word is a link.

    A link is not an entity, and should not change those around it, as it does if the network sees
    it. In the corpora links are cut into shreds or taken out, so it has never learned what one is.
    """
    return _LINK.match(word) is not None


def _identity(word: str) -> str:
    return "" if _NOTHING_TO_SEE.fullmatch(word) else word


def join_word(word: str) -> str:
    """`normalize_word` without ZWNJ: they are left out, or typed, as the writer's keyboard has it.

    word (str): One token of a text.
    RETURNS (str): Its normal form, the same whether its ZWNJ were typed or left out.
    """
    return normalize_word(read_references(word).replace("\u200c", ""))


@registry.misc("multibert_spacy.HazmNormalizer.v1")
def build_hazm_normalizer_v1(keep_zwnj: bool = False) -> Callable[[str], str]:
    """Normalise the spelling of every word, see `normalize_word`.

    keep_zwnj (bool): Whether one between letters stays.
    RETURNS (Callable[[str], str]): From a word to its normal form.
    """
    return normalize_word if keep_zwnj else join_word


@registry.misc("multibert_spacy.NoNormalizer.v1")
def build_no_normalizer_v1() -> Callable[[str], str]:
    """Show the network every word as it was typed.

    Of white space and invisible characters there is nothing to show.

    RETURNS (Callable[[str], str]): The identity for all other words.
    """
    return _identity
