"""Scores, intervals, groups and reports, on docs and pipelines made by hand."""

import json
import random
import sys

import pytest
import spacy
from conftest import HEADS, NAMES, toy_doc
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.vocab import Vocab
from typer.testing import CliRunner

from multibert_spacy.errors import ConfigError
from multibert_spacy.pipeline.domain_detector import join_docs
from multibert_spacy.training.corpus import mask_words
from multibert_spacy.training.scorers import score_ner
from scripts.build import evaluate as script
from scripts.build.evaluate import app, evaluate, evaluate_single
from scripts.build.scoring.detection import (
    detect_with,
    make_groups,
    predicted_docs,
    score_detector,
    thread_groups,
)
from scripts.build.scoring.entities import count_spans, score_entities
from scripts.record import build_header, plain_path, save

VOCAB = Vocab()


class StubTagger:
    """Every تبریز is what its domain says; of a domain it does not know, nothing is found."""

    def __init__(self, default_domain=None):
        self.cfg = {"default_domain": default_domain}

    def __call__(self, doc):
        label = NAMES.get(doc._.domain or self.cfg["default_domain"], {}).get("تبریز")
        found = [word.i for word in doc if label and word.text == "تبریز"]
        doc.set_ents([Span(doc, i, i + 1, label=label) for i in found])
        return doc


class StubDetector:
    """A group that holds گل is sports, one that holds خبر is news, every other one is travel."""

    def __call__(self, doc):
        return next(self.pipe([doc]))

    def pipe(self, stream, batch_size=1):
        docs = list(stream)
        groups = {}
        for doc in docs:
            groups.setdefault(doc._.thread, []).append(doc)
        for group in groups.values():
            words = {word.text for doc in group for word in doc}
            found = "sports" if "گل" in words else "news" if "خبر" in words else "travel"
            for doc in group:
                doc._.domain = doc._.domain or found
        yield from docs


@Language.factory("stub_tagger", default_config={"default_domain": None})
def make_stub_tagger(nlp, name, default_domain):
    return StubTagger(default_domain)


@Language.factory("stub_detector")
def make_stub_detector(nlp, name):
    return StubDetector()


def stub_nlp(*, tagger=True, detector=True, default_domain=None):
    nlp = spacy.blank("fa")
    if detector:
        nlp.add_pipe("stub_detector", name="domain_detector")
    if tagger:
        config = {"default_domain": default_domain}
        nlp.add_pipe("stub_tagger", name="multibert_ner", config=config)
    return nlp


def gold(text, domain="travel", ents=None, thread=None, vocab=VOCAB):
    """`word/LABEL` is an entity of one word."""
    words, tags = [], []
    for word in text.split():
        name, _, label = word.rpartition("/")
        is_entity = bool(name) and label in ("LOC", "ORG", "POG")
        words.append(name if is_entity else word)
        tags.append(f"B-{label}" if is_entity else "O")
    spaces = [True] * (len(words) - 1) + [False] * bool(words)
    doc = Doc(vocab, words=words, spaces=spaces, ents=tags)
    doc._.domain, doc._.thread = domain, thread
    return doc


def example(text, found, domain="travel"):
    """Gold and prediction, each as in `gold`."""
    return Example(gold(found, None), gold(text, domain))


# Scores and intervals


def approx(scores):
    """Of numbers and of lists of them."""
    return {key: pytest.approx(value) for key, value in scores.items()}


def test_one_doc_has_an_interval_of_one_point():
    report = score_entities([example("تبریز/LOC و ایران/LOC", "تبریز/LOC و ایران")])
    expected = {"p": 1.0, "r": 0.5, "f": 2 / 3, "f_interval": [2 / 3, 2 / 3]}
    counts = {"n_docs": 1, "n_entities": 2}
    assert report["micro"] == approx({**expected, **counts})
    assert report["per_type"] == {"LOC": approx(expected)}
    assert report["per_domain"]["travel"]["per_type"] == {"LOC": approx(expected)}
    assert report["macro"] == approx({key: expected[key] for key in ("f", "f_interval")})


def test_interval_of_docs_that_are_all_right():
    examples = [example("تبریز/LOC", "تبریز/LOC") for _ in range(20)]
    assert score_entities(examples)["micro"]["f_interval"] == [1.0, 1.0]


def test_interval_of_one_right_and_one_missed():
    # Drawn twice the right one: 1; drawn twice the other: 0, each in a quarter of the resamples.
    examples = [example("تبریز/LOC", "تبریز/LOC"), example("ایران/LOC", "ایران")]
    report = score_entities(examples)
    assert report["micro"]["f"] == pytest.approx(2 / 3)
    assert report["micro"]["f_interval"] == [0.0, 1.0]


def test_interval_comes_near_the_binomial_one():
    # Each doc is one right or one missed entity: recall is a binomial share, F its function.
    examples = [example("تبریز/LOC", "تبریز/LOC" if i % 2 else "تبریز") for i in range(400)]
    low, high = score_entities(examples)["micro"]["f_interval"]
    assert low == pytest.approx(2 * 0.451 / 1.451, abs=0.01)
    assert high == pytest.approx(2 * 0.549 / 1.549, abs=0.01)


def test_macro_is_resampled_within_each_domain():
    examples = [example("تبریز/LOC", "تبریز/LOC")] * 3 + [example("گل/ORG", "گل/LOC", "sports")]
    report = score_entities(examples)
    assert report["macro"] == {"f": 0.5, "f_interval": [0.5, 0.5]}
    assert report["micro"]["f"] == pytest.approx(0.75)
    assert report["per_domain"]["travel"]["f_interval"] == [1.0, 1.0]
    assert report["per_domain"]["sports"]["f_interval"] == [0.0, 0.0]
    assert report["per_domain"]["sports"]["per_type"].keys() == {"LOC", "ORG"}
    assert report["per_domain"]["travel"]["per_type"].keys() == {"LOC"}


def test_domains_of_one_size_are_resampled_apart():
    # Were they drawn alike, the two would always make up for each other: [0.75, 0.75].
    examples = []
    for domain, first in (("travel", 0), ("sports", 1)):
        for i in range(10):
            right = i % 2 == first
            examples.append(example("تبریز/LOC", "تبریز/LOC" if right else "تبریز", domain))
    low, high = score_entities(examples)["macro"]["f_interval"]
    assert low < 0.6 < 0.7 < high


def test_nothing_annotated_nothing_found():
    report = score_entities([example("گل", "گل")])
    nothing = {"p": None, "r": None, "f": None, "f_interval": None}
    assert report["micro"] == {"n_docs": 1, "n_entities": 0, **nothing}
    assert report["per_type"] == {}
    assert report["macro"] == {"f": None, "f_interval": None}
    assert score_entities([])["macro"] == {"f": None, "f_interval": None}


def test_a_domain_without_entities_is_no_part_of_the_macro():
    examples = [example("تبریز/LOC", "تبریز/LOC"), example("گل", "گل", "sports")]
    report = score_entities(examples)
    assert report["macro"] == {"f": 1.0, "f_interval": [1.0, 1.0]}
    assert report["per_domain"]["sports"]["f"] is None


def test_counts_are_those_of_the_scorer():
    rng = random.Random(0)
    examples = []
    for _ in range(50):
        pair = [Doc(VOCAB, words=["تبریز"] * 6, ents=_random_tags(rng)) for _ in range(2)]
        pair[1]._.domain = rng.choice(["travel", "sports"])
        examples.append(Example(*pair))
    scores, labels = score_ner(examples), ["LOC", "ORG"]
    tp, fp, fn = count_spans(examples, labels).sum(axis=(0, 1))
    assert scores["ents_p"] == pytest.approx(tp / (tp + fp))
    assert scores["ents_r"] == pytest.approx(tp / (tp + fn))
    for label, (tp, fp, fn) in zip(labels, count_spans(examples, labels).sum(axis=0), strict=True):
        assert scores["ents_per_type"][label]["f"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    report = score_entities(examples, seed=1)
    assert report == score_entities(examples, seed=1)
    assert report["micro"]["f_interval"] != score_entities(examples, seed=2)["micro"]["f_interval"]
    assert report["micro"]["f"] == scores["ents_f"]
    low, high = report["micro"]["f_interval"]
    assert 0 < low < report["micro"]["f"] < high < 1


def _random_tags(rng):
    tags = ["O"] * 6
    for start in (0, 2, 4):
        if rng.random() < 0.7:
            label = rng.choice(["LOC", "ORG"])
            tags[start] = f"B-{label}"
            tags[start + 1] = f"I-{label}" if rng.random() < 0.5 else "O"
    return tags


# Groups


def many_docs():
    docs = [gold(f"سفر {i}", "travel", thread=f"t{i // 3}") for i in range(11)]
    return docs + [gold(f"گل {i}", "sports") for i in range(5)]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_groups_hold_each_doc_once(size):
    docs = many_docs()
    groups = make_groups(docs, size)
    flat = [doc for group in groups for doc in group]
    assert sorted(doc.text for doc in flat) == sorted(doc.text for doc in docs)
    assert all(len({doc._.domain for doc in group}) == 1 for group in groups)
    expected = [5 // size * [size] + [5 % size], 11 // size * [size] + [11 % size]]
    assert [len(g) for g in groups] == [n for sizes in expected for n in sizes if n]
    assert [d.text for d in flat] == [g[0].text for g in make_groups(docs, 1)]
    assert [d.text for d in flat] != [g[0].text for g in make_groups(docs, 1, seed=1)]


def test_groups_of_a_limited_number_of_docs():
    docs = many_docs()
    groups = make_groups(docs, 4, limit_docs=8)
    assert [len(group) for group in groups] == [4, 1, 4, 4]
    everything = [doc.text for g in make_groups(docs, 4) for doc in g]
    assert [doc.text for g in groups for doc in g] == everything[:13]


def test_threads_of_the_corpus():
    groups = thread_groups(many_docs())
    assert [[doc.text for doc in g] for g in groups] == [
        ["سفر 0", "سفر 1", "سفر 2"],
        ["سفر 3", "سفر 4", "سفر 5"],
        ["سفر 6", "سفر 7", "سفر 8"],
        ["سفر 9", "سفر 10"],
    ]
    assert len(thread_groups(many_docs(), limit=2)) == 2


def test_a_key_that_two_domains_use_is_two_threads():
    docs = [gold("سفر", "travel", thread=1), gold("گل", "sports", thread=1)]
    assert [len(group) for group in thread_groups(docs)] == [1, 1]


def test_masked_words():
    text = "تور ۳شب #سفر 12 @a_b ir//:x //goo ٣ Red cup, 👉Web # _ تبریز/LOC !"
    masked = mask_words(gold(text, "travel", thread=7))
    assert [word.text for word in masked] == ["تور", "_", "تبریز", "!"]
    assert (masked._.domain, masked._.thread) == ("travel", 7)
    assert masked.text == "تور _ تبریز !"
    assert [ent.text for ent in masked.ents] == []
    assert len(mask_words(gold("12"))) == 0


def test_predicted_docs_know_their_group_and_nothing_else():
    nlp = spacy.blank("fa")
    docs = predicted_docs([[gold("تبریز/LOC"), gold("سفر")], [gold("گل")]], nlp)
    assert [doc._.thread for doc in docs] == [0, 0, 1]
    assert [doc.text for doc in docs] == ["تبریز", "سفر", "گل"]
    assert all(doc.vocab is nlp.vocab and doc._.domain is None and not doc.ents for doc in docs)


# The detector


DETECTOR_DOCS = [
    *[gold(text, "sports", thread="s") for text in ("گل", "برد", "برد", "برد @گل")],
    *[gold(text, "travel") for text in ("سفر", "هتل", "گل @خبر")],
    gold("@خبر", "news", thread="n"),
]


def test_accuracy_by_size_and_confusion():
    report = score_detector(detect_with(stub_nlp()), DETECTOR_DOCS, sizes=(1, 8))
    raw, masked = report["raw"], report["masked"]
    # On their own, گل is found to be sports; the @s are other words.
    assert raw["1"]["accuracy"] == pytest.approx(3 / 8)
    assert raw["1"]["per_domain"] == pytest.approx({"news": 0, "sports": 1 / 4, "travel": 2 / 3})
    assert raw["1"]["macro_accuracy"] == pytest.approx((0 + 1 / 4 + 2 / 3) / 3)
    assert (raw["1"]["n_groups"], raw["8"]["n_groups"], raw["threads"]["n_groups"]) == (8, 3, 2)
    assert raw["8"]["accuracy"] == pytest.approx(1 / 3)
    assert raw["threads"]["per_domain"] == {"news": 0.0, "sports": 1.0}
    confusion = {"news": {"travel": 1}, "sports": {"sports": 1}, "travel": {"sports": 1}}
    assert raw["confusion"] == confusion
    assert (raw["1"]["n_empty"], masked["1"]["n_empty"], masked["8"]["n_empty"]) == (0, 1, 1)
    assert all(raw[name]["ms_per_group"] > 0 for name in ("1", "8", "threads"))


def test_the_detector_is_asked_without_the_masked_words():
    asked = []

    def detect(groups):
        asked.extend([[doc.text.strip() for doc in group] for group in groups])
        return ["sports" if "@" in group[0].text else None for group in groups]

    docs = [gold("گل @گل", "sports"), gold("سفر", "travel")]
    report = score_detector(detect, docs, sizes=(8,))
    assert asked == [["گل @گل"], ["سفر"], ["گل"], ["سفر"]]
    assert report["raw"]["8"]["per_domain"] == {"sports": 1.0, "travel": 0.0}
    assert report["masked"]["8"]["per_domain"] == {"sports": 0.0, "travel": 0.0}
    assert report["masked"]["confusion"] == {"sports": {"None": 1}, "travel": {"None": 1}}
    assert "threads" not in report["raw"]


def test_limited_groups():
    docs = [gold(f"گل {i}", "sports", thread=i // 2) for i in range(40)]
    report = score_detector(detect_with(stub_nlp()), docs, limit_groups=2)
    sizes = {name: report["raw"][name]["n_groups"] for name in ("1", "2", "4", "8", "threads")}
    assert sizes == {"1": 16, "2": 8, "4": 4, "8": 2, "threads": 2}


# A whole pipeline


def pipeline_docs():
    """Three groups: travel and sports are found, news is taken for travel."""
    return [
        *[gold("هتل تبریز/LOC", "travel") for _ in range(3)],
        *[gold("تبریز/ORG برد", "sports") for _ in range(2)],
        gold("گل", "sports"),
        gold("تبریز/LOC رای ایران/POG", "news"),
        gold("تبریز/LOC رای", "news"),
    ]


def test_domains_given_and_detected():
    report = evaluate(stub_nlp(), pipeline_docs())
    assert list(report) == ["given", "detected", "detector", "doc_counts"]
    given, detected = report["given"], report["detected"]
    assert given["micro"]["p"] == 1.0
    assert given["micro"]["r"] == pytest.approx(7 / 8)
    assert given["per_domain"]["news"]["f"] == pytest.approx(0.8)
    assert given["macro"]["f"] == pytest.approx((1 + 1 + 0.8) / 3)
    assert given["per_type"].keys() == {"LOC", "ORG", "POG"}
    # As travel, news gets the same LOC: all entities are found all the same.
    assert detected["micro"] == given["micro"]
    assert detected["domain_acc"] == pytest.approx(6 / 8)
    assert report["detector"]["raw"]["8"]["accuracy"] == pytest.approx(2 / 3)
    assert report["detector"]["raw"]["1"]["accuracy"] == pytest.approx(4 / 8)


def test_a_wrong_domain_costs_entities():
    docs = [gold("تبریز/ORG برد", "sports"), gold("تبریز/LOC", "travel")]
    report = evaluate(stub_nlp(), docs)
    assert report["given"]["micro"]["f"] == 1.0
    assert report["detected"]["micro"]["f"] == pytest.approx(0.5)
    assert report["detected"]["domain_acc"] == 0.5


def test_tagger_or_detector_alone():
    assert list(evaluate(stub_nlp(detector=False), pipeline_docs())) == ["given", "doc_counts"]
    assert list(evaluate(stub_nlp(tagger=False), pipeline_docs())) == ["detector"]
    with pytest.raises(ConfigError, match="neither multibert_ner nor domain_detector"):
        evaluate(stub_nlp(tagger=False, detector=False), pipeline_docs())


def test_limit_and_resamples_of_a_pipeline():
    docs = [gold(f"هتل تبریز/LOC {i}", "travel") for i in range(30)]
    report = evaluate(stub_nlp(), docs, limit_groups=2, n_resamples=10)
    assert report["given"]["micro"]["n_docs"] == report["detected"]["micro"]["n_docs"] == 16
    assert report["detector"]["raw"]["1"]["n_groups"] == 16


def toy_docs(vocab, n=9):
    nlp = spacy.blank("fa", vocab=vocab)
    rng = random.Random(0)
    docs = [toy_doc(nlp, domain, rng) for domain in sorted(NAMES) for _ in range(n)]
    for i, doc in enumerate(docs):
        doc._.thread = f"{doc._.domain}/{i // 3}"
    return docs


def test_our_pipeline(trained):
    report = evaluate(trained, toy_docs(trained.vocab), n_resamples=50)
    assert report["given"]["micro"]["f"] > 0.9
    assert report["detected"]["domain_acc"] == 1.0
    assert report["detected"]["micro"] == report["given"]["micro"]
    assert report["detector"]["raw"]["8"]["accuracy"] == 1.0
    assert report["detector"]["raw"]["threads"]["n_groups"] == 9


# One model for one domain or head


@pytest.fixture
def stub_models(monkeypatch):
    """Models by name, in place of those on disk."""
    models = {
        "t": stub_nlp(detector=False, default_domain="travel"),
        "s": stub_nlp(detector=False, default_domain="sports"),
        "both": stub_nlp(default_domain="sports"),
        "none": stub_nlp(detector=False),
    }
    monkeypatch.setattr(script.spacy, "load", models.__getitem__)
    return models


def write_corpus(docs, folder):
    folder.mkdir(parents=True)
    attrs = ["ENT_IOB", "ENT_TYPE"]
    DocBin(attrs=attrs, docs=docs, store_user_data=True).to_disk(folder / "a.spacy")
    return folder


def test_single_models_are_merged(stub_models, tmp_path):
    part = write_corpus(pipeline_docs(), tmp_path / "test")
    report = evaluate_single({"sports": "s", "news": "t", "travel": "t"}, part)
    apart = evaluate_single({"news": "t"}, part)["single"]
    assert report["models"]["sports"] == {
        "name": "fa_pipeline",
        "version": "0.0.0",
        "source": "s",
        "domains": ["sports"],
    }
    assert report["single"]["per_domain"].keys() == {"news", "sports", "travel"}
    news = report["single"]["per_domain"]["news"]
    assert {key: news[key] for key in "prf"} == {key: apart["micro"][key] for key in "prf"}
    assert apart["micro"]["n_docs"] == 2
    assert report["single"]["micro"]["r"] == pytest.approx(7 / 8)
    assert report["single"]["macro"]["f"] == pytest.approx((1 + 1 + 0.8) / 3)
    # The very numbers of the pipeline that is told the domain, intervals included.
    expected = evaluate(stub_nlp(detector=False), pipeline_docs())["given"]
    assert report["single"] == expected


def test_a_head_stands_for_its_domains(stub_models, tmp_path):
    part = write_corpus(pipeline_docs(), tmp_path / "test")
    report = evaluate_single({"social": "s"}, part)
    assert report["models"]["social"]["domains"] == ["sports", "travel"]
    # Every تبریز is found to be ORG: right in sports only.
    assert report["single"]["per_domain"]["sports"]["f"] == 1.0
    assert report["single"]["per_domain"]["travel"]["f"] == 0.0
    assert report["single"]["micro"]["f"] == pytest.approx(2 / 5)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"social": "s", "travel": "t"}, "More than one model is for travel"),
        ({"tweet": "t"}, "has no doc of tweet"),
        (
            {"sports": "both"},
            "model of sports should have .* no domain_detector; it has: .*domain_detector",
        ),
        ({"sports": "none"}, "should have multibert_ner, with a default_domain"),
    ],
)
def test_single_models_that_do_not_fit(stub_models, tmp_path, models, message):
    part = write_corpus(pipeline_docs(), tmp_path / "test")
    with pytest.raises(ConfigError, match=message):
        evaluate_single(models, part)


# The report


def test_paths_of_the_machine_are_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    assert plain_path("fa_multibert") == "fa_multibert"
    assert plain_path("training/x") == "training/x"
    assert plain_path(str(tmp_path / "a" / "b")) == "a/b"
    assert plain_path("/elsewhere/x/model-best") == "model-best"
    argv = ["x", "--models", f"formal={tmp_path}/a,social=/elsewhere/b", f"--corpus={tmp_path}/a"]
    monkeypatch.setattr(sys, "argv", argv)
    header = build_header(
        "scripts.build.evaluate",
        pipeline_docs(),
        corpus=tmp_path,
        split="dev",
        seed=3,
        limit_groups=1,
    )
    command = "python -m scripts.build.evaluate --models formal=a,social=b --corpus=a"
    assert header.pop("commit") == ""  # not a checkout
    assert header == {
        "command": command,
        "seed": 3,
        "corpus": tmp_path.name,
        "split": "dev",
        "limit_groups": 1,
        "domains": {
            "news": {"docs": 2, "entities": 3},
            "sports": {"docs": 3, "entities": 2},
            "travel": {"docs": 3, "entities": 3},
        },
    }


def test_saved_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.json"
    save({"f": 2 / 3, "interval": [0.12345, None], "n": 3, "تبریز": True}, path)
    expected = {"f": 0.6667, "interval": [0.1235, None], "n": 3, "تبریز": True}
    assert json.loads(path.read_text(encoding="utf8")) == expected
    with pytest.raises(TypeError):
        save({"f": object()}, path)
    assert json.loads(path.read_text(encoding="utf8")) == expected
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


# The command


@pytest.fixture
def corpus(tmp_path):
    write_corpus(toy_docs(VOCAB), tmp_path / "toy" / "test")
    return tmp_path / "toy"


def run(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k != "ms_per_group"}
    return value


def test_command(trained_folder, corpus, tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    result = run(trained_folder, "--corpus", corpus, "--metrics", first, "--seed", 1)
    assert result.exit_code == 0, result.output
    for word in ("F1 of entities", "given", "detected", "travel", "macro", "masked"):
        assert word in result.output
    text = first.read_text(encoding="utf8")
    assert str(tmp_path) not in text and str(trained_folder) not in text
    report = json.loads(text)
    assert list(report)[:7] == [
        "command",
        "commit",
        "seed",
        "corpus",
        "split",
        "limit_groups",
        "domains",
    ]
    assert (report["corpus"], report["split"], report["seed"]) == ("toy", "test", 1)
    assert report["model"] == {"name": "fa_pipeline", "version": "0.0.0", "source": "fa_toy"}
    assert report["domains"]["news"]["docs"] == 9
    assert {"given", "detected", "detector"} <= report.keys()
    run(trained_folder, "--corpus", corpus, "--metrics", second, "--seed", 1)
    assert without_times(json.loads(second.read_text(encoding="utf8"))) == without_times(report)
    run(trained_folder, "--corpus", corpus, "--metrics", second, "--limit-groups", 1)
    limited = json.loads(second.read_text(encoding="utf8"))
    assert limited["given"]["micro"]["n_docs"] == 24


@pytest.fixture
def single_folders(make_nlp, tmp_path):
    """A pipeline without detector for each of the toy heads."""
    nlp = make_nlp(detector=False)
    folders = {}
    for head, domain in (("social", "sports"), ("formal", "news")):
        nlp.get_pipe("multibert_ner").cfg["default_domain"] = domain
        folders[head] = tmp_path / f"model_{head}"
        nlp.to_disk(folders[head])
    return folders


def test_command_with_single_models(single_folders, corpus, tmp_path):
    models = ",".join(f"{head}={folder}" for head, folder in single_folders.items())
    path = tmp_path / "general.json"
    result = run("--models", models, "--corpus", corpus, "--metrics", path)
    assert result.exit_code == 0, result.output
    text = path.read_text(encoding="utf8")
    assert str(tmp_path) not in text
    report = json.loads(text)
    assert {name: model["domains"] for name, model in report["models"].items()} == {
        "social": ["sports", "travel"],
        "formal": ["news"],
    }
    assert report["single"]["per_domain"].keys() == HEADS.keys()
    # The adapter of sports is the one that is run on travel too.
    nlp = spacy.load(single_folders["social"])
    references = [doc for doc in toy_docs(nlp.vocab) if doc._.domain == "travel"]
    docs = nlp.pipe(join_docs([doc], nlp.vocab) for doc in references)
    expected = score_ner([Example(*pair) for pair in zip(docs, references, strict=True)])
    found = report["single"]["per_domain"]["travel"]
    assert found["f"] == pytest.approx(expected["ents_f"], abs=1e-4)


def test_models_of_all_heads_and_the_default_file(single_folders, corpus, monkeypatch):
    monkeypatch.chdir(corpus.parent)
    result = run("--models", f"{corpus.parent}/model_{{head}}", "--corpus", "toy")
    assert result.exit_code == 0, result.output
    report = json.loads((corpus.parent / "metrics/toy/evaluate.json").read_text(encoding="utf8"))
    assert report["models"]["formal"]["source"] == "model_formal"
    assert report["single"]["per_domain"].keys() == {"news", "sports", "travel"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Give either MODEL or --models"),
        (["a", "--models", "formal=b"], "Give either MODEL or --models"),
        (["--models", "formal"], "should be HEAD=PATH"),
        (["--models", "formal=a,formal=b"], "given twice"),
    ],
)
def test_usage(args, message):
    result = run(*args)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_an_error_on_purpose_is_a_message(trained_folder, tmp_path):
    result = run(trained_folder, "--corpus", tmp_path / "no", "--metrics", tmp_path / "a.json")
    assert result.exit_code == 1
    assert "is missing" in result.stderr
    assert not (tmp_path / "a.json").exists()
