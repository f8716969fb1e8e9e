"""Streams: what is given and what is detected, what goes wrong alone, how many docs are held."""

import datetime
import itertools
import uuid

import pytest
import spacy
from conftest import NAMES, assert_same_predictions, entities, toy_text
from spacy.tokens import Doc, DocBin

from multibert_spacy.errors import ConfigError, DomainError

TRAVEL, SPORTS, NEWS = "هتل سفر دریا", "گل لیگ بازی", "خبر وزیر دولت"
WEAK = "تبریز"
NOTHING = ["", " ", "\n\t", "\u200c\u200f", "\u064b"]


@pytest.fixture(scope="module")
def knowing(trained_folder):
    """A trained pipeline with a fallback."""
    settings = {"components.domain_detector.fallback_domain": "news"}
    return spacy.load(trained_folder, config=settings)


@pytest.fixture(autouse=True)
def _default_handler(request):
    yield
    if "knowing" in request.fixturenames:
        request.getfixturevalue("knowing").set_error_handler(spacy.util.raise_error)


def piped(nlp, docs, **settings):
    return list(nlp.pipe(docs, **settings))


# What is detected comes again


def in_a_docbin(nlp, docs):
    data = DocBin(store_user_data=True, docs=docs).to_bytes()
    return list(DocBin().from_bytes(data).get_docs(nlp.vocab))


def in_bytes(nlp, docs):
    return [Doc(nlp.vocab).from_bytes(doc.to_bytes()) for doc in docs]


@pytest.mark.parametrize("trip", [lambda nlp, docs: docs, in_a_docbin, in_bytes])
def test_docs_that_come_again_with_their_thread(knowing, trip):
    docs = [knowing(text) for text in (SPORTS, NEWS, SPORTS)]
    assert [doc._.domain for doc in docs] == ["sports", "news", "sports"]
    docs = trip(knowing, docs)
    for doc in docs:
        doc._.thread = "a"
    docs = piped(knowing, docs)
    assert [doc._.domain for doc in docs] == ["sports"] * 3
    assert len({doc._.domain_score for doc in docs}) == 1
    assert docs[0].cats == docs[1].cats


def test_docs_that_come_again_as_tuples(knowing):
    docs = [knowing(text) for text in (SPORTS, NEWS, SPORTS)]
    pairs = [(doc, {"thread": 7}) for doc in docs]
    docs = [doc for doc, _ in knowing.pipe(pairs, as_tuples=True)]
    assert [doc._.domain for doc in docs] == ["sports"] * 3
    pairs = [(doc, {"domain": "travel"}) for doc in docs]
    docs = [doc for doc, _ in knowing.pipe(pairs, as_tuples=True)]
    assert [(doc._.domain, doc._.domain_score) for doc in docs] == [("travel", None)] * 3


def test_a_domain_that_is_assigned_between_wins(knowing):
    doc = knowing(SPORTS)
    doc._.domain = "travel"
    before = dict(doc.cats)
    doc = knowing(doc)
    assert (doc._.domain, doc._.domain_score) == ("travel", None)
    assert doc.cats == before
    assert entities(knowing(WEAK)) == entities(knowing(WEAK))


# Scores and nothing


def test_the_score_of_a_domain(knowing):
    doc = knowing(TRAVEL)
    assert doc._.domain_score == pytest.approx(max(doc.cats.values()))
    assert 0.5 < doc._.domain_score <= 1
    assert knowing.make_doc(TRAVEL)._.domain_score is None


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_has_the_fallback(knowing, text):
    for doc in (knowing(text), *piped(knowing, [text] * 2)):
        assert (doc._.domain, doc._.domain_score) == ("news", 0.0)
        assert doc.cats == pytest.approx(dict.fromkeys(NAMES, 1 / 3))
        assert doc.ents == ()


def test_nothing_without_a_fallback_is_no_error(trained):
    docs = piped(trained, [*NOTHING, *(" " for _ in range(3)), SPORTS])
    assert [doc._.domain for doc in docs] == [None] * 8 + ["sports"]
    assert [doc._.domain_score for doc in docs[:8]] == [0.0] * 8
    assert all(doc.ents == () for doc in docs[:8])
    doc = trained.make_doc("")
    doc._.domain = "nope"
    with pytest.raises(DomainError, match="nope"):
        trained(doc)


def test_nothing_beside_something_belongs_to_its_group(knowing):
    docs = piped(knowing, ["", SPORTS, " "])
    assert [doc._.domain for doc in docs] == ["sports"] * 3


def test_other_cats_stay(knowing):
    doc = knowing.make_doc(SPORTS)
    doc.cats = {"angry": 0.25, "news": 9.0}
    doc = knowing(doc)
    assert doc.cats.pop("angry") == 0.25
    assert set(doc.cats) == set(NAMES)
    assert sum(doc.cats.values()) == pytest.approx(1)


# Threads of any kind


@pytest.mark.parametrize("nothing", [float("nan"), "", None])
def test_what_is_not_given(knowing, nothing):
    contexts = [{"thread": nothing, "domain": nothing} for _ in range(2)]
    pairs = list(zip([TRAVEL, SPORTS], contexts, strict=True))
    docs = [doc for doc, _ in knowing.pipe(pairs, as_tuples=True)]
    expected = piped(knowing, [TRAVEL, SPORTS])
    assert_same_predictions(docs, expected)
    assert docs[0]._.thread is None


class Key:
    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return self.number == other.number

    def __hash__(self):
        return self.number

    def __repr__(self):
        return f"Key {self.number}"


@pytest.mark.parametrize(
    "make",
    [lambda n: datetime.date(2026, 1, 1 + n), lambda n: (uuid.UUID(int=n), "x"), Key],
    ids=["date", "tuple", "own"],
)
def test_threads_that_msgpack_cannot_hold(knowing, make):
    texts = [TRAVEL, TRAVEL, WEAK, SPORTS, SPORTS, WEAK]
    keys = [make(i // 3) for i in range(6)]
    pairs = [(text, {"thread": key}) for text, key in zip(texts, keys, strict=True)]
    one = [doc for doc, _ in knowing.pipe(pairs, as_tuples=True)]
    two = [doc for doc, _ in knowing.pipe(pairs, as_tuples=True, n_process=2, batch_size=3)]
    assert [doc._.domain for doc in one] == ["travel"] * 3 + ["sports"] * 3
    assert [doc._.thread for doc in one] == keys
    assert_same_predictions(two, one)
    again = piped(knowing, two)
    assert_same_predictions(again, one)


def test_a_thread_that_is_no_key_costs_its_text(knowing):
    pairs = [(TRAVEL, {"thread": "a"}), (SPORTS, {"thread": [1]}), (WEAK, {"thread": "a"})]
    with pytest.raises(ConfigError, match=r"must be hashable, got \[1\]"):
        list(knowing.pipe(pairs, as_tuples=True))
    seen = []
    knowing.set_error_handler(lambda name, proc, docs, e: seen.append((name, len(docs), e)))
    docs = [doc for doc, _ in knowing.pipe(pairs, as_tuples=True)]
    assert [(doc.text, doc._.domain) for doc in docs] == [(TRAVEL, "travel"), (WEAK, "travel")]
    ((name, number, error),) = seen
    assert (name, number, type(error)) == ("domain_detector", 1, ConfigError)


# A text that fails


@pytest.mark.parametrize("n_process, batch_size", [(1, 1), (1, 4), (1, 64), (2, 16), (2, 64)])
def test_an_unknown_domain_costs_its_text(knowing, n_process, batch_size):
    texts = [toy_text(name, seed=i) for i in range(5) for name in sorted(NAMES)]
    contexts = [{"thread": i // 5, "id": i} for i in range(15)]
    pairs = list(zip(texts, contexts, strict=True))
    expected = list(knowing.pipe(pairs, as_tuples=True))
    pairs[7:7] = [(WEAK, {"thread": 1, "domain": "sprots", "id": -1})]
    pairs.append((WEAK, {"domain": 3, "id": -2}))
    settings = {"as_tuples": True, "n_process": n_process, "batch_size": batch_size}
    with pytest.raises(DomainError if n_process == 1 else ValueError, match="'sprots'"):
        list(knowing.pipe(pairs, **settings))
    seen = []
    knowing.set_error_handler(lambda *args: seen.append([doc.text for doc in args[2]]))
    got = list(knowing.pipe(pairs, **settings))
    assert [context["id"] for _, context in got] == list(range(15))
    assert_same_predictions([doc for doc, _ in got], [doc for doc, _ in expected])
    assert seen == ([[WEAK], [WEAK]] if n_process == 1 else [])


def test_one_unknown_domain_costs_no_other_doc_its_batch(knowing, monkeypatch):
    tagger, sizes = knowing.get_pipe("multibert_ner"), []
    predict = tagger.predict
    monkeypatch.setattr(tagger, "predict", lambda docs: sizes.append(len(docs)) or predict(docs))
    knowing.set_error_handler(lambda *args: None)
    pairs = [(WEAK, {"domain": "nope" if i == 3 else "news"}) for i in range(8)]
    assert len(list(knowing.pipe(pairs, as_tuples=True))) == 7
    assert sizes == [8, 7]  # the first ends before the network is run


# How many docs are held


@pytest.fixture
def counting(knowing, monkeypatch):
    """The pipeline without its networks."""
    detector, tagger = knowing.get_pipe("domain_detector"), knowing.get_pipe("multibert_ner")
    row = detector.predict([knowing.make_doc(SPORTS)])
    monkeypatch.setattr(detector, "predict", lambda docs: row.repeat(len(docs), axis=0))
    monkeypatch.setattr(tagger, "predict", lambda docs: [[] for _ in docs])

    def run(keys, batch_size, n_results=None):
        taken, held = [], []

        def stream():
            for key in keys:
                taken.append(key)
                yield WEAK, {"thread": key}

        results = knowing.pipe(stream(), as_tuples=True, batch_size=batch_size)
        for i, _ in enumerate(itertools.islice(results, n_results)):
            held.append(len(taken) - i)
        return held

    return run


@pytest.mark.parametrize("batch_size", [1, 3, 8, 20, 64])
def test_batch_size_governs_how_many_are_held(counting, batch_size):
    """That many docs and what is missing to whole groups of eight."""
    held = counting([None] * 200, batch_size)
    assert len(held) == 200
    assert held[0] == -(-batch_size // 8) * 8
    assert max(held) <= batch_size + 7


@pytest.mark.parametrize("batch_size", [1, 3, 8, 20, 64])
@pytest.mark.parametrize("size", [1, 2, 5, 30])
def test_threads_are_held_as_long_as_they_are_open(counting, batch_size, size):
    """The doc behind a thread is needed, to see that it has ended."""
    held = counting([i // size for i in range(200)], batch_size)
    assert len(held) == 200
    assert held[0] <= batch_size + size
    assert max(held) <= batch_size + size


def test_a_dropped_doc_leaves_the_bound(counting, knowing):
    dropped = []
    knowing.set_error_handler(lambda *args: dropped.append(args))
    keys = [[1] if i % 11 == 3 else None for i in range(400)]
    held = counting(keys, 20)
    assert len(held) == 400 - len(dropped) == 363
    assert max(n - i // 10 for i, n in enumerate(held)) <= 20 + 7 + 3


# Threads without an end


def test_an_endless_thread(counting):
    held = counting(itertools.repeat("a"), 8, n_results=3000)
    assert held[0] == 1000
    assert max(held) == 1000
    assert held[-1] <= 8


@pytest.mark.parametrize("batch_size", [1, 2, 7, 64])
def test_the_first_docs_of_a_thread_decide(trained_folder, batch_size):
    nlp = spacy.load(trained_folder, config={"components.domain_detector.max_thread": 3})
    texts = [SPORTS, SPORTS, WEAK, *[NEWS] * 4, *[TRAVEL] * 2]
    keys = ["a"] * 7 + ["b"] * 2
    pairs = [(text, {"thread": key}) for text, key in zip(texts, keys, strict=True)]
    pairs[5] = (NEWS, {"thread": "a", "domain": "news"})
    docs = [doc for doc, _ in nlp.pipe(pairs, as_tuples=True, batch_size=batch_size)]
    domains = ["sports"] * 5 + ["news"] + ["sports"] + ["travel"] * 2
    assert [doc._.domain for doc in docs] == domains
    assert docs[6]._.domain_score == docs[0]._.domain_score
    assert docs[6].cats == docs[0].cats
    assert docs[5]._.domain_score is None


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_where_the_first_docs_say_nothing_the_next_one_decides(trained_folder, batch_size):
    nlp = spacy.load(trained_folder, config={"components.domain_detector.max_thread": 2})
    texts = ["", " ", "", SPORTS, NEWS]
    pairs = [(text, {"thread": "a"}) for text in texts]
    docs = [doc for doc, _ in nlp.pipe(pairs, as_tuples=True, batch_size=batch_size)]
    assert [doc._.domain for doc in docs] == [None] * 3 + ["sports"] * 2


def test_max_thread_is_checked():
    with pytest.raises(ConfigError, match="max_thread must be at least 1, got 0"):
        spacy.blank("fa").add_pipe("domain_detector", config={"max_thread": 0})
