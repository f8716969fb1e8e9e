"""Names that the corpus has never seen in place of those that it repeats.

Where most names of a test part stand in the training part too, a tagger learns the names by heart
and not what stands around them; replacing mentions helps most with unseen names. Unlike
`EntitySwap`, which deals the corpus's own mentions anew, this draws from gazetteers and invents.

What a mention keeps: titles («دکتر»), kinds («استان», «باشگاه») and everything else that is no
name, an ending behind a ZWNJ («‌ها», «‌ام»), a hashtag's sign and its underscores, signs and emoji
that a corpus has left on a word. A mention of one word becomes one of one word: which of them are
annotated at all is a corpus's own convention. What is no replaceable name stays as it is:
descriptions («وزارت امور خارجه»), saints and offices, Latin words, demonyms, long mentions.
"""

import re
from collections.abc import Iterator
from random import Random

from spacy.language import Language
from spacy.tokens import Span
from spacy.training import Example
from spacy.util import registry

from ..errors import ConfigError
from ..text.normalize import normalize_word
from .augmenters import Augmenter, Mention, example_of, replace_mentions
from .gazetteers import Gazetteers, load_gazetteers

__all__ = ["NameReplacer", "build_name_replacement_v1"]

TITLES = frozenset(
    "آقای خانم دکتر مهندس استاد پروفسور پرفسور سید سیده حاج حاجی شیخ سردار سرهنگ سرلشکر سرتیپ ژنرال "
    "سرگرد ملا میرزا جناب حجت‌الاسلام آیت‌الله شهید قاضی کاپیتان مستر سر لرد دوک پرنس جان".split()
)
NOT_REPLACED = frozenset(
    "امام حضرت پیامبر رهبر رهبری رسول‌الله شاه سلطان ملکه امیرالمومنین علیه السلام الله آیت مقام "
    "معظم انقلاب رئیس رییس‌جمهور رئیس‌جمهور بن ابن بنی شیطان خدا امیرالمؤمنین جنبش تیم‌ملی".split()
)
PLACE_KINDS = frozenset(
    "استان شهر شهرستان کشور جزیره رود رودخانه دریاچه خیابان میدان فرودگاه موزه پارک هتل ایالت روستای "
    "کوه ورزشگاه مسجد کاخ بندر دریای منطقه محله کوچه بلوار بزرگراه پل قلعه دشت جنگل آبشار غار ساحل "
    "خلیج تنگه سد ایستگاه بخش دهستان کشور شمال جنوب شرق غرب مرکز حومه بازار باغ شهرک جاده کلیسای "
    "استادیوم بیمارستان تالار سالن کافه رستوران دانشگاه شهر‌".split()
)
GROUP_KINDS = frozenset(
    "شرکت باشگاه تیم بانک خبرگزاری روزنامه مجله هفته‌نامه ماهنامه شبکه مؤسسه موسسه انجمن فدراسیون "
    "ایرلاین شهرداری دانشگاه دانشکده استودیو فروشگاه کارخانه گروه هلدینگ بنیاد انتشارات نشر آکادمی "
    "پلیس استانداری فرمانداری هیئت حزب باند ارکستر کانال سایت پایگاه مدرسه اتحادیه شورای سفارت ارتش "
    "بیمارستان مرکز خودروسازی هواپیمایی بورس اداره".split()
)
OF_PLACES = frozenset(
    "شهرداری پلیس استانداری فرمانداری دانشگاه سفارت ارتش هیئت شورای اداره اتحادیه فدراسیون تیم".split()
)
DESCRIBED = frozenset(
    "وزارت سازمان مجلس دولت قوه کمیسیون کمیته دفتر جمهوری ستاد معاونت دادگاه دیوان سپاه نیروی نیروهای "
    "کنگره کنفدراسیون صدا شورا".split()
)
ENDINGS = "ها|های|هایی|ی|ای|ام|ات|اش|مان|تان|شان|اند|ایم|اید|رو|و"
_WORD = re.compile(rf"(?P<left>[\W_]*)(?P<core>.*?)(?P<end>(?:\u200c(?:{ENDINGS}))?)(?P<right>[\W_]*)")
_FOREIGN_SIGNS = re.compile(r"[A-Za-z0-9\d@/\\]")
OF_SOMEWHERE = ("\u200cی", "\u200cای", "\u200cیی")
LONGEST = 4
"""Words of a mention that is replaced."""
FROM_CORPUS = {"PER": 0.2, "LOC": 0.3, "ORG": 0.55}
"""Share of the replacements that are mentions which came by in another text: a gazetteer knows
neither nicknames nor the clubs and brands of the day."""


class NameReplacer:
    """Finds another name for a mention.

    names (Gazetteers): Where from.
    rng (Random): Draws.
    """

    def __init__(self, names: Gazetteers, rng: Random) -> None:
        self.names = names
        self.rng = rng
        self._seen: dict[tuple[str, bool], dict[str, None]] = {}
        self._pool: dict[tuple[str, bool], list[str]] = {}
        self._places = {*names.places, *names.abroad}

    def replace(self, ent: Span) -> Mention | None:
        """Find other words for a mention.

        ent (Span): A mention. Its name is kept for later ones.
        RETURNS (Mention): The words to put there; None if the mention should stay.
        """
        words = [word.text for word in ent]
        if len(words) == 1 and words[0].startswith("#") and "_" in words[0]:
            new = self._new(ent.label_, words[0][1:].split("_"))
            return None if new is None else (("#" + "_".join(new), False),)
        new = self._new(ent.label_, words)
        return None if new is None else tuple((word, True) for word in new)

    def _new(self, label: str, words: list[str]) -> list[str] | None:
        """Return the words of a mention with another name in it; None if it should stay."""
        if any(_FOREIGN_SIGNS.search(word) for word in words):
            return None
        first, last = _WORD.fullmatch(words[0]), _WORD.fullmatch(words[-1])
        if first is None or last is None or not first["core"] or not last["core"]:
            return None
        if label == "LOC" and last["end"] in OF_SOMEWHERE:
            return None
        plain = [normalize_word(word) for word in words]
        plain[0] = normalize_word(first["core"])
        plain[-1] = normalize_word(last["core"])
        if not all(plain):  # a word of invisible marks, of which nothing is left
            return None
        name = self._name(label, plain)
        if name is None:
            return None
        kept, new = name
        result = [*words[:kept], *new.split()]
        if not kept:
            result[0] = first["left"] + result[0]
        result[-1] += last["end"] + last["right"]
        return result

    def _name(self, label: str, words: list[str]) -> tuple[int, str] | None:
        """Return how many words stay in front, and a name for the others."""
        if NOT_REPLACED.intersection(words):
            return None
        if label == "PER":
            return self._person(words)
        if label in ("LOC", "FAC"):
            return self._place(words, label)
        return self._group(words) if label == "ORG" else None

    def _person(self, words: list[str]) -> tuple[int, str] | None:
        kept = 0
        while kept < len(words) and words[kept] in TITLES:
            kept += 1
        single = len(words) - kept == 1
        if not 0 < len(words) - kept <= LONGEST:
            return None
        old = self._from_pool("PER", " ".join(words[kept:]), single=single)
        return kept, old or self.names.person(self.rng, single=single)

    def _place(self, words: list[str], label: str) -> tuple[int, str] | None:
        if words[0] in PLACE_KINDS or label == "FAC":
            if len(words) not in (2, 3) or words[0] not in PLACE_KINDS:
                return None
            if self.rng.random() < 0.3:
                return 1, self.names.last_name(self.rng)
            return 1, self.names.place(self.rng, single=len(words) == 2)
        if len(words) > LONGEST or self._is_demonym(words[-1]):
            return None
        single = len(words) == 1
        old = self._from_pool("LOC", " ".join(words), single=single)
        return 0, old or self.names.place(self.rng, single=single)

    def _is_demonym(self, word: str) -> bool:
        """Return whether it is someone from a place, which some corpora call a place: «ایرانی»."""
        if word in self._places:
            return False
        stem = re.sub("(?:\u200c?ها)?$", "", word)
        return any(
            stem.endswith(end) and stem[: -len(end)] in self._places
            for end in ("یی", "ئی", "ایی", "\u200cای", "ی")
        )

    def _group(self, words: list[str]) -> tuple[int, str] | None:
        if words[0] in DESCRIBED or len(words) > LONGEST:
            return None
        single = len(words) == 1
        if single and (words[0] in self._places or words[0] in GROUP_KINDS):
            # a country that acts, or a club that is called as its town
            return (0, self.names.place(self.rng, single=True)) if words[0] in self._places else None
        if words[0] in GROUP_KINDS:
            if len(words) > 3:
                return None
            if words[0] in OF_PLACES:
                return 1, self.names.place(self.rng, single=len(words) == 2)
            name = self.names.brand(self.rng)
            if len(words) == 3:
                name = f"{name} {self.names.place(self.rng, single=True)}"
            return 1, name
        old = self._from_pool("ORG", " ".join(words), single=single)
        return 0, old or (
            self.names.brand(self.rng) if single else self.names.company(self.rng)
        )

    def _from_pool(self, label: str, name: str, *, single: bool) -> str | None:
        """Keep a name, and return one of those before, or None: draw another."""
        key = (label, single)
        seen = self._seen.setdefault(key, {})
        pool = self._pool.setdefault(key, [])
        old = self.rng.choice(pool) if pool and self.rng.random() < FROM_CORPUS[label] else None
        if name not in seen:
            seen[name] = None
            pool.append(name)
        return None if old == name else old


@registry.augmenters("multibert_spacy.NameReplacement.v1")
def build_name_replacement_v1(level: float = 0.4, seed: int = 0) -> Augmenter:
    """Replace people, places and organisations by names from outside of the corpus.

    The names are drawn anew in each pass; see the module's docstring. Needs the extra `names`.

    level (float): Share of the mentions that are replaced if they can be, in [0, 1]. In a text,
        the same mention is replaced by the same name everywhere.
    seed (int): Of the drawing.
    RAISES (ConfigError): If level is out of range, or a package with names is not installed.
    """
    if not 0 <= level <= 1:
        raise ConfigError(f"level must be in [0, 1], got {level}")
    rng = Random(seed)
    if not level:
        return lambda nlp, example: iter([example])
    replacer = NameReplacer(load_gazetteers(), rng)

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        gold = example.reference
        drawn: dict[tuple[str, str], Mention | None] = {}
        for ent in gold.ents:
            key = (ent.label_, ent.text)
            if key not in drawn:
                new = replacer.replace(ent)
                drawn[key] = new if rng.random() < level else None
        chosen = [(ent, drawn.get((ent.label_, ent.text))) for ent in gold.ents]
        if any(mention for _, mention in chosen):
            yield example_of(nlp, example, replace_mentions(gold, chosen))
        else:
            yield example

    return augment
