"""Scores by label and by domain, on hand-written docs."""

import pytest
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry
from spacy.vocab import Vocab

from multibert_spacy.training.scorers import score_domains, score_ner

VOCAB = Vocab()


def example(predicted, gold, domain=None):
    words = ["w"] * len(predicted)
    reference = Doc(VOCAB, words=words, ents=gold)
    reference._.domain = domain
    return Example(Doc(VOCAB, words=words, ents=predicted), reference)


EXAMPLES = [
    # one right, one with the wrong label
    example(["B-PER", "O", "B-LOC"], ["B-PER", "O", "B-ORG"], "news"),
    # right
    example(["B-LOC", "I-LOC"], ["B-LOC", "I-LOC"], "news"),
    # a span too short, a span missed
    example(["B-LOC", "O", "O"], ["B-LOC", "I-LOC", "B-PER"], "travel"),
    # no domain: counts for the whole only
    example(["O", "B-PER"], ["O", "O"], None),
]


def test_ner_by_hand():
    """Right: PER, LOC. Wrong: LOC, LOC, PER. Missed: ORG, LOC, PER."""
    scores = score_ner(EXAMPLES)
    assert scores["ents_p"] == pytest.approx(2 / 5)
    assert scores["ents_r"] == pytest.approx(2 / 5)
    assert scores["ents_f"] == pytest.approx(2 / 5)
    assert scores["ents_per_type"] == {
        "PER": {"p": pytest.approx(1 / 2), "r": pytest.approx(1 / 2), "f": pytest.approx(1 / 2)},
        "LOC": {"p": pytest.approx(1 / 3), "r": pytest.approx(1 / 2), "f": pytest.approx(0.4)},
        "ORG": {"p": 0.0, "r": 0.0, "f": 0.0},
    }
    assert sorted(scores["ents_per_domain"]) == ["news", "travel"]
    news, travel = scores["ents_per_domain"]["news"], scores["ents_per_domain"]["travel"]
    assert (news["p"], news["r"], news["f"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (travel["p"], travel["r"], travel["f"]) == (0.0, 0.0, 0.0)
    assert sorted(news["per_type"]) == ["LOC", "ORG", "PER"]
    assert sorted(news) == ["f", "p", "per_type", "r", "used"]
    assert scores["ents_macro_f"] == pytest.approx(1 / 3)


def test_ner_all_right():
    scores = score_ner([EXAMPLES[1]])
    assert (scores["ents_p"], scores["ents_r"], scores["ents_f"]) == (1.0, 1.0, 1.0)
    assert scores["ents_macro_f"] == 1.0


@pytest.mark.parametrize("examples", [[], [None]])
def test_ner_of_nothing(examples):
    if examples:
        doc = Doc(VOCAB, words=["a"])
        doc._.domain = "news"
        examples = [Example(Doc(VOCAB, words=["a"], ents=["B-PER"]), doc)]
    scores = score_ner(examples)
    for name in ("ents_p", "ents_r", "ents_f", "ents_per_type", "ents_macro_f"):
        assert scores[name] is None
    if examples:
        assert scores["ents_per_domain"] == {
            "news": {"p": None, "r": None, "f": None, "per_type": None, "used": {"None": 1}}
        }
    else:
        assert scores["ents_per_domain"] is None


def test_a_domain_without_annotation_does_not_count_in_the_mean():
    blank = Example(Doc(VOCAB, words=["a"]), Doc(VOCAB, words=["a"]))
    blank.reference._.domain = "sports"
    scores = score_ner([EXAMPLES[1], blank])
    assert scores["ents_macro_f"] == 1.0
    assert scores["ents_per_domain"]["sports"]["f"] is None


def test_docs_without_domains():
    scores = score_ner([EXAMPLES[3]])
    assert scores["ents_f"] == 0.0
    assert scores["ents_per_domain"] is None
    assert scores["ents_macro_f"] is None


def test_examples_may_be_an_iterator():
    assert score_ner(iter(EXAMPLES)) == score_ner(EXAMPLES)
    assert score_domains(iter([vote("a", cats={"a": 1.0})]))["domain_acc"] == 1.0


def test_scorers_are_registered():
    assert registry.scorers.get("multibert_spacy.domain_ner_scorer.v1")() is score_ner
    assert registry.scorers.get("multibert_spacy.domain_scorer.v1")() is score_domains


# Domains


def vote(predicted, *, cats=None, domain=None):
    eg = Example(Doc(VOCAB, words=["a"]), Doc(VOCAB, words=["a"]))
    eg.predicted._.domain = predicted
    eg.reference.cats = cats or {}
    eg.reference._.domain = domain
    return eg


def test_domains_by_hand():
    scores = score_domains(
        [
            vote("news", cats={"news": 1.0, "travel": 0.0}),
            vote("news", cats={"news": 0.0, "travel": 1.0}),
            vote("travel", domain="travel"),
            vote(None, domain="news"),
            vote("news"),  # no truth
        ]
    )
    assert scores["domain_acc"] == 0.5
    assert scores["domain_per_type"] == {
        "None": {"p": 0.0, "r": 0.0, "f": 0.0},
        "news": {"p": 0.5, "r": 0.5, "f": 0.5},
        "travel": {"p": 1.0, "r": 0.5, "f": pytest.approx(2 / 3)},
    }


def test_the_truth_in_cats_goes_before_the_domain():
    assert score_domains([vote("a", cats={"a": 1.0, "b": 0.0}, domain="b")])["domain_acc"] == 1.0


@pytest.mark.parametrize("examples", [[], [vote("news")]])
def test_no_truth(examples):
    assert score_domains(examples) == {"domain_acc": None, "domain_per_type": None}


OWN = {"news", "travel"}


def test_a_domain_is_what_the_detector_has_labels_for():
    """Other categories of a text are others', be they true or not."""
    votes = [
        vote("news", cats={"angry": 1.0, "news": 1.0, "travel": 0.0}),
        vote("news", cats={"angry": 1.0}, domain="travel"),
        vote("news", cats={"angry": 1.0}),
        vote("news", cats={"news": 0.0, "travel": 0.0}, domain="news"),
    ]
    scores = score_domains(votes, labels=OWN)
    assert scores["domain_acc"] == pytest.approx(2 / 3)
    assert set(scores) == {"domain_acc", "domain_per_type"}


def test_what_spacy_prints_of_a_classifier():
    scores = score_domains([vote("news", domain="news"), vote("news", domain="travel")], labels=OWN)
    assert (scores["cats_score"], scores["cats_score_desc"]) == (0.5, "domain_acc")
    assert scores["cats_f_per_type"] == scores["domain_per_type"]
    eg = vote("news", domain="news")
    eg.predicted.cats = {"angry": 0.3, "news": 1.0}
    assert "cats_score" not in score_domains([eg], labels=OWN)
    assert "cats_score" not in score_domains([vote("news")], labels=OWN)


def test_which_domain_was_used():
    examples = [example(["O"], ["B-PER"], "news") for _ in range(4)]
    for eg, used in zip(examples, ["sports", "sports", "news", None], strict=True):
        eg.predicted._.domain = used
    scores = score_ner(examples, default_domain="travel")
    used = scores["ents_per_domain"]["news"]["used"]
    assert used == {"sports": 2, "news": 1, "travel": 1}
    assert list(used)[0] == "sports"
