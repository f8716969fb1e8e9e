"""Swapping the mentions of entities."""

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry

from multibert_spacy.errors import ConfigError
from multibert_spacy.training.corpus import build_domain_corpus_v1


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("fa")


def example(nlp, text, ents, domain="travel"):
    """ents: (first word, end, label)."""
    doc = Doc(nlp.vocab, words=text.split())
    doc.set_ents([Span(doc, *ent) for ent in ents])
    doc._.domain, doc._.thread = domain, "t1"
    predicted = Doc(nlp.vocab, words=text.split())
    predicted._.domain = domain
    return Example(predicted, doc)


def swap(level, seed=0):
    return registry.augmenters.get("multibert_spacy.EntitySwap.v1")(level=level, seed=seed)


def described(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_level_0_changes_nothing(nlp):
    augment = swap(0.0)
    eg = example(nlp, "به تبریز رفتم", [(1, 2, "LOC")])
    assert list(augment(nlp, eg)) == [eg]


def test_a_mention_of_the_same_label_and_domain_takes_the_place(nlp):
    augment = swap(1.0)
    list(augment(nlp, example(nlp, "بندر عباس گرم است", [(0, 2, "LOC")])))
    list(augment(nlp, example(nlp, "علی آمد", [(0, 1, "PER")])))
    list(augment(nlp, example(nlp, "مشهد بردیم", [(0, 1, "LOC")], domain="sports")))
    seen = set()
    for _ in range(30):
        [new] = augment(nlp, example(nlp, "به تبریز رفتم .", [(1, 2, "LOC")]))
        seen.add(new.reference.text)
        assert new.predicted.text == new.reference.text
        assert (new.reference._.domain, new.reference._.thread) == ("travel", "t1")
        assert new.predicted._.domain == "travel"
        assert described(new.reference)[0][1] == "LOC"
    assert seen == {"به تبریز رفتم . ", "به بندر عباس رفتم . "}


def test_the_words_around_stay(nlp):
    augment = swap(1.0)
    list(augment(nlp, example(nlp, "بانک ملی ایران", [(0, 3, "ORG")])))
    text, ents = "علی از ایران به دبی رفت", [(0, 1, "PER"), (2, 3, "ORG"), (4, 5, "LOC")]
    texts = set()
    for _ in range(20):
        [new] = augment(nlp, example(nlp, text, ents))
        texts.add(new.reference.text.strip())
        assert [label for _, label in described(new.reference)] == ["PER", "ORG", "LOC"]
    assert texts == {text, "علی از بانک ملی ایران به دبی رفت"}


def test_level_is_the_share(nlp):
    augment = swap(0.25)
    list(augment(nlp, example(nlp, "بندر عباس", [(0, 2, "LOC")])))
    n = 0
    for _ in range(2000):
        [new] = augment(nlp, example(nlp, "به تبریز رفتم", [(1, 2, "LOC")]))
        n += new.reference.text.startswith("به بندر")
    assert 190 < n < 310  # half of the drawn are the mention itself


@pytest.mark.parametrize("level", [-0.1, 1.1])
def test_illegal_levels(level):
    with pytest.raises(ConfigError, match="level"):
        swap(level)


def test_the_reader_applies_it(nlp, tmp_path):
    from spacy.tokens import DocBin

    egs = [
        example(nlp, "بندر عباس گرم است", [(0, 2, "LOC")]),
        *[example(nlp, "به تبریز رفتم", [(1, 2, "LOC")]) for _ in range(20)],
    ]
    docs = [eg.reference for eg in egs]
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "train.spacy")
    read = build_domain_corpus_v1(tmp_path, augmenter=swap(1.0))
    assert {eg.reference.ents[0].text for eg in read(nlp)} == {"بندر عباس", "تبریز"}
    plain = build_domain_corpus_v1(tmp_path)
    assert [eg.reference.text for eg in plain(nlp)] == [doc.text for doc in docs]
