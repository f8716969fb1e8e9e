"""Section 1 of the design, sentence by sentence, on a pipeline that knows the toy language."""

import copy
import json
import random
import shutil
import subprocess
import sys
from importlib.metadata import distribution

import pytest
import spacy
from conftest import (
    FILLERS,
    LABELS,
    NAMES,
    assert_same_predictions,
    entities,
    fit,
    toy_doc,
    toy_text,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.cli.package import package
from spacy.tokens import Doc
from spacy.training import Example

from multibert_spacy.errors import (
    AdapterError,
    ConfigError,
    CoreError,
    DomainError,
    MultibertError,
)

TRAVEL = "هتل تبریز سفر سپاهان دریا"
SPORTS = "گل تبریز لیگ سپاهان بازی"
NEWS = "خبر ایران وزیر تبریز دولت"
PLACES = [("تبریز", "LOC"), ("سپاهان", "ORG")]
TEAMS = [("تبریز", "ORG"), ("سپاهان", "ORG")]
STATES = [("ایران", "POG"), ("تبریز", "LOC")]


def cats(doc):
    return pytest.approx(dict(doc.cats), abs=1e-4)


def stream(n, *, seed=0):
    """Texts of random domains and lengths."""
    rng = random.Random(seed)
    return [
        toy_text(rng.choice(sorted(NAMES)), n_words=rng.randint(1, 12), seed=i) for i in range(n)
    ]


def as_docs(nlp, texts, *, threads=None, domains=None):
    docs = [nlp.make_doc(text) for text in texts]
    for i, doc in enumerate(docs):
        doc._.thread = threads[i] if threads else None
        doc._.domain = domains[i] if domains else None
    return docs


# Distribution and pipeline


def test_distribution():
    metadata = distribution("multibert-spacy").metadata
    assert metadata["Name"] == "multibert-spacy"
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}


def test_factories_are_entry_points():
    found = {
        (entry.group, entry.name)
        for entry in distribution("multibert-spacy").entry_points
        if entry.group == "spacy_factories"
    }
    assert found == {
        ("spacy_factories", "frozen_transformer"),
        ("spacy_factories", "domain_detector"),
        ("spacy_factories", "multibert_ner"),
        ("spacy_factories", "multibert_tagger"),
        ("spacy_factories", "multibert_textcat"),
    }


def test_pipeline_order(trained):
    assert trained.pipe_names == ["transformer", "domain_detector", "multibert_ner"]
    assert [trained.get_pipe_meta(name).factory for name in trained.pipe_names] == [
        "frozen_transformer",
        "domain_detector",
        "multibert_ner",
    ]


def test_analysis_finds_no_problem(trained):
    analysis = trained.analyze_pipes()
    assert analysis["problems"] == {"transformer": [], "domain_detector": [], "multibert_ner": []}
    assigns = {"doc.cats", "doc._.domain", "doc._.domain_score"}
    assert set(analysis["summary"]["domain_detector"]["assigns"]) == assigns
    assert analysis["summary"]["multibert_ner"]["requires"] == ["doc._.domain"]
    assert {"doc.ents", "doc.spans"} <= set(analysis["summary"]["multibert_ner"]["assigns"])


def test_package_requires_the_distribution(trained_folder, tmp_path):
    package(trained_folder, tmp_path, create_sdist=False, create_wheel=False, silent=True)
    (meta,) = tmp_path.glob("*/meta.json")
    requirements = json.loads(meta.read_text(encoding="utf8"))["requirements"]
    assert any(line.startswith("multibert-spacy") for line in requirements), requirements


# What each component writes


def test_what_is_written(trained):
    doc = trained(TRAVEL)
    assert doc._.domain == "travel"
    assert set(doc.cats) == {"news", "sports", "travel"}
    assert max(doc.cats, key=doc.cats.get) == "travel"
    assert sum(doc.cats.values()) == pytest.approx(1, abs=1e-5)
    assert entities(doc) == PLACES
    spans = doc.spans["multibert_ner"]
    assert [(span.text, span.label_) for span in spans] == PLACES
    assert len(spans.attrs["scores"]) == 2
    assert all(0.8 < score <= 1 for score in spans.attrs["scores"])
    assert doc._.thread is None
    assert doc._.trf_data is None
    assert doc.tensor.size == 0


def test_each_domain_has_its_own_labels(trained):
    assert entities(trained(SPORTS)) == TEAMS
    assert entities(trained(NEWS)) == STATES


def test_scores_are_probabilities_in_the_order_of_ents(nlp):
    """Random adapters: many entities, and scores far from 1."""
    docs = list(nlp.pipe(stream(40)))
    assert sum(len(doc.ents) for doc in docs) > 40
    for doc in docs:
        spans, scores = doc.spans["multibert_ner"], doc.spans["multibert_ner"].attrs["scores"]
        assert [(s.start, s.end, s.label) for s in spans] == [
            (e.start, e.end, e.label) for e in doc.ents
        ]
        assert len(scores) == len(spans)
        assert all(0 < score <= 1 for score in scores)


def test_score_is_the_probability_of_its_own_entity(nlp):
    doc = nlp(TRAVEL)
    tagger = nlp.get_pipe("multibert_ner")
    (predicted,) = tagger.predict([doc])
    assert [(e.start, e.end, e.label) for e in predicted] == [
        (e.start, e.end, e.label_) for e in doc.ents
    ]
    assert [e.score for e in predicted] == pytest.approx(
        list(doc.spans["multibert_ner"].attrs["scores"]), abs=1e-6
    )


def test_norms_are_written(trained):
    doc = trained("كتابهاي سفر ۱۲")
    assert doc.text == "كتابهاي سفر ۱۲"
    assert [word.norm_ for word in doc] == ["کتابهای", "سفر", "12"]


# doc._.domain


def test_given_domain_wins(trained):
    assert trained(SPORTS)._.domain == "sports"
    doc = trained.make_doc(SPORTS)
    doc._.domain = "travel"
    doc = trained(doc)
    assert doc._.domain == "travel"
    assert doc.cats == {}
    assert ("تبریز", "LOC") in entities(doc)


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("thread", ["a", None])
def test_the_rest_of_a_group_is_detected_without_it(nlp, thread, position):
    others = [TRAVEL, NEWS]
    docs = as_docs(nlp, others, threads=[thread] * 2)
    alone = list(nlp.pipe(docs))

    given = as_docs(nlp, [SPORTS], threads=[thread], domains=["news"])
    mixed = as_docs(nlp, others, threads=[thread] * 2)
    mixed.insert(position, given[0])
    mixed = list(nlp.pipe(mixed))
    own = mixed.pop(position)

    assert own._.domain == "news"
    assert own.cats == {}
    assert_same_predictions(mixed, alone)


def test_a_group_of_given_domains_only(trained):
    docs = as_docs(trained, [SPORTS, TRAVEL], threads=["a", "a"], domains=["sports", "travel"])
    docs = list(trained.pipe(docs))
    assert [doc._.domain for doc in docs] == ["sports", "travel"]
    assert [entities(doc) for doc in docs] == [TEAMS, PLACES]
    assert all(doc.cats == {} for doc in docs)


# doc._.thread and groups


def grouped(docs):
    """Lengths of runs of docs with the same scores."""
    runs = [[docs[0]]]
    for doc in docs[1:]:
        if dict(doc.cats) == cats(runs[-1][0]):
            runs[-1].append(doc)
        else:
            runs.append([doc])
    return [len(run) for run in runs]


@pytest.mark.parametrize("thread", ["a", 0, False, ("x", 1), frozenset([1])])
def test_neighbours_with_the_same_key_are_one_group(nlp, thread):
    texts = stream(12)
    docs = list(nlp.pipe(as_docs(nlp, texts, threads=[thread] * 12)))
    assert grouped(docs) == [12]
    assert docs[0].cats == cats(nlp(" ".join(texts)))
    assert docs[0]._.thread == thread


def test_a_key_that_comes_back_is_another_group(nlp):
    threads = ["a", "a", "b", "a", None, None, "b", "b"]
    docs = list(nlp.pipe(as_docs(nlp, stream(8), threads=threads)))
    assert grouped(docs) == [2, 1, 1, 2, 2]


def test_without_keys_groups_have_the_default_size_of_8(nlp):
    assert nlp.get_pipe("domain_detector").group_size == 8
    texts = stream(19)
    docs = list(nlp.pipe(texts))
    assert grouped(docs) == [8, 8, 3]
    assert docs[8].cats == cats(nlp(" ".join(texts[8:16])))


def test_group_size_is_a_setting(trained_folder):
    nlp = spacy.load(trained_folder, config={"components.domain_detector.group_size": 3})
    assert grouped(list(nlp.pipe(stream(7)))) == [3, 3, 1]


def test_a_call_is_a_group_of_one(nlp):
    texts = [TRAVEL, SPORTS]
    alone = [nlp(text) for text in texts]
    assert grouped(alone) == [1, 1]
    doc = nlp.make_doc(SPORTS)
    doc._.thread = "a"
    assert nlp(doc).cats == cats(alone[1])


def test_a_group_gets_one_domain(trained):
    docs = list(trained.pipe([TRAVEL, TRAVEL, "تبریز", TRAVEL]))
    assert [doc._.domain for doc in docs] == ["travel"] * 4
    assert entities(docs[2]) == [("تبریز", "LOC")]
    docs = as_docs(trained, ["تبریز", SPORTS], threads=[1, 1])
    assert entities(next(iter(trained.pipe(docs)))) == [("تبریز", "ORG")]


def test_a_group_is_read_up_to_512_pieces(nlp):
    """Each word is one piece; with the two special ones, 510 words fit."""
    word = "،"

    def scores(n, last):
        thread = as_docs(nlp, [" ".join([word] * n), last], threads=["a", "a"])
        return dict(next(iter(nlp.pipe(thread))).cats)

    assert scores(510, "!") == pytest.approx(scores(510, "؟"), abs=1e-6)
    assert scores(509, "!") != pytest.approx(scores(509, "؟"), abs=1e-6)


# Contexts


def test_contexts_with_thread_and_domain(trained):
    pairs = [
        (TRAVEL, {"thread": 1}),
        ("تبریز", {"thread": 1, "id": 5}),
        ("سپاهان تبریز", {"thread": 2, "domain": "sports"}),
        (TRAVEL, {"thread": 2}),
        (TRAVEL, {"domain": "news"}),
    ]
    docs = [doc for doc, _ in trained.pipe(pairs, as_tuples=True)]
    assert [doc._.domain for doc in docs] == ["travel", "travel", "sports", "travel", "news"]
    assert [doc._.thread for doc in docs] == [1, 1, 2, 2, None]
    assert [bool(doc.cats) for doc in docs] == [True, True, False, True, False]
    assert entities(docs[1]) == [("تبریز", "LOC")]
    assert entities(docs[2]) == [("سپاهان", "ORG"), ("تبریز", "ORG")]


@pytest.mark.parametrize(
    "context",
    [
        None,
        0,
        7,
        "travel",
        ("thread", "a"),
        ["domain"],
        {},
        {"id": 1},
        {"domain": None, "thread": None},
        {"thread": "a", "domain": "news", "more": [1]},
    ],
)
def test_contexts_come_back_unchanged(trained, context):
    before = copy.deepcopy(context)
    ((doc, after),) = trained.pipe([(TRAVEL, context)], as_tuples=True)
    assert after is context
    assert context == before
    given = isinstance(context, dict) and context.get("domain")
    assert doc._.domain == ("news" if given else "travel")
    assert doc._.thread == ("a" if given else None)


def test_what_is_on_the_doc_goes_before_the_context(trained):
    doc = trained.make_doc(TRAVEL)
    doc._.domain = "sports"
    ((doc, _),) = trained.pipe([(doc, {"domain": "news"})], as_tuples=True)
    assert doc._.domain == "sports"


def test_contexts_without_dicts_do_not_change_the_result(nlp):
    texts = stream(10)
    docs = [doc for doc, _ in nlp.pipe(zip(texts, range(10), strict=True), as_tuples=True)]
    assert_same_predictions(docs, nlp.pipe(texts))


def test_texts_and_docs_alike(nlp):
    texts = stream(11)
    mixed = [nlp.make_doc(text) if i % 2 else text for i, text in enumerate(texts)]
    assert_same_predictions(nlp.pipe(mixed), nlp.pipe(texts))


# Independence of batches and neighbours


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_results_do_not_depend_on_batch_size(nlp, threads, given):
    rng = random.Random(1)
    texts = stream(45) + ["", "  "]
    rng.shuffle(texts)
    keys = [f"thread {i // rng.choice([2, 5, 11])}" if threads else None for i in range(47)]
    domains = [rng.choice(["news", None, None]) if given else None for _ in texts]

    def run(batch_size):
        docs = as_docs(nlp, texts, threads=keys, domains=domains)
        return list(nlp.pipe(docs, batch_size=batch_size))

    expected = run(1)
    assert len({doc._.domain for doc in expected}) > 1 or not given
    for batch_size in (3, 8, 64):
        assert_same_predictions(run(batch_size), expected)


def test_results_do_not_depend_on_neighbours(nlp):
    rng = random.Random(2)
    texts = stream(30)
    domains = [rng.choice(sorted(NAMES)) for _ in texts]
    expected = list(nlp.pipe(as_docs(nlp, texts, domains=domains)))
    order = list(range(30))
    for _ in range(3):
        rng.shuffle(order)
        docs = as_docs(nlp, [texts[i] for i in order], domains=[domains[i] for i in order])
        assert_same_predictions(nlp.pipe(docs), [expected[i] for i in order])


@pytest.mark.parametrize("batch_pieces", [1, 50])
def test_results_do_not_depend_on_batch_pieces(nlp, batch_pieces):
    texts = stream(20)
    expected = list(nlp.pipe(texts))
    nlp.get_pipe("multibert_ner").batch_pieces = batch_pieces
    nlp.get_pipe("domain_detector").model.batch_pieces = batch_pieces
    assert_same_predictions(nlp.pipe(texts), expected)


@pytest.mark.parametrize("batch_size", [8, 64])
def test_two_processes(nlp, batch_size):
    """Batches hold whole groups: spaCy sends each batch to one process as a stream of its own."""
    texts = stream(24)
    contexts = [{"thread": i // 4, "id": i} if i < 16 else {"domain": "news"} for i in range(24)]
    pairs = list(zip(texts, contexts, strict=True))
    one = list(nlp.pipe(pairs, as_tuples=True, batch_size=batch_size))
    two = list(nlp.pipe(pairs, as_tuples=True, batch_size=batch_size, n_process=2))
    assert [context for _, context in two] == contexts
    assert [doc._.thread for doc, _ in two] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [None] * 8
    assert [doc._.domain for doc, _ in two][16:] == ["news"] * 8
    assert_same_predictions([doc for doc, _ in two], [doc for doc, _ in one])


def test_two_processes_with_docs(nlp):
    texts = stream(8)
    expected = list(nlp.pipe(as_docs(nlp, texts, domains=["news", None] * 4)))
    docs = list(nlp.pipe(as_docs(nlp, texts, domains=["news", None] * 4), n_process=2))
    assert_same_predictions(docs, expected)


# Text and offsets


@pytest.fixture(scope="module")
def knowing(trained_folder):
    return spacy.load(trained_folder)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(
                ["تبریز", "كتاب", "\u200c", "\u064b\u064b", "ـــ", "https://t.co/x", "🙂", "\n\t "]
            ),
        ),
        max_size=12,
    ).map(" ".join)
)
def test_the_text_is_never_changed(knowing, text):
    nlp = knowing
    doc = nlp.make_doc(text)
    doc._.domain = "news"
    doc = nlp(doc)
    assert doc.text == text
    for ent in doc.ents:
        assert ent.text == text[ent.start_char : ent.end_char] != ""
    assert len(doc.spans["multibert_ner"].attrs["scores"]) == len(doc.ents)


def test_offsets_are_in_the_raw_text(trained):
    text = "  هتل\u200c   تبريز ،\u064b ســفر  "
    doc = trained.make_doc(text)
    doc._.domain = "travel"
    doc = trained(doc)
    (ent,) = doc.ents
    assert (ent.text, ent.label_) == ("تبريز", "LOC")
    assert text.index("تبريز") == ent.start_char
    assert doc.text == text


@pytest.mark.parametrize("text", ["", " ", "\n\n\t  ", "\u200c", "\u064b \u064b", "\u200f"])
def test_texts_of_nothing(trained, text):
    for doc in (trained(text), *trained.pipe([text])):
        assert doc.text == text
        assert doc.ents == ()
        assert (doc._.domain, doc._.domain_score) == (None, 0.0)  # there is no fallback
        assert sum(doc.cats.values()) == pytest.approx(1)
        assert list(doc.spans["multibert_ner"]) == []
        assert len(doc.spans["multibert_ner"].attrs["scores"]) == 0


def test_words_of_nothing_keep_their_place(trained):
    words = ["هتل", "\u064b\u064b", "تبریز", "\u200c", " ", "سپاهان", "\u0640"]
    doc = Doc(trained.vocab, words=words)
    doc._.domain = "travel"
    doc = trained(doc)
    assert [word.text for word in doc] == words
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == [(2, 3, "LOC"), (5, 6, "ORG")]


def test_neighbours_of_nothing(nlp):
    texts = stream(8)
    docs = list(nlp.pipe(texts[:4] + ["", " \n"] + texts[4:6]))
    assert grouped(docs) == [8]
    assert docs[0].cats == cats(nlp(" ".join(texts[:6])))


# Long docs


def test_long_docs_are_read_whole(trained):
    """2,000 words: a doc is learned by heart, and its last words are found."""
    rng = random.Random(3)
    words = [rng.choice(FILLERS["travel"]) for _ in range(2000)]
    tags = ["O"] * 2000
    places = [5, *sorted(rng.sample(range(20, 1900), 25)), 1998, 1999]
    for i in places:
        words[i], tags[i] = "تبریز", "B-LOC"
    reference = Doc(trained.vocab, words=words, ents=tags)
    tagger = trained.get_pipe("multibert_ner")
    tagger.train_only(["travel"], heads=False)

    def example(_):
        doc = Doc(trained.vocab, words=words)
        doc._.domain = "travel"
        return [Example(doc, reference)]

    with trained.select_pipes(disable="domain_detector"):
        fit(trained, example, steps=20, learn_rate=0.01)
        (eg,) = example(0)
        doc = trained(eg.predicted)
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == [
        (i, i + 1, "LOC") for i in places
    ]
    doc = trained(" ".join(words))
    assert len(doc) == 2000
    assert doc._.domain == "travel"
    assert [ent.start for ent in doc.ents][-2:] == [1998, 1999]


def test_every_part_of_a_long_doc_counts(nlp):
    """Exchanging the last word by another changes something near the end."""
    words = toy_text("news", n_words=1500).split()

    def tag(last):
        doc = Doc(nlp.vocab, words=[*words, last])
        doc._.domain = "news"
        scores = nlp(doc).spans["multibert_ner"]
        return [
            (s.start, s.label_, float(p))
            for s, p in zip(scores, scores.attrs["scores"], strict=True)
        ]

    a, b = tag("ایران"), tag("،")
    assert a[-3:] != b[-3:]
    early = [x for x in a if x[0] < 700]
    assert early == [x for x in b if x[0] < 700]


# Heads and labels


def test_domains_and_labels(trained):
    tagger = trained.get_pipe("multibert_ner")
    assert sorted(tagger.domains) == ["news", "sports", "travel"]
    assert sorted(tagger.labels) == ["LOC", "ORG", "POG"]
    assert list(tagger.labels_of("travel")) == LABELS["social"]
    assert list(tagger.labels_of("sports")) == LABELS["social"]
    assert list(tagger.labels_of("news")) == LABELS["formal"]


def test_the_two_components_name_the_same_domains(trained):
    detector = trained.get_pipe("domain_detector")
    assert sorted(detector.labels) == sorted(trained.get_pipe("multibert_ner").domains)


# Errors


@pytest.mark.parametrize("domain", ["sprots", "formal", 3])
def test_unknown_domain(trained, domain):
    doc = trained.make_doc(TRAVEL)
    doc._.domain = domain
    with pytest.raises(DomainError) as error:
        trained(doc)
    for part in (repr(domain), "multibert_ner", "news, sports, travel"):
        assert part in str(error.value)
    with pytest.raises(DomainError, match="news, sports, travel"):
        list(trained.pipe([(TRAVEL, {"domain": "sprots"})], as_tuples=True))
    with pytest.raises(DomainError, match="news, sports, travel"):
        trained.get_pipe("multibert_ner").labels_of(domain)


def test_no_domain_at_all(trained):
    with trained.select_pipes(disable="domain_detector"):
        with pytest.raises(DomainError, match="Unknown domain None.*news, sports, travel"):
            trained(TRAVEL)


def test_adapter_of_another_core(trained_folder, make_nlp, tmp_path):
    other = make_nlp(core="bert")
    folder = tmp_path / "mixed"
    other.to_disk(folder)
    for part in ("multibert_ner", "domain_detector"):
        mixed = tmp_path / part
        spacy.load(trained_folder).to_disk(mixed)
        shutil.rmtree(mixed / part)
        shutil.copytree(folder / part, mixed / part)
        with pytest.raises(AdapterError, match="another core") as error:
            spacy.load(mixed)
        assert str(mixed / part) in str(error.value)


FILES = [
    "multibert_ner/domains/news/adapter_model.safetensors",
    "multibert_ner/domains/news/adapter_config.json",
    "multibert_ner/domains/news/head.safetensors",
    "multibert_ner/domains/news/multibert.json",
    "multibert_ner/cfg",
    "domain_detector/adapter/adapter_model.safetensors",
    "domain_detector/adapter/head.safetensors",
    "domain_detector/adapter/multibert.json",
    "domain_detector/cfg",
    "transformer/model/model.safetensors",
    "transformer/model/config.json",
    "transformer/model/tokenizer.json",
    "transformer/model/multibert.json",
]


@pytest.mark.parametrize("where", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "empty"])
def test_missing_and_damaged_files(trained_folder, tmp_path, where, damage):
    folder = tmp_path / "damaged"
    shutil.copytree(trained_folder, folder)
    path = folder / where
    data = path.read_bytes()
    middle = len(data) // 2
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:middle])
    elif damage == "changed":
        path.write_bytes(data[:middle] + b"\x00\xff" + data[middle + 2 :])
    else:
        path.write_bytes(b"")
    with pytest.raises(MultibertError) as error:
        spacy.load(folder)
    assert path.name in str(error.value)
    assert str(path.parent) in str(error.value)


@pytest.mark.parametrize(
    "where", ["multibert_ner/domains", "domain_detector/adapter", "transformer/model"]
)
def test_missing_folders(trained_folder, tmp_path, where):
    folder = tmp_path / "damaged"
    shutil.copytree(trained_folder, folder)
    shutil.rmtree(folder / where)
    with pytest.raises(MultibertError) as error:
        spacy.load(folder)
    assert str(folder / where) in str(error.value)


# threshold and fallback_domain


def test_threshold(trained_folder):
    settings = {"threshold": 1.0, "fallback_domain": "news"}
    nlp = spacy.load(trained_folder, config={"components": {"domain_detector": settings}})
    doc = nlp(TRAVEL)
    assert doc._.domain == "news"
    assert max(doc.cats, key=doc.cats.get) == "travel"
    assert 0.5 < doc.cats["travel"] < 1
    assert entities(nlp("ایران")) == [("ایران", "POG")]
    assert [doc._.domain for doc in nlp.pipe([SPORTS, NEWS])] == ["news", "news"]


def test_threshold_is_for_the_best_score(trained_folder):
    settings = {"threshold": 0.5, "fallback_domain": "news"}
    nlp = spacy.load(trained_folder, config={"components": {"domain_detector": settings}})
    assert nlp(TRAVEL)._.domain == "travel"
    assert nlp("")._.domain == "news"  # a third for each


def test_threshold_survives_saving(trained_folder, tmp_path):
    settings = {"threshold": 1.0, "fallback_domain": "news"}
    nlp = spacy.load(trained_folder, config={"components": {"domain_detector": settings}})
    nlp.to_disk(tmp_path / "saved")
    assert spacy.load(tmp_path / "saved")(TRAVEL)._.domain == "news"


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"threshold": 0.3}, "fallback_domain"),
        ({"threshold": 1.5, "fallback_domain": "news"}, "1.5"),
        ({"threshold": -0.1, "fallback_domain": "news"}, "-0.1"),
        ({"group_size": 0}, "group_size"),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(ConfigError, match=words):
        spacy.blank("fa").add_pipe("domain_detector", config=settings)


def test_unknown_fallback_domain_is_an_error(trained_folder):
    settings = {"threshold": 1.0, "fallback_domain": "sprots"}
    with pytest.raises(DomainError, match="sprots.*news, sports, travel"):
        spacy.load(trained_folder, config={"components": {"domain_detector": settings}})


# No network, no pickle

GUARDED = """
import json, marshal, pickle, socket, sys, _pickle

def refuse(*args, **kwargs):
    raise RuntimeError("refused")

read_code = marshal.loads

def loads(*args):
    if sys._getframe(1).f_code.co_filename != "<frozen importlib._bootstrap_external>":
        refuse()
    return read_code(*args)

for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, refuse)
socket.create_connection = socket.getaddrinfo = refuse
import spacy, torch

class Refusing(pickle.Unpickler):
    __init__ = refuse

class RefusingToo(pickle._Unpickler):
    __init__ = refuse

for module in (pickle, _pickle):
    module.load = module.loads = refuse
    module.Unpickler = Refusing
pickle._load = pickle._loads = refuse
pickle._Unpickler = RefusingToo
marshal.load, marshal.loads, torch.load = refuse, loads, refuse
before = "multibert_spacy" in sys.modules
nlp = spacy.load(sys.argv[1])
doc = nlp(sys.argv[2])
rare = list(nlp.pipe(["سلاااام", doc.text]))
hazm = "hazm" in sys.modules
print(json.dumps([before, hazm, [[e.text, e.label_] for e in doc.ents]]))
"""


def test_no_network_and_no_pickle(trained_folder, tmp_path):
    folder = tmp_path / "elsewhere"
    shutil.copytree(trained_folder, folder)
    run = subprocess.run(
        [sys.executable, "-c", GUARDED, str(folder), TRAVEL],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    before, hazm, found = json.loads(run.stdout.splitlines()[-1])
    assert before is False  # spaCy alone finds the factories
    assert hazm is False  # its dictionary is read, not its code
    assert [tuple(pair) for pair in found] == PLACES


def test_no_pickle_among_the_files(trained_folder):
    names = {path.name for path in trained_folder.rglob("*") if path.is_file()}
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".bin", ".pt"))} - {
        "lookups.bin"
    }
    ours = [p for p in trained_folder.rglob("*") if p.is_file() and "vocab" not in p.parts]
    kinds = {path.suffix for path in ours if path.parent != trained_folder}
    assert kinds <= {".safetensors", ".json", ".txt", ""}


# select_pipes, exclude, source


def test_select_pipes(trained):
    with trained.select_pipes(enable=["transformer", "multibert_ner"]):
        doc = trained.make_doc(SPORTS)
        doc._.domain = "sports"
        doc = trained(doc)
        assert doc.cats == {}
        assert entities(doc) == TEAMS
    with trained.select_pipes(disable=["multibert_ner"]):
        doc = trained(SPORTS)
        assert doc._.domain == "sports"
        assert doc.ents == ()
        assert "multibert_ner" not in doc.spans
    with trained.select_pipes(disable=["transformer"]):
        assert entities(trained(SPORTS)) == TEAMS
    assert entities(trained(SPORTS)) == TEAMS


@pytest.mark.parametrize("how", ["exclude", "disable"])
def test_load_without_the_detector(trained_folder, how):
    nlp = spacy.load(
        trained_folder,
        **{how: ["domain_detector"]},
        config={"components.multibert_ner.default_domain": "sports"},
    )
    assert nlp.pipe_names == ["transformer", "multibert_ner"]
    doc = nlp(SPORTS)
    assert doc.cats == {}
    assert doc._.domain is None
    assert entities(doc) == TEAMS


def test_load_without_the_tagger(trained_folder):
    nlp = spacy.load(trained_folder, exclude=["multibert_ner"])
    doc = nlp(SPORTS)
    assert doc._.domain == "sports"
    assert doc.ents == ()


def test_load_without_the_core(trained_folder):
    with pytest.raises(CoreError, match="frozen_transformer"):
        spacy.load(trained_folder, exclude=["transformer"])
    nlp = spacy.load(trained_folder, exclude=["transformer", "domain_detector", "multibert_ner"])
    assert nlp(TRAVEL).ents == ()


def test_load_with_the_core_disabled(trained_folder):
    nlp = spacy.load(trained_folder, disable=["transformer"])
    assert nlp.pipe_names == ["domain_detector", "multibert_ner"]
    assert entities(nlp(TRAVEL)) == PLACES


def test_bytes_of_a_pipeline(trained):
    other = spacy.util.load_model_from_config(trained.config, auto_fill=True)
    other.from_bytes(trained.to_bytes())
    texts = stream(10)
    assert_same_predictions(other.pipe(texts), trained.pipe(texts))


def test_toy_docs_are_tagged_as_they_should_be(trained):
    rng = random.Random(9)
    for domain in NAMES:
        for _ in range(5):
            reference = toy_doc(trained, domain, rng)
            doc = Doc(trained.vocab, words=[word.text for word in reference])
            doc._.domain = domain
            assert entities(trained(doc)) == entities(reference)
