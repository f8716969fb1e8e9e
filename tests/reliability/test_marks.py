"""White space, invisible marks and HTML references between words and around names change nothing,
and no entity begins or ends with one.
"""

import re
import sys
import unicodedata

import pytest
import spacy
from conftest import FILLERS, NAMES, toy_text
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from multibert_spacy.text.normalize import INVISIBLE, build_no_normalizer_v1
from multibert_spacy.text.references import read_references

CATEGORIES = {
    category: [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(char) == category
    ]
    for category in ("Zs", "Cf")
}
MARKS = [
    *CATEGORIES["Zs"],
    *CATEGORIES["Cf"],
    *("\t", "&nbsp;", "&emsp;", "&zwnj;", "&rlm;", "&shy;", "&#8206;", "&#x200B;", "&amp;nbsp;"),
    *("\u034f", "\u3164", "\ufe0f", "\x00", "\u064e"),
]
NOT_SEEN = re.compile(rf"[\s{INVISIBLE}\u064e{''.join(CATEGORIES['Cf'])}]+")


@pytest.fixture(scope="module")
def tagger(trained_folder) -> Language:
    return spacy.load(trained_folder)


def tag(nlp: Language, text: str, domain: str, tokenizer=None) -> Doc:
    doc = (tokenizer or nlp.make_doc)(text)
    doc._.domain = domain
    return nlp(doc)


def letters(doc: Doc) -> list[tuple[str, str]]:
    """The visible letters of each entity, and its label."""
    return [(NOT_SEEN.sub("", read_references(ent.text)), ent.label_) for ent in doc.ents]


TEXTS = st.sampled_from(sorted(NAMES)).flatmap(
    lambda domain: st.tuples(
        st.just(domain),
        st.lists(
            st.sampled_from(sorted(NAMES[domain]) + sorted(FILLERS[domain])),
            min_size=1,
            max_size=7,
        ),
    )
)


@settings(deadline=None, max_examples=80)
@given(TEXTS, st.data())
def test_marks_between_words_and_around_names_change_nothing(tagger, own, data):
    domain, words = own
    some = st.lists(st.sampled_from(MARKS), max_size=2).map("".join)
    text = data.draw(some)
    for word in words:
        text += data.draw(some) + word + data.draw(some) + " " + data.draw(some)
    plain = tag(tagger, " ".join(words), domain)
    doc = tag(tagger, text, domain)
    assert doc.text == text
    assert letters(doc) == letters(plain)
    for ent in doc.ents:
        edges = read_references(ent[0].text)[0] + read_references(ent[-1].text)[-1]
        assert not NOT_SEEN.search(
            edges.replace("\u064e", "")
        )  # a vowel sign is a part of its word


@pytest.mark.parametrize("space", ["  ", "\u00a0", "\t", "\u2009", " \u200f", "\u200e ", "&nbsp;"])
def test_every_space_in_another_way(tagger, space):
    n = 0
    for seed in range(10):
        for domain in NAMES:
            text = toy_text(domain, n_words=8, seed=seed)
            plain = letters(tag(tagger, text, domain))
            assert letters(tag(tagger, text.replace(" ", space), domain)) == plain
            n += len(plain)
    assert n > 40


def test_an_entity_with_white_space_inside_is_learned_as_one(make_nlp):
    """And the gold sequence is one that can be found: the loss goes to nothing."""
    nlp = make_nlp(detector=False)
    nlp.get_pipe("multibert_ner").train_only(["travel"], heads=True)
    words = ["سفر", " ", "تبریز", " ", "\u200f", "هتل", "https://t.co/a", "دریا"]
    tags = ["O", "B-LOC", "I-LOC", "I-LOC", "I-LOC", "I-LOC", "O", "O"]
    doc = Doc(nlp.vocab, words=words)
    doc._.domain = "travel"
    eg = Example(doc, Doc(nlp.vocab, words=words, ents=tags))
    sgd = nlp.create_optimizer()
    sgd.learn_rate = 0.02
    losses = [nlp.update([eg], sgd=sgd)["multibert_ner"] for _ in range(50)]
    assert losses[-1] < 0.05
    found = nlp(Doc(nlp.vocab, words=words, user_data=doc.user_data))
    assert [(ent.start, ent.end, ent.label_) for ent in found.ents] == [(2, 6, "LOC")]


@pytest.mark.parametrize("word", ["", " ", "\n\u200f", "\u200c", "\ufeff", "\x00"])
def test_without_a_normaliser_there_is_nothing_to_see_of_a_mark(word):
    normalizer = build_no_normalizer_v1()
    assert normalizer(word) == ""
    assert normalizer(f"{word}ي") == f"{word}ي"
