"""Two experts and the gate between them: the arithmetic, on arrays written by hand."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from multibert_spacy.errors import ConfigError
from multibert_spacy.networks.mixture import Weights, fit_mixture

LABELS = ["news", "sports", "travel"]
AXES = np.eye(6, dtype=np.float32)
RNG = np.random.default_rng(0)


def fitted(written=None, elsewhere=False, **weights):
    """Domain k lies along axis k of the embeddings and of the bag's logits; "law" along axis 3.
    The last of four logits is texts of no corpus, if there is such a class.
    """
    groups, embeddings, logits = [], [], []
    for k, label in enumerate(LABELS):
        for size in (1, 2, 4):
            for _ in range(12):
                groups.append((label, size))
                embeddings.append(AXES[k] + 0.2 * RNG.normal(size=6))
                logits.append(8 * np.eye(3 + elsewhere)[k] + RNG.normal(size=3 + elsewhere))
    return fit_mixture(
        LABELS,
        groups,
        np.array(embeddings, dtype=np.float32),
        np.array(logits, dtype=np.float32),
        {label: (f"about {label}", AXES[k]) for k, label in enumerate(LABELS)},
        {"law": AXES[3]},
        Weights(**weights),
        written=written,
        elsewhere=elsewhere,
    )


MIXTURE = fitted()
UNSURE = np.full((1, 3), 8 / 3, dtype=np.float32)
LENGTH = np.array([32.0], dtype=np.float32)


def told(embedding, logits, mixture=MIXTURE, length=LENGTH):
    return mixture.predict(embedding[None], logits, length)[0]


@pytest.mark.parametrize("k", range(3))
def test_where_the_bag_is_unsure_the_topic_decides(k):
    scores = told(AXES[k], UNSURE)
    assert scores.argmax() == k
    assert scores[k] > 0.8


def test_where_the_bag_is_sure_it_decides():
    scores = told(AXES[0], 12 * np.eye(3, dtype=np.float32)[2:])
    assert scores.argmax() == 2


def test_what_the_bag_finds_to_be_of_no_corpus_is_left_to_the_topic():
    mixture = fitted(elsewhere=True)
    known = np.array([[0, 0, 9, 0]], dtype=np.float32)
    strange = np.array([[0, 0, 9, 18]], dtype=np.float32)
    assert told(AXES[0], known, mixture).argmax() == 2
    assert told(AXES[0], strange, mixture).argmax() == 0


def test_a_domain_that_is_gone_is_a_corpus_that_nobody_knows():
    mixture = fitted(elsewhere=True).without_domain("travel")
    once_travel = np.array([[0, 1, 9, 0]], dtype=np.float32)
    assert told(AXES[0], once_travel, mixture).argmax() == 0


def test_what_was_written_counts_beside_the_descriptions():
    """What lies along axis 5 was written about sports, what lies along 4 about none."""
    rows = [*np.tile(AXES[:3], (8, 1)), *np.tile(AXES[5], (8, 1)), *np.tile(AXES[4], (8, 1))]
    names = [*LABELS * 8, *["sports"] * 8, *[None] * 8]
    mixture = fitted(written=(names, np.array(rows)))
    assert told(AXES[5], UNSURE, mixture).argmax() == 1
    assert told(AXES[4], UNSURE, mixture).sum() < told(AXES[4], UNSURE).sum() - 0.1
    assert told(AXES[2], UNSURE, mixture).argmax() == 2


def test_longer_groups_are_told_with_more_certainty():
    lean = AXES[0] + 0.8 * AXES[1]
    scores = [told(lean, UNSURE, length=n * LENGTH)[0] for n in (1, 2, 4, 8)]
    assert scores == sorted(scores)
    assert scores[3] > scores[0]


@pytest.mark.parametrize("gone", [["news"], ["news", "sports"]])
def test_any_of_the_domains_may_go(gone):
    mixture = fitted(elsewhere=True)
    for label in gone:
        mixture = mixture.without_domain(label)
    scores = told(AXES[2], np.zeros((1, 4), dtype=np.float32), mixture)
    assert np.isfinite(scores).all()
    assert mixture.labels[scores.argmax()] == "travel"


def test_a_domain_of_ones_own_is_left_when_all_others_go():
    logits = np.zeros((4, 3), dtype=np.float32)
    mixture = MIXTURE.with_domain("art", "", AXES[4], np.tile(AXES[4], (4, 1)), logits)
    for label in LABELS:
        mixture = mixture.without_domain(label)
    scores = told(AXES[4], UNSURE, mixture)
    assert mixture.labels == ("art",)
    assert 0 < scores[0] <= 1


def test_another_topic_takes_what_it_is_like():
    scores = told(AXES[3], UNSURE)
    assert scores.sum() < 0.3
    assert told(AXES[1], UNSURE).sum() > 0.9


def test_scores_sum_to_at_most_one():
    x = RNG.normal(size=(50, 6)).astype(np.float32)
    z = 9 * RNG.normal(size=(50, 3)).astype(np.float32)
    scores = MIXTURE.predict(x, z, np.full(50, 60, dtype=np.float32))
    assert scores.shape == (50, 3)
    assert (scores >= 0).all()
    assert (scores.sum(1) <= 1 + 1e-5).all()


def test_a_text_of_nothing_has_scores():
    scores = told(np.zeros(6, dtype=np.float32), UNSURE)
    assert np.isfinite(scores).all()


def test_a_further_domain_is_a_mean_and_a_description():
    logits = np.tile([[0.0, 0.0, 0.0]], (4, 1)).astype(np.float32)
    embeddings = np.tile(AXES[4], (4, 1))
    more = MIXTURE.with_domain("art", "about art", AXES[4], embeddings, logits)
    assert more.labels == ("news", "sports", "travel", "art")
    assert told(AXES[4], UNSURE, more).argmax() == 3
    for k in range(3):
        assert told(AXES[k], UNSURE, more).argmax() == k
    assert MIXTURE.labels == ("news", "sports", "travel")


def test_a_further_domain_without_a_description():
    logits = np.zeros((4, 3), dtype=np.float32)
    more = MIXTURE.with_domain("art", "", None, np.tile(AXES[4], (4, 1)), logits)
    assert more.descriptions[3] == ""
    assert told(AXES[4], UNSURE, more).argmax() == 3


def test_a_domain_that_was_another_topic_takes_its_place():
    logits = np.zeros((4, 3), dtype=np.float32)
    more = MIXTURE.with_domain("legal", "law", AXES[3], np.tile(AXES[3], (4, 1)), logits)
    assert told(AXES[3], UNSURE).sum() < 0.2
    assert told(AXES[3], UNSURE, more).argmax() == 3
    assert told(AXES[3], UNSURE, more)[3] > 0.8
    back = more.without_domain("legal")
    assert np.array_equal(told(AXES[3], UNSURE, back), told(AXES[3], UNSURE))


def test_without_and_renamed():
    left = MIXTURE.without_domain("sports").renamed("travel", "trips")
    assert left.labels == ("news", "trips")
    assert left.descriptions == ("about news", "about travel")
    assert told(AXES[2], UNSURE, left).argmax() == 1


def test_what_was_added_can_be_taken_away():
    logits = np.zeros((4, 3), dtype=np.float32)
    more = MIXTURE.with_domain("art", "", AXES[4], np.tile(AXES[4], (4, 1)), logits)
    back = more.without_domain("art")
    assert back.labels == MIXTURE.labels
    assert np.array_equal(told(AXES[0], UNSURE, back), told(AXES[0], UNSURE))


SUBSETS = [subset for n in (1, 2, 3, 4) for subset in combinations([*LABELS, "sea", "law"], n)]


@pytest.mark.parametrize("kept", SUBSETS, ids="-".join)
@pytest.mark.filterwarnings("error")
def test_any_of_its_domains_may_be_all_that_are_left(kept):
    """Also where the bag was trained on none of them."""
    mixture = MIXTURE
    logits = np.array([[0, 3, 0]], dtype=np.float32)
    for label, axis in (("sea", 4), ("law", 3)):
        mixture = mixture.with_domain(label, f"about {label}", AXES[axis], AXES[[axis]], logits)
    for label in {*LABELS, "sea", "law"} - {*kept}:
        mixture = mixture.without_domain(label)
    axes = {"news": 0, "sports": 1, "travel": 2, "law": 3, "sea": 4}
    for i, label in enumerate(mixture.labels):
        scores = told(AXES[axes[label]], UNSURE, mixture)
        assert scores.shape == (len(kept),)
        assert np.isfinite(scores).all()
        assert scores.argmax() == i
        assert 0.5 < scores[i] <= scores.sum() <= 1 + 1e-6


def test_a_domain_without_groups_is_an_error():
    with pytest.raises(ConfigError, match="no text of 'art'"):
        fit_mixture(["art"], [], AXES, AXES, {}, {}, Weights())


def test_it_is_made_of_halves():
    """So that what is read is what was written."""
    for name, array in MIXTURE.tensors().items():
        assert np.array_equal(array.astype(np.float16).astype(np.float32), array), name
    assert replace(MIXTURE).texts()["descriptions"]["news"] == "about news"
