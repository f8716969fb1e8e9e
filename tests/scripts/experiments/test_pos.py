"""What parts of speech are compared with."""

import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab

from scripts.experiments.pos import crf_tags, features, frequent_tags, score

VOCAB = Vocab()


def doc_of(words, tags, domain="travel"):
    doc = Doc(VOCAB, words=words.split(), tags=tags.split())
    doc._.domain = domain
    return doc


TRAIN = [doc_of("به تهران رفت", "P N V"), doc_of("رفت به رشت", "V P N"), doc_of("رفت رفت", "N V")]


def test_a_word_has_its_most_frequent_tag_and_a_new_one_the_most_frequent_of_all():
    assert frequent_tags(TRAIN, [doc_of("رفت به شیراز", "V P N")]) == [["V", "P", "N"]]


def test_the_crf_learns_its_train_part():
    gold = [[word.tag_ for word in doc] for doc in TRAIN * 20]
    assert crf_tags(TRAIN * 20, gold, TRAIN[:2]) == [["P", "N", "V"], ["V", "P", "N"]]


def test_what_the_crf_sees():
    assert list(features(doc_of("در ۵", "P NUM")))[1] == [
        *("۵", "first1=۵", "last1=۵", "first2=۵", "last2=۵", "first3=۵", "last3=۵"),
        *("digit=True", "before=در", "behind=>"),
    ]


def test_accuracy():
    docs = [*TRAIN[:2], doc_of("در راه", "P N", "sports")]
    found = score(docs, [["P", "N", "N"], ["V", "P", "N"], ["N", "N"]], seed=0)
    assert found["accuracy"] == pytest.approx(6 / 8)
    assert found["per_domain"] == {"sports": 0.5, "travel": pytest.approx(5 / 6)}
    low, high = found["interval"]
    assert 0.5 <= low < 6 / 8 < high <= 1
