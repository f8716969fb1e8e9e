"""Words of raw Persian text: literal sentences, and the text that never changes."""

import re

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokenizer import Tokenizer
from spacy.util import registry

from multibert_spacy.text.normalize import INVISIBLE
from multibert_spacy.text.references import read_references
from multibert_spacy.text.tokenizer import build_persian_tokenizer_v1

CONFIG = {"nlp": {"tokenizer": {"@tokenizers": "multibert_spacy.PersianTokenizer.v1"}}}
SAMPLE = (
    "سلام @ali_rezaei! «تیم ملی» ۳-۱ برد:)) 😂👨‍👩‍👧 می‌گن https://t.co/aB1، "
    "نرخ ۱۲٫۵٪ شد...\n\n  #تهران_بزرگ"
)


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("fa", config=CONFIG)


def words(nlp, text):
    return [token.text for token in nlp.make_doc(text)]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("هوا امروز خوبه", "هوا|امروز|خوبه"),
        ("خودش مرا دید", "خودش|مرا|دید"),
        ("می‌روم نمی‌آیند کتاب‌هایشان", "می‌روم|نمی‌آیند|کتاب‌هایشان"),
        ("مُحَمَّد و رحمٰن", "مُحَمَّد|و|رحمٰن"),
        ("ســـلام", "ســـلام"),
        ("نه، بله؛ چرا؟ بیا!", "نه|،|بله|؛|چرا|؟|بیا|!"),
        ("آمد.رفت،ماند", "آمد|.|رفت|،|ماند"),
        ("«شهر زیبا»", "«|شهر|زیبا|»"),
        ('گفت:"بیا"', 'گفت|:|"|بیا|"'),
        ("(اصفهان)[قم]{ری}", "(|اصفهان|)|[|قم|]|{|ری|}"),
        ("شیراز-یزد و این/آن", "شیراز|-|یزد|و|این|/|آن"),
        ("چی؟؟!!", "چی|؟|؟|!|!"),
        ("خب... بعد.. …", "خب|...|بعد|..|…"),
        ("---- ~~~ ***", "----|~~~|***"),
        ("۱۲٫۵ ۱٬۲۰۰ 3.14 4,500", "۱۲٫۵|۱٬۲۰۰|3.14|4,500"),
        ("ساعت 22:30 روز ۱۴۰۲/۰۱/۲۵.", "ساعت|22:30|روز|۱۴۰۲/۰۱/۲۵|."),
        ("بازی ۳-۱ شد", "بازی|۳|-|۱|شد"),
        ("۵۰٪ یا 20%", "۵۰|٪|یا|20|%"),
        ("۵کیلو کووید۱۹ pes21", "۵کیلو|کووید۱۹|pes21"),
        ("ببین https://t.co/aB1x، جالبه", "ببین|https://t.co/aB1x|،|جالبه"),
        ("ببینhttps://t.co/aB1xجالبه", "ببین|https://t.co/aB1x|جالبه"),
        ("HTTP://EXAMPLE.COM/a?b=1&c=2#d.", "HTTP://EXAMPLE.COM/a?b=1&c=2#d|."),
        ("(https://example.org/wiki/تهران_(شهر))", "(|https://example.org/wiki/تهران_(شهر|)|)"),
        ("www.example.com:8080/x-y example.ir.", "www.example.com:8080/x-y|example.ir|."),
        ("t.me/kanal/12😂", "t.me/kanal/12|😂"),
        ("به a.b+c@mail.example.com بنویس", "به|a.b+c@mail.example.com|بنویس"),
        ("@ali_12: سلام@sara.k! @علی", "@ali_12|:|سلام|@sara.k|!|@علی"),
        ("@", "@"),
        ("#تیم_ملی#ایران، #هم‌دلی #", "#|تیم_ملی|#|ایران|،|#|هم‌دلی|#"),
        ("😂😂سلام👇🏽", "😂|😂|سلام|👇🏽"),
        ("❤️♥ ☎️۰۲۱", "❤️|♥|☎️|۰۲۱"),
        ("👨‍👩‍👧‍👦👩🏾‍🚀🏳️‍🌈", "👨‍👩‍👧‍👦|👩🏾‍🚀|🏳️‍🌈"),
        ("🇮🇷🇦🇫 1️⃣2️⃣", "🇮🇷|🇦🇫|1️⃣|2️⃣"),
        ("🏴\U000e0067\U000e0062\U000e007f🏴", "🏴\U000e0067\U000e0062\U000e007f|🏴"),
        ("خوبه:)) بد بود :( ؛)", "خوبه|:))|بد|بود|:(|؛)"),
        ("عالی (: :-) =)) :D <3 ^_^", "عالی|(:|:-)|=))|:D|<3|^_^"),
        ("شهرها:(قم)", "شهرها|:|(|قم|)"),
        ("U.S. don't AT&T", "U.S.|don't|AT|&|T"),
        ("علی \u200fرضا\u200e، می\u200fروم", "علی|\u200f|رضا|\u200e|،|می\u200fروم"),
        ("\u202bتهران\u202c", "\u202b|تهران|\u202c"),
        ("ﷺ ﷼ ﻻ", "ﷺ|﷼|ﻻ"),
        ("از شیراز\u200c به اصفهان\u200c", "از|شیراز|\u200c|به|اصفهان|\u200c"),
        ("\u200cشیراز\u200c، می\u200c\u200cروم", "\u200c|شیراز|\u200c|،|می\u200c\u200cروم"),
        ("قم\u200d ری\x00 \u3164یزد\ufe0f", "قم|\u200d|ری|\x00|\u3164|یزد|\ufe0f"),
        ("#هم\u200cدلی\u200c @علی\u200c", "#|هم\u200cدلی|\u200c|@علی|\u200c"),
        ("بانک &amp; بانک", "بانک|&amp;|بانک"),
        ("علی&nbsp;کریمی&nbsp;&ensp;", "علی|&nbsp;|کریمی|&nbsp;&ensp;"),
        ("می&zwnj;گویند علی&zwnj; &zwnj;رضا", "می&zwnj;گویند|علی|&zwnj;|&zwnj;|رضا"),
        ("&#1593;&#1604;&#1740; &#x639;لی، رفت", "&#1593;&#1604;&#1740;|&#x639;لی|،|رفت"),
        ("&laquo;قم&raquo;&rlm;&hellip;", "&laquo;|قم|&raquo;|&rlm;|&hellip;"),
        ("&amp;nbsp;قم&amp;amp;", "&amp;nbsp;|قم|&amp;amp;"),
        ("https://a.ir/?b=1&amp;c=2، قم", "https://a.ir/?b=1&amp;c=2|،|قم"),
        ("&foo; &copy", "&|foo|;|&|copy"),
        ("به\u200c\u200cتهران به\u200dتهران", "به|\u200c\u200c|تهران|به|\u200d|تهران"),
        ("به\u200cتهران به\u200cویژه به\u200cش", "به|\u200c|تهران|به\u200cویژه|به\u200cش"),
        ("پرسپولیسی\u200cها ایرانی ها تهرانو", "پرسپولیسی\u200cها|ایرانی|ها|تهرانو"),
        ("تهران/اصفهان #تهران", "تهران|/|اصفهان|#|تهران"),
        ("हिन्दी Москва Çelik", "हिन्दी|Москва|Çelik"),
        ("", ""),
        ("  سلام  ", "  |سلام| "),
        ("الف\n\nب", "الف|\n\n|ب"),
    ],
)
def test_literal_sentences(nlp, text, expected):
    assert words(nlp, text) == (expected.split("|") if expected else [])


def test_offsets_are_in_the_raw_text(nlp):
    doc = nlp.make_doc(SAMPLE)
    assert doc.text == SAMPLE
    assert all(SAMPLE[token.idx : token.idx + len(token)] == token.text for token in doc)


@settings(deadline=None)
@given(text=st.text())
def test_any_text_is_kept(nlp, text):
    assert nlp.make_doc(text).text == text


PARTS = (
    "سلام می‌روم https://t.co/a @ali #قم a.b@c.ir 😂 👩🏾‍🚀 🇮🇷 1️⃣ :)) (: ... ، ؟ « 12.5 U.S. don't "
    "۱٬۲ h http . / - _ '"
).split(" ") + list(" \n\t\xa0\u2028\x1c\u200c\u200d\u200f\u202b\ufe0f\u0651\u0301\x00")


@settings(deadline=None)
@given(text=st.lists(st.sampled_from(PARTS)).map("".join))
def test_social_text_is_kept_and_cut_at_white_space(nlp, text):
    doc = nlp.make_doc(text)
    assert doc.text == text
    for token in doc:
        assert token.is_space or not any(char.isspace() for char in token.text)


@pytest.mark.parametrize(
    "unit",
    ["ا", "!", "(", ")", ":", ":(", "😂", "\u200d😂", "a.", "aa.", "a@", "@", "#", "1.", "۱،", "-"]
    + [
        "https://",
        "http://!",
        "h",
        "ا\u200f",
        "\u200f",
        "a'",
        "🇮",
        "«ا»",
        "_",
        "ا\u0651",
        "<3",
        "^",
    ]
    + ["ا\u200c", "\u200c", "#ا\u200c", "به\u200c", "&amp;", "&#38;", "&nbsp;", "&", "&zwnj;ا"]
    + ["a-", "www.", "%", "e.g", "\u0301", "!\u0301", "[", "=", "'"],
)
def test_units_that_are_repeated(nlp, unit):
    """In quadratic time these would not end."""
    text = (unit * 100_000)[:100_000]
    doc = Tokenizer(spacy.vocab.Vocab(), infix_finditer=nlp.tokenizer.infix_finditer)(text)
    assert doc.text == text


@settings(deadline=None)
@given(
    text=st.lists(st.sampled_from([*PARTS, "&nbsp;", "&zwnj;", "&#1593;", "&amp;", ";"])).map(
        "".join
    )
)
def test_no_word_with_letters_has_an_invisible_edge(nlp, text):
    """References in the text or not: the tokens are those of the text that they stand for."""
    doc = nlp.make_doc(text)
    assert doc.text == text
    invisible = re.compile(f"[\\s{INVISIBLE}]")
    for token in doc:
        plain = read_references(token.text)
        if any(char.isalpha() for char in plain) and "://" not in plain:
            assert not invisible.match(plain[0]) and not invisible.match(plain[-1])


def test_saved_pipeline_gives_the_same_tokens(nlp, tmp_path):
    nlp.to_disk(tmp_path / "nlp")
    loaded = spacy.load(tmp_path / "nlp")
    assert loaded.config["nlp"]["tokenizer"] == CONFIG["nlp"]["tokenizer"]
    assert words(loaded, SAMPLE) == words(nlp, SAMPLE)


def test_bytes_give_the_same_tokens(nlp):
    other = spacy.blank("fa", config=CONFIG).from_bytes(nlp.to_bytes())
    assert words(other, SAMPLE) == words(nlp, SAMPLE)
    assert words(other, "علی&nbsp;رضا") == words(nlp, "علی&nbsp;رضا") == ["علی", "&nbsp;", "رضا"]
    bare = Tokenizer(other.vocab).from_bytes(nlp.tokenizer.to_bytes())
    assert [token.text for token in bare(SAMPLE)] == words(nlp, SAMPLE)
    assert bare.infix_finditer.__self__.pattern == nlp.tokenizer.infix_finditer.__self__.pattern


def test_registered_builder_makes_a_spacy_tokenizer(nlp):
    builder = registry.tokenizers.get("multibert_spacy.PersianTokenizer.v1")
    made = builder()(nlp)
    assert type(made) is type(build_persian_tokenizer_v1()(nlp))
    assert isinstance(made, Tokenizer)
    assert made.vocab is nlp.vocab


def test_users_can_add_special_cases():
    nlp = spacy.blank("fa", config=CONFIG)
    nlp.tokenizer.add_special_case("ق.م", [{"ORTH": "ق.م"}])
    assert words(nlp, "سال ۵ ق.م بود") == ["سال", "۵", "ق.م", "بود"]
