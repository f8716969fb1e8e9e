"""Strings that nobody should send, and everybody does."""

import pickle
import random
import unicodedata
from collections.abc import Iterator

import pytest
import spacy
import srsly
from conftest import NAMES, TOKENIZER, toy_text
from hypothesis import given
from hypothesis import strategies as st

from multibert_spacy.errors import MultibertError
from multibert_spacy.text.tokenizer import build_persian_tokenizer_v1
from scripts.checks.metamorphic import VARIANTS, main, shares

POOLS = {
    "Persian": "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیآئ    ،.؟!",
    "bidi": "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061cاب ",
    "joiners": "\u200c\u200c\u200c\u200d\u2060\ufeffمیرود ",
    "combining": "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670\u0300\u0301\u20ddابa ",
    "digits": "0123456789۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩٪٫٬.,/- ",
    "emoji": "😀👍🏽👨\u200d👩\u200d👧🇮🇷\ufe0f❤🏻🕊",
    "space": " \t\n\r\u00a0\u2003\u2028\u2029\u3000\x0b\x0c\x1c\x85",
    "control": "\x00\x01\x07\x08\x1b\x7f\x80\x9fاa ",
    "look-alike": "ايىیکكڪہھەةۀeеoоaаIl1|Οο٥۵",
    "forms": "ﷲﷺﷻﺁﺂﻻﻼﻬﻩﮎ﷼ڒݐࢠ",
    "Latin": "https://t.co/aB @user_name #tag a.b@c.ir www.x.com :) :-( ^_^ <3 ",
    "planes": "\U00010330\U0001f600\U000e0041\U000e007f\U0010ffff\ufffe\uffff𝒜ا ",
    "private": "\ue000\uf8ff\ufdd0\ufdefا ",
}


def random_char(rng: random.Random) -> str:
    """Any code point that can be encoded."""
    while True:
        char = chr(rng.randrange(0x110000))
        if unicodedata.category(char) != "Cs":
            return char


def strings(n: int, seed: int = 0) -> Iterator[str]:
    """Strings of one pool, of many, of toy words with noise, and of any code points."""
    rng = random.Random(seed)
    yield from ("", " ", "\x00", "\n" * 50, "\u200c" * 999, "َ" * 999, "😀" * 300, "ا" * 4000)
    yield from (
        "\u202e" * 99 + "ایران",
        "ایران" + "\u0301" * 999,
        "\ufeff",
        "((((" * 99,
        ":" * 999,
    )
    for _ in range(n - 13):
        length = int(rng.lognormvariate(2.5, 1.2))
        kind = rng.randrange(4)
        if kind == 0:
            yield "".join(rng.choices(rng.choice(list(POOLS.values())), k=length))
        elif kind == 1:
            pools = "".join(rng.sample(list(POOLS.values()), 3))
            yield "".join(rng.choices(pools, k=length))
        elif kind == 2:
            yield "".join(random_char(rng) for _ in range(length))
        else:
            text = list(toy_text(rng.choice(sorted(NAMES)), n_words=2 + length // 6, seed=length))
            for _ in range(length // 4):
                noise = rng.choice(rng.choice(list(POOLS.values())))
                text.insert(rng.randrange(len(text) + 1), noise)
            yield "".join(text)


def check(doc, text: str) -> int:
    """RETURNS (int): The entities of a doc in which everything is as it must be."""
    assert doc.text == text
    end = 0
    for ent in doc.ents:
        assert end <= ent.start_char < ent.end_char <= len(text)
        assert text[ent.start_char : ent.end_char] == ent.text != ""
        assert ent.text.strip()
        end = ent.end_char
    scores = doc.spans["multibert_ner"].attrs["scores"]
    assert len(scores) == len(doc.ents)
    assert all(0 < score <= 1 for score in scores)
    return len(doc.ents)


def run(nlp, n: int, seed: int) -> int:
    """RETURNS (int): How many entities there are in so many strings."""
    texts = list(strings(n, seed))
    domains = [None, *sorted(NAMES)]
    pairs = [(text, {"domain": domains[i % 4]}) for i, text in enumerate(texts)]
    docs = [doc for doc, _ in nlp.pipe(pairs, as_tuples=True)]
    return sum(check(doc, text) for doc, text in zip(docs, texts, strict=True))


def test_hundreds_of_strings(trained):
    assert run(trained, 400, seed=0) > 100


@pytest.mark.slow
def test_ten_thousand_strings(trained):
    assert sum(run(trained, 1000, seed) for seed in range(1, 11)) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("char", ["ا", "1", "a", "\u200c", "😀", "!", "َ", "(", "#", "."])
def test_a_million_characters_without_a_space(trained, char):
    text = char * 999_990 + " ایران"
    check(trained(text), text)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_words_are_the_text(text):
    doc = build_persian_tokenizer_v1()(spacy.blank("fa"))(text)
    assert "".join(word.text_with_ws for word in doc) == text


@pytest.mark.parametrize("text, at", [("\ud800", 0), ("سفر \udc80 ایران", 4), ("\udfff\ud800", 0)])
def test_half_a_character_is_no_text(trained, text, at):
    """spaCy cannot store it, and another text in its place would not be the input. A stream goes
    on with an error handler that ignores it, whichever of our components meets it first.
    """
    with pytest.raises(MultibertError, match=rf"Character {at} of a text is the lone surrogate"):
        trained(text)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert trained(whole).text == whole
    told = []
    trained.set_error_handler(lambda name, proc, docs, e: told.append((name, len(docs), str(e))))
    stream = [("سفر به تبریز", 1), (text, 2), ("ایران", 3), ("a" + text, 4)]
    assert [i for _, i in trained.pipe(stream, as_tuples=True)] == [1, 3]
    assert [(name, n) for name, n, _ in told] == [("transformer", 1)] * 2
    assert told[1][2].startswith(f"Character {at + 1} of a text is the lone surrogate")
    with trained.select_pipes(disable=["transformer", "domain_detector"]):
        contexts = [(text, {"domain": "travel"}) for text, _ in stream]
        assert len(list(trained.pipe(contexts, as_tuples=True))) == 2
        assert told[-1][0] == "multibert_ner"


def test_a_tokenizer_alone_raises(trained):
    """Nobody else would."""
    trained.set_error_handler(lambda name, proc, docs, e: None)
    with trained.select_pipes(enable=[]), pytest.raises(MultibertError, match="lone surrogate"):
        list(trained.pipe(["\ud800"]))
    with pytest.raises(MultibertError, match="lone surrogate"):
        spacy.blank("fa", config={"nlp": {"tokenizer": TOKENIZER}})("\ud800")


def test_a_tokenizer_that_was_pickled_knows_whether_somebody_will_raise(trained):
    """And holds no pipeline: a process that was spawned makes its own."""
    bare = spacy.blank("fa", config={"nlp": {"tokenizer": TOKENIZER}}).tokenizer
    for tokenizer in (pickle.loads(pickle.dumps(own)) for own in (trained.tokenizer, bare)):
        assert [word.text for word in tokenizer("از شیراز")] == ["از", "شیراز"]
        assert tokenizer.nlp() is None
        if tokenizer.told:
            doc = tokenizer("سفر \ud800")
            assert doc.text == "سفر \ufffd"
            with pytest.raises(MultibertError, match="Character 4 of a text"):
                trained(doc)
        else:
            with pytest.raises(MultibertError, match="lone surrogate"):
                tokenizer("\ud800")


# The same text in another spelling


@pytest.mark.parametrize("kind", ["Persian digits", "Arabic digits", "Latin digits"])
def test_digits_do_not_change_the_words(kind):
    """A mention with Arabic digits fell into two words."""
    tokenizer = build_persian_tokenizer_v1()(spacy.blank("fa"))
    text = "@user_12 در ۱۲٫۵ کیلومتری #تگ34 ساعت 12:30 مدل a5"
    spelling = VARIANTS[kind](text)
    found = [(word.idx, len(word)) for word in tokenizer(spelling.text)]
    assert found == [(word.idx, len(word)) for word in tokenizer(text)]
    assert len(found) == 10


def test_places_of_a_spelling():
    spelling = VARIANTS["tatweel"]("در شیراز و مشهد")
    assert spelling.text == "در شـیراز و مـشهد"
    assert spelling.text[slice(*spelling.place((3, 8, "LOC"))[:2])] == "شـیراز"
    assert VARIANTS["no ZWNJ"]("می\u200cرود").text == "میرود"
    assert VARIANTS["Latin digits"]("۱۲٣4").text == "1234"
    assert VARIANTS["Arabic yeh"]("یک").text == "يک"
    assert VARIANTS["diacritics"]("ایران").text == "ای\u0631\u0650ان"
    assert VARIANTS["&zwnj;"]("می\u200cرود").text == "می&zwnj;رود"
    assert VARIANTS["RLM"]("در قم").text == "در\u200f \u200fقم"
    assert VARIANTS["RLM"]("در قم").place((3, 5, "LOC")) == (5, 7, "LOC")
    assert VARIANTS["lines of ten words"]("a " * 11).text == "a " * 9 + "a\r\na "
    assert VARIANTS["numeric references"]("ایران").text == "ای&#1585;ان"
    verbs = "نمی\u200cرود می\u200cآید آدمی\u200cزاد"
    assert VARIANTS["ZWNJ of verbs as a space"](verbs).text == "نمی رود می آید آدمی\u200cزاد"
    assert VARIANTS["trailing URL"]("سفر").place((0, 3, "LOC")) == (0, 3, "LOC")


def test_spellings_that_the_normaliser_knows(trained):
    """Letters, signs and digits of another keyboard are the same to the network."""
    pairs = [(toy_text(name, n_words=8, seed=i), name) for name in NAMES for i in range(12)]
    result = shares(trained, pairs)
    known = ("Arabic yeh", "tatweel", "diacritics", "trailing URL", "doubled spaces", "tabs")
    for name in (
        *known,
        "no-break spaces",
        "RLM",
        "byte order marks",
        "&nbsp;",
        "ZWNJ at the end",
    ):
        assert result[name]["entities"] > 50
        assert result[name]["share"] == 1.0
        assert result[name]["new"] == 0


def test_spellings_of_a_file_of_texts(trained_folder, tmp_path):
    rows = [{"text": "یک کتاب", "domain": "news"}, {"text": "دو کتاب", "domain": "news"}]
    srsly.write_jsonl(tmp_path / "rows.jsonl", rows)
    main(trained_folder, tmp_path / "rows.jsonl", "test", 0, tmp_path / "found.json")
    report = srsly.read_json(tmp_path / "found.json")
    assert (report["texts"], report["corpus"]) == (2, "rows.jsonl")
    assert report["variants"].keys() == VARIANTS.keys()
    assert report["variants"]["doubled spaces"]["texts"] == 2
