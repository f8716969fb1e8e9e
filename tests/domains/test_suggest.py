"""`suggest`: which texts it names, and of what it makes no difference."""

import random

import numpy as np
import pytest
from conftest import entities, toy_text
from hypothesis import given
from hypothesis import strategies as st

from multibert_spacy import ConfigError, DomainError, suggest
from multibert_spacy.domains.suggest import Suggestion, _least_sure, spread

KNOWN = [toy_text("sports", n_words=4, seed=i) for i in range(40)]
STRANGE = ["خبر تبریز وزیر ایران", "پرواز ایران هتل تبریز"]
"""Words of the other domains, between which a name is a name of something else."""


def test_it_names_what_the_tagger_is_unsure_of(trained) -> None:
    tagger = trained.get_pipe("multibert_ner")
    found = suggest(trained, KNOWN, 400, domain="sports")
    docs = [trained.make_doc(own.text) for own in found]
    for doc in docs:
        doc._.domain = "sports"
    for own, certainty in zip(found, tagger.certainty(docs), strict=True):
        assert own.score == pytest.approx(sum(sorted(1 - certainty)[-5:]) / 5, abs=1e-4)
        assert own.domain == "sports"


def test_of_many_texts_the_surest_are_left_out(trained, monkeypatch) -> None:
    every = suggest(trained, KNOWN + STRANGE, 99, domain="news")
    for name in ("POOL", "FEWEST"):
        monkeypatch.setattr(f"multibert_spacy.domains.suggest.{name}", 2)
    found = suggest(trained, KNOWN + STRANGE, 3, domain="news")
    top = sorted(every, key=lambda own: (-own.score, own.place))[:6]
    assert len(found) == 3
    assert set(found) < set(top)


def test_equal_texts_are_named_once(trained) -> None:
    texts = ["سپاهان برد", "پرواز ایران", "سپاهان برد", "", " \n", "سپاهان برد"]
    found = suggest(trained, texts, 6, domain="sports")
    assert sorted((own.place, own.text) for own in found) == [(0, texts[0]), (1, texts[1])]


def test_it_takes_what_is_known_of_a_text(mixed) -> None:
    """A domain, given; else what the detector says. One for all is above both."""
    texts = [(KNOWN[0], {"domain": "travel"}), "خبر وزیر دولت مجلس رای خبر"]
    by_place = {own.place: own.domain for own in suggest(mixed, texts, 2)}
    assert by_place == {0: "travel", 1: "news"}
    assert {own.domain for own in suggest(mixed, texts, 2, domain="sports")} == {"sports"}


def test_the_pipeline_stays_as_it_was(mixed) -> None:
    before = [(doc._.domain, entities(doc)) for doc in mixed.pipe(KNOWN[:5])]
    suggest(mixed, iter(KNOWN), 3)
    assert [(doc._.domain, entities(doc)) for doc in mixed.pipe(KNOWN[:5])] == before
    assert mixed.pipe_names == ["transformer", "domain_detector", "multibert_ner"]


def test_a_seed_is_a_choice(trained) -> None:
    first, again, other = (suggest(trained, KNOWN, 5, domain="news", seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("n", [0, -1, 2.5, True, None])
def test_a_number_of_nothing(trained, n) -> None:
    with pytest.raises(ConfigError, match="n must be a whole number of at least 1"):
        suggest(trained, KNOWN, n, domain="news")


def test_an_unknown_domain(trained) -> None:
    with pytest.raises(DomainError, match="Unknown domain 'law'; the pipeline has: news, sports"):
        suggest(trained, KNOWN, domain="law")


def test_no_text(trained) -> None:
    assert suggest(trained, [], domain="news") == []


@given(st.lists(st.sampled_from([("a", 0.3), ("b", 0.1), ("c", 0.3), ("d", 0.9), ("e", 0.0)])))
def test_the_pool_is_the_top_of_different_texts(pairs) -> None:
    found = _least_sure((Suggestion(i, text, "", s) for i, (text, s) in enumerate(pairs)), 2)
    first = {}
    for i, (text, score) in enumerate(pairs):
        first.setdefault(text, (-score, i, text))
    assert {(own.text, own.place) for own in found} == {
        (text, i) for _, i, text in sorted(first.values())[:2]
    }
    assert [own.place for own in found] == sorted(own.place for own in found)


def test_far_points_come_first() -> None:
    """Of two heaps each has one before any has two; in a heap weight decides."""
    vectors = np.array([[0.0, 0.0]] * 50 + [[1.0, 0.0]] * 2, dtype=np.float32)
    weights = np.array([0.0] * 49 + [1.0] + [1.0, 0.0])
    for seed in range(10):
        assert set(spread(vectors, weights, 2, seed)) == {49, 50}


def test_all_are_drawn_in_the_end() -> None:
    vectors = np.zeros((6, 2), dtype=np.float32)
    weights = np.zeros(6)
    drawn = spread(vectors, weights, 9, 0)
    assert sorted(drawn) == [0, 1, 2, 3, 4, 5]


def test_far_ones_are_likelier() -> None:
    rng = random.Random(0)
    vectors = np.array([[rng.gauss(0, 0.01), 0] for _ in range(30)] + [[5, 0]], dtype=np.float32)
    assert sum(30 in spread(vectors, np.ones(31), 3, seed) for seed in range(20)) == 20
