"""What texts wear, taken off and put on."""

import random

import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab

from multibert_spacy.text.threads import install_extensions
from multibert_spacy.training.decoration import KINDS, put_on, redecorate, take_off

install_extensions()
VOCAB = Vocab()


def doc_of(text):
    doc = Doc(VOCAB, words=text.split())
    doc._.domain, doc._.thread = "news", 3
    return doc


@pytest.mark.parametrize(
    ("kind", "text", "left"),
    [
        ("emoji", "سلام 😂 دنیا❤️", "سلام دنیا"),
        ("link", "ببین https://t.co/x www.a.ir", "ببین"),
        ("mention", "سلام @ali", "سلام"),
        ("hashtag", "#بورس_تهران رشد", "بورس تهران رشد"),
        ("punctuation", "سلام ، دنیا! (۱۲)", "سلام دنیا ۱۲"),
        ("latin", "گوشی iPhone نو", "گوشی نو"),
        ("zwnj", "می‌رود", "می رود"),
    ],
)
def test_take_off(kind, text, left):
    doc = doc_of(text)
    new = take_off(doc, [kind])
    assert [word.text for word in new] == left.split()
    assert (new._.domain, new._.thread) == ("news", 3)
    assert [word.text for word in doc] == text.split()


def test_take_off_everything():
    assert len(take_off(doc_of("😂 @ali https://t.co/x !"), list(KINDS))) == 0


def test_put_on_keeps_the_words():
    for seed in range(40):
        new = put_on(doc_of("قیمت دلار امروز"), random.Random(seed))
        words = [word.text.lstrip("#") for word in new]
        assert [word for word in words if word in ("قیمت", "دلار", "امروز")] == [
            "قیمت",
            "دلار",
            "امروز",
        ]
        assert (new._.domain, new._.thread) == ("news", 3)


def test_redecorate_both_takes_off_and_puts_on():
    docs = [doc_of("قیمت دلار ! 😂"), doc_of("سکه ؟")]
    sizes = {
        sum(map(len, redecorate(docs, random.Random(seed)))) for seed in range(60)
    }
    assert min(sizes) == 3
    assert max(sizes) > 6
    assert [len(doc) for doc in docs] == [4, 2]
