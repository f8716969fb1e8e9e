"""From a sentence with slots to tagged tokens.

What must not meet in two parts of the corpus is kept apart by a hash, not by bookkeeping: a
sentence with its names belongs to the part that `part_of` computes, and names are drawn again
until one combination fits.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..sentence import SPLITS, Sentence
from .gazetteers import Gazetteer
from .noise import Token, inside
from .tables import VOCABULARY, label_of

SHARES = {"train": 1.0, "dev": 0.19, "test": 0.38}  # of the sizes in tables.SIZES
HELD_SHARE = 0.4  # of the names drawn for dev and test
# Classes that are no entity in most domains: rarer, so that they do not water down the rest.
CLASS_WEIGHTS = {"illness": 0.35, "title": 0.7, "landmark": 0.6, "people": 0.8}
MAX_TRIES = 200
SLOT = re.compile(r"\{([a-z]+)\d?\}")
CHOICE = re.compile(r"\(([^()|]*\|[^()]*)\)")
NO_SPACE_BEFORE = frozenset(".،؛:!؟»")


@dataclass(frozen=True, slots=True)
class Filler:
    """A name in a sentence: its word class, its clean surface, its label ("O" for none)."""

    word_class: str
    surface: str
    label: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A sentence with the names that fill it, as (class, surface) in the order of the slots."""

    template: str
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """One text of the corpus with its origin.

    kind (str): "own" (of its domain), "common" (of any domain, no ambiguous name) or "shared"
        (of any domain of the head, about ambiguous names).
    tokens (tuple[Token, ...]): After noise; `token.slot` counts the fillers.
    """

    domain: str
    thread: str
    kind: str
    template: str
    fillers: tuple[Filler, ...]
    tokens: tuple[Token, ...]


def part_of(seed: int, draft: Draft) -> str:
    """RETURNS (str): The part of the corpus to which a sentence with these names belongs."""
    data = "\n".join((str(seed), draft.template, *(name for _, name in draft.names)))
    digest = blake2b(data.encode(), digest_size=8).digest()
    point = int.from_bytes(digest, "big") / 2**64 * sum(SHARES.values())
    for part in SPLITS[:-1]:
        point -= SHARES[part]
        if point < 0:
            return part
    return SPLITS[-1]


def _draw_name(word_class: str, part: str, gazetteer: Gazetteer, rng: Random) -> str:
    held = gazetteer.held[word_class]
    if part != "train" and held and rng.random() < HELD_SHARE:
        return rng.choice(held)
    return rng.choice(gazetteer.known[word_class])


def _draw(
    template: str, classes: Sequence[str], part: str, seed: int, gazetteer: Gazetteer, rng: Random
) -> Draft | None:
    """Draw different names until the combination belongs to the part; None if none was found."""
    for _ in range(MAX_TRIES):
        names = tuple((name, _draw_name(name, part, gazetteer, rng)) for name in classes)
        draft = Draft(template, names)
        if len({surface for _, surface in names}) == len(names) and part_of(seed, draft) == part:
            return draft
    return None


def draw_own(
    templates: Sequence[str], part: str, seed: int, gazetteer: Gazetteer, rng: Random
) -> Draft:
    """Choose one of several sentences, with the classes of its names as slots, and its names.

    RETURNS (Draft): The first choice that has a combination in this part.
    """
    for template in rng.sample(templates, len(templates)):
        classes = [name for name in SLOT.findall(template) if name in gazetteer.known]
        draft = _draw(template, classes, part, seed, gazetteer, rng)
        if draft is not None:
            return draft
    raise ValueError(f"None of {len(templates)} sentences has names left for {part!r}.")


def draw_shared(
    templates: dict[str, list[str]], part: str, seed: int, gazetteer: Gazetteer, rng: Random
) -> Draft:
    """Choose a neutral sentence, a class that it may be about, and its names.

    RETURNS (Draft): All names of a sentence are of one class.
    """
    for _ in range(MAX_TRIES):
        template = rng.choice(list(templates))
        classes = templates[template]
        weights = [CLASS_WEIGHTS.get(name, 1.0) for name in classes]
        word_class = rng.choices(classes, weights)[0]
        n_slots = len(SLOT.findall(template))
        draft = _draw(template, [word_class] * n_slots, part, seed, gazetteer, rng)
        if draft is not None:
            return draft
    raise ValueError(f"None of {len(templates)} shared sentences has names left for {part!r}.")


def render(
    draft: Draft, domain: str, gazetteer: Gazetteer, rng: Random
) -> tuple[tuple[Filler, ...], list[Token]]:
    """Fill a sentence: names, words that are no names, free choices, spaces."""
    fillers = tuple(Filler(name, form, label_of(name, domain)) for name, form in draft.names)
    template = CHOICE.sub(lambda match: rng.choice(match[1].split("|")), draft.template)
    tokens: list[Token] = []
    slot = 0
    for piece in template.split():
        match = SLOT.fullmatch(piece)
        if match is None:
            tokens.append(Token(piece))
        elif match[1] in VOCABULARY:
            tokens += [Token(word) for word in rng.choice(VOCABULARY[match[1]]).split()]
        else:
            label = fillers[slot].label
            tag = "O" if label == "O" else f"B-{label}"
            for word in fillers[slot].surface.split():
                tokens.append(Token(word, tag=tag, slot=slot))
                tag = inside(tag)
            slot += 1
    last = len(tokens) - 1
    return fillers, [
        Token(t.text, t.tag, i < last and tokens[i + 1].text not in NO_SPACE_BEFORE, t.slot)
        for i, t in enumerate(tokens)
    ]


def text_to_sentence(text: Text) -> Sentence:
    """RETURNS (Sentence): The words and tags of a text."""
    words, tags = zip(*((token.text, token.tag) for token in text.tokens), strict=True)
    return Sentence(words, tags, text.domain, text.thread)


def text_to_doc(text: Text, vocab: Vocab) -> Doc:
    """RETURNS (Doc): The gold doc of a text: every token is explicitly in or outside an entity."""
    doc = Doc(
        vocab,
        words=[token.text for token in text.tokens],
        spaces=[token.space for token in text.tokens],
        ents=[token.tag for token in text.tokens],
    )
    doc._.domain = text.domain
    doc._.thread = text.thread
    return doc
