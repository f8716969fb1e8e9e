"""Names: our own lists, and people, companies, banks, provinces and villages from Faker's `fa_IR`.

Faker's lists hold Arabic letters, double spaces and fragments of table headings; what is taken
from them is cleaned, and what does not look like a name is dropped. They differ from one release
of Faker to the next: the report of a corpus therefore states the release.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from faker import Faker

from .tables import AMBIGUOUS, NAMES

HELD_BACK = 0.25  # of each unambiguous class: seen in dev and test only
LETTERS = re.compile(r"[\u0621-\u063a\u0641-\u064a\u067e\u0686\u0698\u06a9\u06af\u06cc\u200c ]+")
VILLAGE_PREFIXES = ("روستای", "بندر", "دهستان")


@dataclass(frozen=True)
class Gazetteer:
    """Surfaces by word class: those that every part of the corpus may use, and those of dev and
    test only (none of ambiguous classes, of which sentences are held back).
    """

    known: dict[str, tuple[str, ...]]
    held: dict[str, tuple[str, ...]]


def clean_name(name: str) -> str:
    """RETURNS (str): A name of Faker's with Persian letters and single spaces, or "" if it holds
    anything but letters.
    """
    name = unicodedata.normalize("NFC", name).replace("\u200e", "")
    name = name.translate(str.maketrans("يىكۀة", "ییکهه"))
    name = "".join(c for c in name if not unicodedata.combining(c))
    name = " ".join(name.split())
    return name if LETTERS.fullmatch(name) else ""


def _collect(make: Callable[[], str], n: int, accept: Callable[[str], bool]) -> list[str]:
    """Call a Faker method until it gave `n` different acceptable names, or has no more."""
    found: dict[str, None] = {}
    for _ in range(20 * n):
        name = clean_name(make())
        if name and accept(name):
            found[name] = None
        if len(found) == n:
            break
    return list(found)


def _from_faker(seed: int) -> dict[str, list[str]]:
    """Draw the classes that Faker knows."""
    fake = Faker("fa_IR")
    fake.seed_instance(seed)

    def is_short(name: str) -> bool:
        return 2 <= len(name.split()) <= 3 and not name.startswith("گروه")

    return {
        "person": _collect(lambda: f"{fake.first_name()} {fake.last_name()}", 260, bool),
        "company": _collect(fake.company, 90, is_short),
        "bank": _collect(fake.bank, 20, lambda name: name.startswith("بانک ") and is_short(name)),
        "province": _collect(fake.administrative_unit, 30, bool),
        "village": _collect(fake.city, 40, lambda name: name.startswith(VILLAGE_PREFIXES)),
    }


def build_gazetteer(seed: int) -> Gazetteer:
    """Collect all names and choose which of them are held back.

    A surface of an ambiguous class is removed from every other class, so that its label follows
    from its class alone.
    """
    classes: dict[str, Sequence[str]] = {**NAMES, **_from_faker(seed)}
    taken = {surface for name in AMBIGUOUS for surface in classes[name]}
    known: dict[str, tuple[str, ...]] = {}
    held: dict[str, tuple[str, ...]] = {}
    for name, surfaces in sorted(classes.items()):
        if name in AMBIGUOUS:
            known[name], held[name] = tuple(surfaces), ()
            continue
        free = [surface for surface in surfaces if surface not in taken]
        Random(f"{seed}/gazetteer/{name}").shuffle(free)
        n_held = round(HELD_BACK * len(free))
        known[name], held[name] = tuple(free[n_held:]), tuple(free[:n_held])
    return Gazetteer(known=known, held=held)
