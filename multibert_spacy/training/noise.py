"""Texts as people send them: the decoration and the carelessness that tidy corpora lack.

A newspaper's sentences have no emoji and all end with a dot, a channel's posts all begin with its own sign.
What is learnt from that is the corpus. Here any text may come to look like any other's:

| kind | what happens |
|---|---|
| `emoji` | before the text, behind it, or behind a word that ends no entity |
| `hashtag` | a mention becomes one (`#علی_کریمی`), or some of the text's words follow it as such |
| `quotes` | a mention or a word stands in « » |
| `end` | the last mark goes, or becomes `!`, `...` or more of it |
| `marks` | all punctuation goes |
| `zwnj` | a ZWNJ is left out, or becomes a space |
| `repeat` | the last vowel of a word is stretched: `سلاممم`, `خیلیییی` |
| `headline` | a label and a colon come first |

Letters in two codes (ي, ك) and digits are not among them: `text/normalize.py` makes them one, and the
network never sees a link.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from random import Random

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry

from ..errors import ConfigError
from .augmenters import Augmenter, example_of

__all__ = ["KINDS", "build_noise_v1"]

Word = tuple[str, bool, str]
"""Text, whether a space follows, BIO tag."""
Change = Callable[[list[Word], Random], list[Word]]

EMOJI = tuple("😂😍😭❤🙏👇🔴🔹🔺🔸✅📌🎥🔥💔😅🌹👏🤔😎🎉⚽🏆📷🎬💰📉📈📱🎮✨👌🤣😡🌍🧳🍃💊🎓📣🗣")
TAGS = ("فوری", "خبر", "ایران", "فوتبال", "سینما", "سفر", "آموزش", "نقد", "عکس", "طنز", "news")
LABELS = ("فوری", "خبر", "تیتر", "یادداشت", "پرسش", "نقل", "اطلاعیه", "گزارش", "نکته", "دیشب")
ENDS = ("!", "...", "!!", "؟!", "…")


def _is_mark(text: str) -> bool:
    return all(unicodedata.category(char)[0] in "PS" for char in text)


def _plain(text: str) -> bool:
    return bool(re.fullmatch("[^\\W\\d_a-zA-Z]{3,}", text))


def _runs(words: Sequence[Word]) -> list[tuple[int, int]]:
    """Return the first word and the end of each mention."""
    starts = [i for i, (_, _, tag) in enumerate(words) if tag.startswith("B-")]
    runs = []
    for start in starts:
        end = start + 1
        while end < len(words) and words[end][2].startswith("I-"):
            end += 1
        runs.append((start, end))
    return runs


def _emoji(words: list[Word], rng: Random) -> list[Word]:
    drawn = [(rng.choice(EMOJI), True, "O") for _ in range(rng.randint(1, 2))]
    where = rng.random()
    if where < 0.45:
        return [*drawn, *words]
    if where < 0.85:
        return [*words[:-1], (words[-1][0], True, words[-1][2]), *drawn]
    gaps = [i for i in range(1, len(words)) if not words[i][2].startswith("I-")]
    at = rng.choice(gaps) if gaps else len(words)
    return [*words[:at], drawn[0], *words[at:]]


def _hashtag(words: list[Word], rng: Random) -> list[Word]:
    runs = [
        run
        for run in _runs(words)
        if all(re.fullmatch("[^\\W\\d_]+(\u200c[^\\W\\d_]+)*", w) for w, _, _ in words[slice(*run)])
    ]
    if runs and rng.random() < 0.5:
        start, end = rng.choice(runs)
        text = "#" + "_".join(word.replace("\u200c", "_") for word, _, _ in words[start:end])
        return [*words[:start], (text, words[end - 1][1], words[start][2]), *words[end:]]
    known = [w for w, _, tag in words if tag == "O" and _plain(w) and len(w) > 3]
    drawn = rng.sample(known, min(len(known), rng.randint(0, 2))) + [rng.choice(TAGS)]
    tags = [(f"#{word}", True, "O") for word in drawn]
    return [*words[:-1], (words[-1][0], True, words[-1][2]), *tags]


def _quotes(words: list[Word], rng: Random) -> list[Word]:
    runs = _runs(words) or [(i, i + 1) for i, (w, _, _) in enumerate(words) if _plain(w)]
    if not runs:
        return words
    start, end = rng.choice(runs)
    last = words[end - 1]
    inside = [*words[start : end - 1], (last[0], False, last[2])]
    return [*words[:start], ("«", False, "O"), *inside, ("»", last[1], "O"), *words[end:]]


def _end(words: list[Word], rng: Random) -> list[Word]:
    kept = list(words)
    while len(kept) > 1 and kept[-1][2] == "O" and kept[-1][0] in (".", "!", "؟", "...", "؛", ":"):
        kept.pop()
    return kept if rng.random() < 0.65 else [*kept, (rng.choice(ENDS), False, "O")]


def _marks(words: list[Word], rng: Random) -> list[Word]:
    return [word for word in words if word[2] != "O" or not _is_mark(word[0])] or words


def _zwnj(words: list[Word], rng: Random) -> list[Word]:
    spaced = rng.random() < 0.6
    result: list[Word] = []
    for text, space, tag in words:
        if "\u200c" not in text.strip("\u200c") or rng.random() < 0.3:
            result.append((text, space, tag))
        elif not spaced:
            result.append((text.replace("\u200c", ""), space, tag))
        else:
            parts = [part for part in text.split("\u200c") if part]
            inner = tag.replace("B-", "I-")
            result.extend((p, True, inner if i else tag) for i, p in enumerate(parts))
            result[-1] = (result[-1][0], space, result[-1][2])
    return result


def _repeat(words: list[Word], rng: Random) -> list[Word]:
    fit = [i for i, (w, _, tag) in enumerate(words) if tag == "O" and _plain(w)]
    if not fit:
        return words
    at = rng.choice(fit)
    text, space, tag = words[at]
    return [*words[:at], (text + text[-1] * rng.randint(2, 4), space, tag), *words[at + 1 :]]


def _headline(words: list[Word], rng: Random) -> list[Word]:
    return [(rng.choice(LABELS), False, "O"), (":", True, "O"), *words]


KINDS: dict[str, tuple[Change, float]] = {
    "emoji": (_emoji, 0.4),
    "hashtag": (_hashtag, 0.25),
    "quotes": (_quotes, 0.12),
    "end": (_end, 0.4),
    "marks": (_marks, 0.1),
    "zwnj": (_zwnj, 0.25),
    "repeat": (_repeat, 0.1),
    "headline": (_headline, 0.08),
}
"""What happens to a text that is changed, each with its own chance."""


@registry.augmenters("multibert_spacy.Noise.v1")
def build_noise_v1(level: float = 0.3, seed: int = 0) -> Augmenter:
    """Decorate texts and write them carelessly, drawn anew in each pass; see the module's docstring.

    level (float): Share of the texts, in [0, 1].
    seed (int): Of the drawing.
    RAISES (ConfigError): If level is out of range.
    """
    if not 0 <= level <= 1:
        raise ConfigError(f"level must be in [0, 1], got {level}")
    rng = Random(seed)

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        if rng.random() >= level:
            yield example
            return
        gold = example.reference
        before = words = _words(gold)
        for change, chance in KINDS.values():
            if rng.random() < chance:
                words = change(words, rng)
        if words == before:
            yield example
            return
        doc = Doc(
            gold.vocab,
            words=[text for text, _, _ in words],
            spaces=[space for _, space, _ in words],
            ents=[tag for _, _, tag in words],
        )
        doc._.domain, doc._.thread = gold._.domain, gold._.thread
        yield example_of(nlp, example, doc)

    return augment


def _words(doc: Doc) -> list[Word]:
    return [
        (w.text, bool(w.whitespace_), f"{w.ent_iob_}-{w.ent_type_}" if w.ent_type_ else "O")
        for w in doc
    ]
