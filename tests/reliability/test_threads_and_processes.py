"""One pipeline in many threads, many processes, and texts that fail."""

import json
import logging
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import NAMES, assert_same_predictions, toy_text
from spacy.tokens import Doc

from multibert_spacy.errors import MultibertError
from multibert_spacy.text import threads
from multibert_spacy.text.spans import decode_entities

N_THREADS = 8


def jobs() -> list[list[tuple[str, dict[str, str]]]]:
    """For each thread its own texts, with given and with detected domains."""
    domains = [None, *sorted(NAMES)]
    return [
        [
            (
                toy_text(sorted(NAMES)[(i + j) % 3], n_words=1 + (i + 3 * j) % 9, seed=j),
                {"domain": domains[(i + j) % 4], "thread": f"{i}-{j // 3}"},
            )
            for j in range(12)
        ]
        for i in range(N_THREADS)
    ]


@pytest.mark.parametrize("core", ["bert", "xlmr"])
def test_threads_are_equal_to_serial(make_nlp, core):
    """No adapter is active for all, and no tokenizer is borrowed twice."""
    nlp = make_nlp(core=core)

    def tag(own: list[tuple[str, dict[str, str]]]) -> list[Doc]:
        return [doc for doc, _ in nlp.pipe(own, as_tuples=True, batch_size=3)]

    expected = [tag(own) for own in jobs()]
    nlp.get_pipe("transformer").core.pieces._known.clear()  # all threads tokenise, none has a bank
    nlp.get_pipe("transformer").core.pieces._known[""] = ()
    nlp.get_pipe("multibert_ner").model.weights_changed()
    nlp.get_pipe("domain_detector").model.module.weights_changed()
    with ThreadPoolExecutor(N_THREADS) as pool:
        for _ in range(2):
            for found, own in zip(pool.map(tag, jobs()), expected, strict=True):
                assert_same_predictions(found, own)


def test_calls_in_threads(nlp):
    texts = [text for own in jobs() for text, _ in own]
    expected = [nlp(text) for text in texts]
    with ThreadPoolExecutor(N_THREADS) as pool:
        assert_same_predictions(pool.map(nlp, texts), expected)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_two_processes_are_equal_to_one(trained_folder: Path, method):
    script = Path(__file__).with_name("two_processes.py")
    run = subprocess.run(
        [sys.executable, str(script), method, str(trained_folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.returncode == 0, run.stderr
    one, two = json.loads(run.stdout)
    assert one == two
    assert [row[0] for row in two] == list(range(20))
    assert "may go on in another process" in run.stderr  # threads of four, batches of four


@pytest.fixture
def in_worker(monkeypatch):
    """As if this were a process of spaCy's."""

    def _apply_pipes() -> None: ...

    monkeypatch.setattr(multiprocessing.current_process(), "_target", _apply_pipes, raising=False)
    monkeypatch.setattr(threads, "_said", [])


def groups(nlp, keys: list[object]) -> list[int]:
    docs = [nlp.make_doc("سفر") for _ in keys]
    for doc, key in zip(docs, keys, strict=True):
        doc._.thread = key
    return [len(group) for group in threads.group_docs(docs, 2)]


@pytest.mark.parametrize(
    "keys, sizes, said",
    [
        ([None] * 4, [2, 2], False),
        ([], [], False),
        ([None] * 3, [2, 1], True),
        (["a", "a", None, None], [2, 2], True),
        ([None, None, "a"], [2, 1], True),
        ([None, None, "a", None, None], [2, 1, 2], False),
    ],
)
def test_a_border_that_may_cut_is_said(nlp, in_worker, caplog, keys, sizes, said):
    with caplog.at_level(logging.WARNING):
        assert groups(nlp, keys) == sizes
        assert groups(nlp, keys) == sizes
    assert caplog.text.count("may go on in another process") == said


def test_elsewhere_nothing_is_said(nlp, monkeypatch, caplog):
    monkeypatch.setattr(threads, "_said", [])
    with caplog.at_level(logging.WARNING):
        groups(nlp, ["a", None, "b"])
    assert caplog.text == ""


# A text that fails costs that text alone


def test_any_component_that_fails_on_a_text(trained, monkeypatch):
    """In a stream of threads, whatever the batches: the others have what they have without it."""
    keys = ["a"] * 4 + [None] * 3 + ["b"] * 5
    texts = [toy_text(sorted(NAMES)[i % 3], seed=i) for i in range(12)]
    bad = {1: "domain_detector", 5: "multibert_ner", 11: "domain_detector"}
    words = {i: f"خراب{i}" for i in bad}
    pairs = [
        (f"{text} {words.get(i, '')}", {"thread": key, "id": i})
        for i, (text, key) in enumerate(zip(texts, keys, strict=True))
    ]
    rest = [pair for i, pair in enumerate(pairs) if i not in bad]
    detector, tagger = trained.get_pipe("domain_detector"), trained.get_pipe("multibert_ner")
    read, rows = detector.model.pieces, tagger._rows

    def fail(docs, name):
        for doc in docs:
            if any(words[i] in doc.text for i, owner in bad.items() if owner == name):
                raise RuntimeError(name)

    def fragile_read(docs):
        fail(docs, "domain_detector")
        return read(docs)

    def fragile_rows(docs, domains):
        fail(docs, "multibert_ner")
        return rows(docs, domains)

    monkeypatch.setattr(detector.model, "pieces", fragile_read)
    monkeypatch.setattr(tagger, "_rows", fragile_rows)
    seen: list[tuple[str, list[str]]] = []
    trained.set_error_handler(
        lambda name, proc, docs, e: seen.append((name, [doc.text[-5:] for doc in docs]))
    )
    # what is missing for the tagger alone was there for the detector
    survivors = [i for i in range(12) if i not in bad]
    for batch_size in (1, 5, 64):
        seen.clear()
        found = list(trained.pipe(pairs, as_tuples=True, batch_size=batch_size))
        assert [context["id"] for _, context in found] == survivors
        assert sorted(seen) == [
            ("domain_detector", ["خراب1"]),
            ("domain_detector", ["راب11"]),
            ("multibert_ner", ["خراب5"]),
        ]
        threads_ = [doc for doc, context in found if context["thread"]]
        alone = [doc for doc, context in trained.pipe(rest, as_tuples=True) if context["thread"]]
        assert_same_predictions(threads_, alone)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers(value):
    logits = np.zeros((3, 5), dtype=np.float32)
    logits[1, 2] = value
    with pytest.raises(MultibertError, match="not finite numbers"):
        decode_entities([logits], ["PER", "LOC"], np.zeros((5, 5), dtype=np.float32))


def test_a_detector_that_computes_no_numbers(nlp, monkeypatch):
    detector = nlp.get_pipe("domain_detector")
    monkeypatch.setattr(
        detector.model, "predict", lambda docs: np.full((len(docs), 3), np.nan, dtype="f")
    )
    with pytest.raises(MultibertError, match="'domain_detector' computes scores"):
        nlp("سفر")
