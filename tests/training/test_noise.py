"""Texts made less tidy."""

from random import Random

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry

from multibert_spacy.errors import ConfigError
from multibert_spacy.training.noise import KINDS

WORDS = [
    ("علی", True, "B-PER"), ("کریمی", True, "I-PER"), ("به", True, "O"), ("خرم‌آباد", True, "B-LOC"),
    ("می‌رود", False, "O"), (".", False, "O"),
]  # fmt: skip


def changed(kind, seed=0, words=WORDS):
    return KINDS[kind][0](list(words), Random(seed))


def results(kind, words=WORDS):
    """Texts and mentions that many draws come to."""
    return {
        tuple((text, tag) for text, _, tag in changed(kind, seed, words)) for seed in range(200)
    }


def texts(kind):
    return {" ".join(text for text, _ in words) for words in results(kind)}


def test_a_mention_becomes_a_hashtag():
    found = texts("hashtag")
    assert "#علی_کریمی به خرم‌آباد می‌رود ." in found
    assert "علی کریمی به #خرم_آباد می‌رود ." in found
    assert any(text.startswith("علی کریمی به خرم‌آباد می‌رود . #") for text in found)


def test_a_mention_is_quoted():
    assert texts("quotes") == {
        "« علی کریمی » به خرم‌آباد می‌رود .",
        "علی کریمی به « خرم‌آباد » می‌رود .",
    }


def test_the_end_goes_or_is_another():
    found = texts("end")
    assert {"علی کریمی به خرم‌آباد می‌رود", "علی کریمی به خرم‌آباد می‌رود !"} <= found
    assert "علی کریمی به خرم‌آباد می‌رود ." not in found


def test_marks_go():
    assert texts("marks") == {"علی کریمی به خرم‌آباد می‌رود"}


def test_a_zwnj_goes_or_becomes_a_space():
    found = results("zwnj")
    both = (("علی", "B-PER"), ("کریمی", "I-PER"), ("به", "O"))
    apart = (("خرم", "B-LOC"), ("آباد", "I-LOC"), ("می", "O"), ("رود", "O"), (".", "O"))
    assert (*both, *apart) in found
    assert (*both, ("خرمآباد", "B-LOC"), ("میرود", "O"), (".", "O")) in found


def test_a_word_of_no_mention_is_stretched():
    words = [("خیلی", True, "O"), ("تبریز", True, "B-LOC")]
    found = {" ".join(text for text, _ in own) for own in results("repeat", words)}
    assert found == {"خیلییی تبریز", "خیلیییی تبریز", "خیلییییی تبریز"}


def test_a_label_comes_first():
    assert all(text.endswith(" : علی کریمی به خرم‌آباد می‌رود .") for text in texts("headline"))


words_strategy = st.lists(
    st.tuples(
        st.sampled_from(["علی", "کریمی", "خرم‌آباد", ".", "#خبر", "x", "😂", "«", "‌", "_"]),
        st.booleans(),
        st.sampled_from(["B-PER", "I-PER", "B-LOC", "O", "O"]),
    ),
    min_size=1,
    max_size=8,
)


def legal(words):
    """I- after nothing of its label begins a mention."""
    before = "O"
    fixed = []
    for text, space, tag in words:
        if tag.startswith("I-") and before[2:] != tag[2:]:
            tag = f"B-{tag[2:]}"
        before = tag
        fixed.append((text, space, tag))
    return fixed


@pytest.mark.parametrize("kind", list(KINDS))
@settings(max_examples=60, deadline=None)
@given(words=words_strategy, seed=st.integers(0, 1000))
def test_mentions_survive(kind, words, seed):
    words = legal(words)
    new = changed(kind, seed, words)
    assert new == legal(new)
    assert [t for _, _, t in new if t[0] == "B"] == [t for _, _, t in words if t[0] == "B"]
    assert all(text for text, _, _ in new)


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("fa")


def example(nlp):
    doc = Doc(
        nlp.vocab,
        words=[text for text, _, _ in WORDS],
        spaces=[space for _, space, _ in WORDS],
        ents=[tag for _, _, tag in WORDS],
    )
    doc._.domain, doc._.thread = "news", "t"
    predicted = Doc(nlp.vocab, words=[text for text, _, _ in WORDS], spaces=[s for _, s, _ in WORDS])
    predicted._.domain = "news"
    return Example(predicted, doc)


def noise(**settings):
    return registry.augmenters.get("multibert_spacy.Noise.v1")(**settings)


def test_level_is_the_share_of_texts(nlp):
    eg = example(nlp)
    assert list(noise(level=0.0)(nlp, eg)) == [eg]
    augment = noise(level=0.5, seed=0)
    n_changed = sum(next(augment(nlp, eg)) is not eg for _ in range(1000))
    assert 330 < n_changed < 500  # of those chosen some draw no kind


def test_domain_and_thread_stay(nlp):
    augment = noise(level=1.0, seed=1)
    for _ in range(20):
        [new] = augment(nlp, example(nlp))
        assert (new.reference._.domain, new.predicted._.domain) == ("news", "news")
        assert new.predicted.text == new.reference.text
        assert [ent.label_ for ent in new.reference.ents] == ["PER", "LOC"]


@pytest.mark.parametrize("level", [-0.1, 1.1])
def test_a_level_out_of_range_is_an_error(level):
    with pytest.raises(ConfigError, match=r"level must be in \[0, 1\], got"):
        noise(level=level)


def test_augmenters_in_a_chain(nlp):
    def add(word):
        def augment(nlp, eg):
            words = [*(own.text for own in eg.reference), word]
            doc = Doc(nlp.vocab, words=words)
            yield Example(Doc(nlp.vocab, words=words), doc)

        return augment

    chain = registry.augmenters.get("multibert_spacy.Chain.v1")
    [new] = chain(add("یک"), add("دو"))(nlp, example(nlp))
    assert [word.text for word in new.reference][-2:] == ["یک", "دو"]
    eg = example(nlp)
    assert list(chain()(nlp, eg)) == [eg]
