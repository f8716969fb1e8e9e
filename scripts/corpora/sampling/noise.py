"""What real Persian social text looks like, as functions on tagged tokens.

Every function takes a list of tokens and returns a new one; tags are carried along, so a name
stays exactly one entity whatever happens to its letters. How often each thing happens stands in
`tables.Profile`.
"""

import re
from dataclasses import dataclass, replace
from random import Random

import srsly

from .tables import DATA, Profile

ZWNJ = "\u200c"
FINAL_MARKS = (".", "!", "؟")
ARABIC_LETTERS = str.maketrans("یک", "يك")
DIGITS = {
    "arabic": str.maketrans("۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩"),
    "latin": str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789"),
}
# می‌شود, کتاب‌ها, بزرگ‌تر
DROPPABLE = re.compile(f"^ن?می{ZWNJ}|(?<!ه){ZWNJ}(?:ها|تر)")
STRETCHABLE: dict[str, str] = srsly.read_yaml(DATA / "words.yml")["stretchable"]
"""Words that people draw out, with the letter that they repeat."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word with its tag.

    slot (int): Which filler of the sentence it belongs to, -1 for none. A filler that is no
        entity in its domain has a slot too: noise must not tell it from one that is.
    """

    text: str
    tag: str = "O"
    space: bool = True
    slot: int = -1


def inside(tag: str) -> str:
    """Give the tag of a word that continues the one with this tag."""
    return "I-" + tag[2:] if tag.startswith("B-") else tag


def use_arabic_letters(tokens: list[Token]) -> list[Token]:
    """Write ي and ك for ی and ک, as Arabic keyboards do."""
    return [replace(token, text=token.text.translate(ARABIC_LETTERS)) for token in tokens]


def change_digits(tokens: list[Token], style: str) -> list[Token]:
    """Write Persian digits as "arabic" or "latin" ones."""
    return [replace(token, text=token.text.translate(DIGITS[style])) for token in tokens]


def split_zwnj(tokens: list[Token], rng: Random, *, p_space: float, p_drop: float) -> list[Token]:
    """Write a space, or nothing, where a zero-width non-joiner belongs.

    With a space one word becomes two; both are of the same entity. Each word is drawn on its own.
    Nothing is only written where people do (میشود, کتابها), not in گریه‌ام.
    """
    result: list[Token] = []
    for token in tokens:
        parts = token.text.split(ZWNJ)
        if len(parts) == 1 or not all(parts):
            result.append(token)
            continue
        chance = rng.random()
        if chance < p_space:
            tags = [token.tag] + [inside(token.tag)] * (len(parts) - 1)
            spaces = [True] * (len(parts) - 1) + [token.space]
            result += [
                replace(token, text=text, tag=tag, space=space)
                for text, tag, space in zip(parts, tags, spaces, strict=True)
            ]
        elif chance < p_space + p_drop and DROPPABLE.search(token.text):
            result.append(replace(token, text="".join(parts)))
        else:
            result.append(token)
    return result


def add_hashtags(tokens: list[Token], rng: Random, *, p: float) -> list[Token]:
    """Turn fillers into hashtags, each with probability p: کره جنوبی becomes #کره_جنوبی."""
    chosen = {slot for slot in sorted({t.slot for t in tokens} - {-1}) if rng.random() < p}
    result: list[Token] = []
    for token in tokens:
        if token.slot not in chosen:
            result.append(token)
        elif result and result[-1].slot == token.slot:
            joined = f"{result[-1].text}_{token.text.replace(ZWNJ, '_')}"
            result[-1] = replace(result[-1], text=joined, space=token.space)
        else:
            result.append(replace(token, text="#" + token.text.replace(ZWNJ, "_")))
    return result


def stretch(tokens: list[Token], rng: Random) -> list[Token]:
    """Draw out the first word that people draw out: سلااام. Names are left alone."""
    for i, token in enumerate(tokens):
        letter = STRETCHABLE.get(token.text)
        if letter is not None and token.slot == -1:
            at = token.text.rindex(letter)
            text = token.text[:at] + letter * rng.randint(3, 5) + token.text[at + 1 :]
            return [*tokens[:i], replace(token, text=text), *tokens[i + 1 :]]
    return tokens


def drop_final_mark(tokens: list[Token]) -> list[Token]:
    """Leave out the mark at the end of the text."""
    if len(tokens) > 1 and tokens[-1].text in FINAL_MARKS:
        return [*tokens[:-2], replace(tokens[-2], space=False)]
    return tokens


def add_tail(tokens: list[Token], words: list[str], *, glued: bool = False) -> list[Token]:
    """Append words that are no part of the sentence: emoji, mentions, links, topic hashtags.
    glued (bool): Without a space before each of them.
    """
    for word in words:
        tokens = [*tokens[:-1], replace(tokens[-1], space=not glued), Token(word, space=False)]
    return tokens


def apply_noise(tokens: list[Token], profile: Profile, rng: Random) -> list[Token]:
    """Apply everything, each with its probability; the fillers keep their order and tags."""
    tokens = add_hashtags(tokens, rng, p=profile.hashtag)
    tokens = split_zwnj(tokens, rng, p_space=profile.zwnj_space, p_drop=profile.zwnj_drop)
    if rng.random() < profile.stretch:
        tokens = stretch(tokens, rng)
    style = rng.choices(("persian", *DIGITS), profile.digits)[0]
    if style in DIGITS:
        tokens = change_digits(tokens, style)
    if rng.random() < profile.arabic:
        tokens = use_arabic_letters(tokens)
    if rng.random() < profile.no_final:
        tokens = drop_final_mark(tokens)
    if rng.random() < profile.emoji:
        emoji = rng.choice(profile.emojis)
        tokens = add_tail(tokens, [emoji] * rng.choice((1, 1, 2, 3)), glued=rng.random() < 0.5)
    if profile.topics and rng.random() < profile.topic:
        tokens = add_tail(tokens, [f"#{rng.choice(profile.topics)}"])
    if rng.random() < profile.mention:
        tokens = add_tail(tokens, [f"@{rng.choice(profile.handles)}"])
    if rng.random() < profile.url:
        code = "".join(rng.choices("abcdefghkmnpqrstuvwxyz23456789", k=7))
        tokens = add_tail(tokens, [f"https://{rng.choice(('t.me', 'yon.ir'))}/{code}"])
    return tokens
