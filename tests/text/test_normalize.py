"""Spelling as the network sees it: literal words, and hazm as the reference."""

import pickle
import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.util import registry

from multibert_spacy.errors import ConfigError
from multibert_spacy.text.hazm_data import hazm_words
from multibert_spacy.text.normalize import (
    build_hazm_normalizer_v1,
    build_no_normalizer_v1,
    join_word,
    normalize_word,
)
from multibert_spacy.text.references import read_references

LETTERS = "آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
OWN_RULES = "۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩٪٫٬ةۀٱـ"
OWN_RANGES = ["\ufb50\ufdff", "\ufe00\ufe0f", "\ufe70\ufefc", "\U000e0000\U000e0fff"]
OWN_RANGES += [
    "\u180b\u180f",
    *(2 * char for char in "\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0"),
]
ZWNJ = "\u200c"


@pytest.fixture(scope="module", autouse=True)
def hazm():
    from hazm import Normalizer

    return Normalizer(
        correct_spacing=False, persian_style=False, persian_numbers=False, seperate_mi=False
    )


@pytest.mark.parametrize(
    "word, expected",
    [
        ("سلام", "سلام"),
        ("علي", "علی"),
        ("على", "علی"),
        ("كتاب", "کتاب"),
        ("مدرسة", "مدرسه"),
        ("خانۀ", "خانه"),
        ("خانهٔ", "خانه"),
        ("ہمہ", "همه"),
        ("مُحَمَّد", "محمد"),
        ("رحمٰن", "رحمن"),
        ("ســـلام", "سلام"),
        ("ـ", ""),
        ("آب", "آب"),
        ("ا\u0653ب", "آب"),
        ("ﺁب", "آب"),
        ("مسا\u0654له", "مسأله"),
        ("رﺅیا", "رؤیا"),
        ("ی\u0651\u0654", "ئ"),
        ("ﺳﻼﻡ", "سلام"),
        ("ﷲ", "الله"),
        ("﷼", "ریال"),
        ("﷽", "بسم الله الرحمن الرحیم"),
        ("ﷺ", ""),
        ("ﹶ", ""),
        ("۱۴۰۲", "1402"),
        ("١٤٠٢", "1402"),
        ("1402", "1402"),
        ("۱۲٫۵٪", "12.5%"),
        ("۱٬۲۰۰", "1,200"),
        ("۲۰۲۱م", "2021م"),
        ("می‌روم", "می‌روم"),
        ("می‌‌روم", "می‌روم"),
        ("کتاب‌", "کتاب"),
        ("‌کتاب", "کتاب"),
        ("می\u200f‌\u200eروم", "می‌روم"),
        ("می&zwnj;روم", "می‌روم"),
        ("&#1593;&#1604;&#1610;", "علی"),
        ("علی&nbsp;", "علی"),
        ("&nbsp;", ""),
        ("&rlm;&#8203;", ""),
        ("&amp;", "&"),
        ("&amp;amp;zwnj;", ""),
        ("&#۱۵۹۳;", "ع"),
        ("&am\u200ep;", "&"),
        ("AT&T", "AT&T"),
        ("\u3164\u2800\u034f", ""),
        ("\u202bتهران\u202c", "تهران"),
        ("تهر\u200bان", "تهران"),
        ("ه\u200d", "ه"),
        ("\ufeffتهران", "تهران"),
        ("سلاممممم", "سلام"),
        ("خخخخخ", "خخ"),
        ("اللهم", "اللهم"),
        ("#عالیییی", "#عالی"),
        ("#تيم_ملي", "#تیم_ملی"),
        ("@ali_1234", "@ali_1234"),
        ("https://t.co/xY12?a=3%20", "https://t.co/xY12?a=3%20"),
        ("name.family+1@mail.example.com", "name.family+1@mail.example.com"),
        ("www.soooo.ir", "www.soooo.ir"),
        ("Cafe\u0301", "Cafe\u0301"),
        ("«", "«"),
        ("“", '"'),
        ("؟؟؟؟", "؟؟؟؟"),
        ("....", "...."),
        ("❤\ufe0f", "❤"),
        ("👨\u200d👩\u200d👧", "👨👩👧"),
        ("🇮🇷", "🇮🇷"),
        ("\n\n", ""),
        ("\xa0", ""),
        ("ب\xa0پ", "ب پ"),
        ("", ""),
        ("\u064b\u064e\u0651", ""),
        ("\ud800", ""),
        ("ب\udc00\x00", "ب"),
    ],
)
def test_literal_words(word, expected):
    assert normalize_word(word) == expected


def has_own_rule(char):
    return (
        char in OWN_RULES + ZWNJ
        or char.isspace()
        or unicodedata.category(char) in ("Cc", "Cf", "Cs")
        or any(first <= char <= last for first, last in OWN_RANGES)
    )


def test_every_other_character_is_as_hazm_has_it(hazm):
    codes = [*range(0x10000), *range(0x1EE00, 0x1FB00), *range(0xE0000, 0xE0200)]
    chars = [char for char in map(chr, codes) if not has_own_rule(char)]
    for start in range(0, len(chars), 256):
        text = "|".join(chars[start : start + 256])
        assert "".join(map(normalize_word, text)) == hazm.normalize(text)


def test_invisible_characters_go_and_white_space_is_one_space():
    for char in map(chr, [*range(0x10000), *range(0xE0000, 0xE0200)]):
        if char.isspace():
            assert normalize_word(f"ب{char}ب") == "ب ب"
        elif unicodedata.category(char) in ("Cc", "Cf", "Cs") and char != ZWNJ:
            assert normalize_word(f"ب{char}ب") == "بب"


def test_presentation_forms_are_the_letters_they_stand_for(hazm):
    for code in (*range(0xFB50, 0xFE00), *range(0xFE70, 0xFEFD)):
        plain = unicodedata.normalize("NFKC", chr(code))
        if plain == chr(code) or code in (0xFDFA, 0xFDFB):
            assert normalize_word(chr(code)) == hazm.normalize(chr(code))
        else:
            assert normalize_word(chr(code)) == normalize_word(plain.replace(" ", ""))


# Few letters, so that repetitions are common; the rest is what hazm changes one by one.
random_words = st.text(
    st.sampled_from("سلامهدخ" * 4 + "يكىےڤگڕﮐ\u064e\u0651\u0670ءئ،!#_aA.:/@“😂"), max_size=24
)


@settings(deadline=None)
@given(word=random_words)
def test_whole_words_are_as_hazm_has_them(hazm, word):
    plain = unicodedata.normalize("NFKC", word)
    runs = re.split(f"([^{LETTERS}]+)", hazm.remove_diacritics(_letters(hazm, plain)))
    assert normalize_word(word) == "".join(map(hazm.normalize, runs))


@settings(deadline=None)
@given(word=random_words.map(lambda word: re.sub(r"(.)\1\1+", r"\1\1", word)))
def test_words_without_repetition_are_as_hazm_has_them_in_one_call(hazm, word):
    if not re.search(r"(.)\1\1", hazm.remove_diacritics(_letters(hazm, word))):
        assert normalize_word(word) == hazm.normalize(word)


def _letters(hazm, word):
    """All of hazm's changes but the shortening, which sees runs of letters only."""
    return "".join(map(hazm.normalize, word))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_idempotent_on_any_text(word):
    once = normalize_word(word)
    assert normalize_word(once) == once


@settings(deadline=None)
@given(
    st.text(
        st.sampled_from(
            LETTERS * 2 + "يكىةۀۂٱـ\u064e\u0653\u0654\u0655\u200c\u200d\u200f \xa0ﻻﷲ﷽۱٣5٫٪\ufe0f"
        ),
        max_size=40,
    )
)
def test_idempotent_on_arabic_script(word):
    once = normalize_word(word)
    assert normalize_word(once) == once
    assert not once.startswith((" ", ZWNJ)) and not once.endswith((" ", ZWNJ))


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([*"&;#amp۱۲۳1593x\u200e\u200cع", "&amp;", "&#38;", "nbsp;", "&#1777;"])
    )
)
def test_idempotent_on_references(parts):
    for normalize in (normalize_word, join_word):
        once = normalize("".join(parts))
        assert normalize(once) == once


@settings(deadline=None)
@given(st.text(LETTERS + ZWNJ, min_size=1, max_size=12), st.data())
def test_ways_to_type_a_word_share_a_form(word, data):
    typed = "".join(
        data.draw(st.sampled_from({"ی": "یيى", "ک": "كک"}.get(char, char)))
        + data.draw(st.sampled_from(["", "", "", "\u0640", "\u064e", "\u0651", "\u200f"]))
        for char in word
    )
    assert normalize_word(typed) == normalize_word(word)


@settings(deadline=None)
@given(st.integers(min_value=0).map(str), st.sampled_from(["۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩"]))
def test_digits_of_all_scripts_share_a_form(number, digits):
    typed = number.translate(str.maketrans("0123456789", digits))
    assert normalize_word(typed) == normalize_word(number) == number


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_ascii_is_never_touched(word):
    """Apart from HTML references."""
    assert normalize_word(word) == word or read_references(word) != word


@pytest.mark.parametrize(
    "word",
    [
        "ا" * 10**6,
        "اب" * 500_000,
        "اب" * 500_000 + "ببب",
        "ا\u0653" * 500_000,
        "ا" + "\u064b" * 10**6,
        "\u200c " * 500_000,
        "ك" * 10**6,
        "\u0300" * 10**6,
        "https://" + "a" * 10**6,
    ],
    ids=["one", "two", "tail", "madda", "marks", "gaps", "kaf", "combining", "url"],
)
def test_a_million_characters(word):
    """In quadratic time this would not end."""
    assert len(normalize_word(word)) <= len(word)


@pytest.mark.parametrize(
    "word, expected",
    [
        ("می\u200cرود", "میرود"),
        ("كتاب\u200cهاي\u200cما", "کتابهایما"),
        ("\u200c", ""),
        ("۱۲", "12"),
    ],
)
def test_zwnj_are_left_out_unless_they_are_to_be_kept(word, expected):
    assert build_hazm_normalizer_v1()(word) == expected
    assert build_hazm_normalizer_v1(keep_zwnj=True)(word) == normalize_word(word)


@settings(deadline=None)
@given(st.text(st.sampled_from(LETTERS + ZWNJ + OWN_RULES + "\u064e0aز"), max_size=20))
def test_a_word_is_the_same_with_zwnj_and_without(word):
    assert join_word(word) == join_word(word.replace(ZWNJ, ""))
    assert ZWNJ not in join_word(word)


def test_a_long_laugh_is_a_short_laugh():
    assert normalize_word("خ" * 500) == normalize_word("خ" * 5) == "خخ"
    assert normalize_word("ابپتثجچحخد" * 7 + "ررررر") == "ابپتثجچحخد" * 7 + "رر"


def test_hazm_is_not_imported():
    script = """if True:
        import sys
        from multibert_spacy.text.normalize import normalize_word
        assert normalize_word("سلامممم") == "سلام"
        assert normalize_word("ڪتاب") == "کتاب"
        assert "hazm" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_dictionary_has_words_of_letters_alone():
    words = hazm_words()
    assert {"آب", "سلام"} <= words
    assert "می‌روم" not in words and "سلامم" not in words


def test_a_missing_dictionary_is_an_error_that_says_so(monkeypatch):
    hazm_words.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    try:
        with pytest.raises(ConfigError, match="install hazm again"):
            hazm_words()
    finally:
        hazm_words.cache_clear()


def test_registered_builders():
    hazm_builder = registry.misc.get("multibert_spacy.HazmNormalizer.v1")
    identity_builder = registry.misc.get("multibert_spacy.NoNormalizer.v1")
    assert hazm_builder()("كتاب") == build_hazm_normalizer_v1()("كتاب") == "کتاب"
    assert identity_builder()("كتاب") == build_no_normalizer_v1()("كتاب") == "كتاب"


@pytest.mark.parametrize("build", [build_hazm_normalizer_v1, build_no_normalizer_v1])
def test_normalizers_can_be_pickled(build):
    normalizer = build()
    assert pickle.loads(pickle.dumps(normalizer)) is normalizer
