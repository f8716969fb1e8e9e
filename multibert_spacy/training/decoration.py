"""Take away and put on what a text wears and is not about.

This is emoji, links, mentions, the marks of hashtags, punctuation, Latin words, the space inside a
compound. A detector that is to know topics sees its corpora with all this taken away and put on,
or else it learns that a channel ends its posts with a green heart.
"""

import random
import re
from collections.abc import Callable

from spacy.tokens import Doc

__all__ = ["KINDS", "put_on", "redecorate", "take_off"]

_EMOJI = re.compile(
    "[\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u297f\u2b00-\u2bff\ufe0f\u200d"
    "\U0001f000-\U0001faff]+"
)
_LINK = re.compile(r"(?i)https?:|www\.|//|\w\.(?:com|ir|org|net|me|co|ly)\b")
_PUNCTUATION = re.compile(r"[^\w\s\u200c#@%٪＠＃\u2190-\u2bff\U0001f000-\U0001faff]+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")

KINDS: dict[str, Callable[[str], str]] = {
    "emoji": lambda word: _EMOJI.sub("", word),
    "link": lambda word: "" if _LINK.search(word) else word,
    "mention": lambda word: "" if word.startswith(("@", "＠")) else word,
    "hashtag": lambda word: word.lstrip("#＃").replace("_", " ") if word[0] in "#＃" else word,
    "punctuation": lambda word: word if word[0] in "#@" else _PUNCTUATION.sub("", word),
    "latin": lambda word: "" if _LATIN.search(word) else word,
    "zwnj": lambda word: word.replace("\u200c", " "),
}
"""Kind -> what is left of a word without it: maybe nothing, maybe several words."""

EMOJI = "😂 😍 👇 ✅ ⚠️ 🔥 👏 😢 🙏 ❤️ 📌 🔴 🔹 ✈️ ⚽ 💥 😅 🤔 📷 🎉".split()
ENDS = ["!", "!!", "…", "؟", "؟!", ".", "👇👇"]


def take_off(doc: Doc, kinds: list[str]) -> Doc:
    """Take ornaments off a doc.

    doc (Doc): Not modified.
    kinds (list[str]): Of KINDS.
    RETURNS (Doc): A new doc without them, possibly without words, of the same domain and thread.
    """
    words = []
    for token in doc:
        left = token.text
        for kind in kinds:
            left = KINDS[kind](left) if left else left
        words += left.split()
    return _made(doc, words)


def put_on(doc: Doc, rng: random.Random) -> Doc:
    """Put ornaments on a doc.

    doc (Doc): Not modified.
    RETURNS (Doc): A new doc with some of: a word as a hashtag, emoji, a mention, a link, an end.
    """
    words = [token.text for token in doc]
    letters = [i for i, word in enumerate(words) if word.isalpha()]
    if letters and rng.random() < 0.5:
        at = rng.choice(letters)
        words[at] = f"#{words[at]}"
    if rng.random() < 0.3:
        words.append(rng.choice(ENDS))
    if rng.random() < 0.7:
        at = rng.choice((0, len(words)))
        words[at:at] = [rng.choice(EMOJI)] * rng.choice((1, 1, 2, 3))
    if rng.random() < 0.2:
        words.append(f"@{rng.choice(('ali', 'shop', 'news', 'reza'))}_{rng.randrange(10_000)}")
    if rng.random() < 0.2:
        words.append(f"https://t.me/{rng.randrange(10_000)}")
    return _made(doc, words)


def redecorate(docs: list[Doc], rng: random.Random) -> list[Doc]:
    """Take ornaments off a group, or put them on.

    docs (list[Doc]): A group.
    RETURNS (list[Doc]): All of it with the same kinds taken off (every kind half of the times, or
        some), or each text with something put on.
    """
    how = rng.random()
    if how < 0.3:
        return [put_on(doc, rng) for doc in docs]
    kinds = list(KINDS)
    if how < 0.65:
        kinds = [kind for kind in kinds if rng.random() < 0.5]
    return [take_off(doc, kinds) for doc in docs]


def _made(doc: Doc, words: list[str]) -> Doc:
    new = Doc(doc.vocab, words=words)
    new._.domain, new._.thread = doc._.domain, doc._.thread
    return new
