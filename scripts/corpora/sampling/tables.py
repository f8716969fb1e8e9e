"""The words and sentences of the sample corpus, out of data/.

A *word class* is a list of surfaces (`country`: ایران, ترکیه, ...). Within a domain a class has
exactly one label, in every sentence. That is the whole trick: who knows the domain can learn all
labels, who does not can only guess.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly

from ...domains import DOMAINS, HEADS

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Probabilities of noise, per text unless said otherwise.

    arabic: Arabic ي and ك. zwnj_space, zwnj_drop: per word that has a ZWNJ. stretch: one word is
    drawn out. hashtag: per filler. no_final: the last mark is missing. digits: weights of
    Persian, Arabic and Latin digits. topic: a hashtag of the domain's `topics`.
    """

    arabic: float = 0.15
    zwnj_space: float = 0.2
    zwnj_drop: float = 0.15
    stretch: float = 0.1
    hashtag: float = 0.08
    emoji: float = 0.2
    mention: float = 0.06
    url: float = 0.06
    no_final: float = 0.3
    digits: tuple[float, float, float] = (0.7, 0.1, 0.2)
    topic: float = 0.12
    emojis: tuple[str, ...] = ("😂", "😍", "🙏", "❤️", "😢", "👏", "🤔", "🔥")
    topics: tuple[str, ...] = ()
    handles: tuple[str, ...] = (
        "sara_m78", "ali_rezaei", "khabar_rooz", "mrs_noori", "arash1370", "donya_ir",
    )  # fmt: skip


@dataclass(frozen=True)
class Templates:
    """Sentences of a head: by domain; neutral ones; and neutral ones about ambiguous names, with
    the classes that each may be about.
    """

    own: dict[str, list[str]]
    common: list[str]
    shared: dict[str, list[str]]


_words: dict[str, Any] = srsly.read_yaml(DATA / "words.yml")
_sentences: dict[str, Any] = srsly.read_yaml(DATA / "sentences.yml")
_domains = {name: own for head in _sentences.values() for name, own in head["domains"].items()}

AMBIGUOUS: dict[str, dict[str, str]] = {k: v["labels"] for k, v in _words["ambiguous"].items()}
FIXED: dict[str, dict[str, str]] = _words["fixed"]
NAMES: dict[str, list[str]] = {k: v["names"] for k, v in _words["ambiguous"].items()}
NAMES |= _words["names"]
VOCABULARY: dict[str, list[str]] = _words["vocabulary"]
THREADS: dict[str, list[str]] = srsly.read_yaml(DATA / "threads.yml")
SIZES: dict[str, int] = {name: _domains[name]["texts"] for name in DOMAINS}
"""Texts in the training part at scale 1."""
TEMPLATES = {
    head: Templates(
        {name: _domains[name]["sentences"] for name in names},
        _sentences[head]["common"],
        {s: own["classes"] for own in _sentences[head]["shared"] for s in own["sentences"]},
    )
    for head, names in HEADS.items()
}


def _profile(noise: dict[str, Any]) -> Profile:
    return Profile(**{k: tuple(v) if isinstance(v, list) else v for k, v in noise.items()})


PROFILES = {name: _profile(_domains[name]["noise"]) for name in DOMAINS}
NEUTRAL = {head: _profile(_sentences[head]["noise"]) for head in HEADS}


def label_of(word_class: str, domain: str) -> str:
    """Look up the label of a word class.

    RETURNS (str): A label of the domain's head, or "O".
    """
    if word_class in AMBIGUOUS:
        return AMBIGUOUS[word_class][domain]
    return FIXED[DOMAINS[domain].head][word_class]
