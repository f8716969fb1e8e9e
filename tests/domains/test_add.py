"""A domain is added to a loaded pipeline: what it learns, and what stays as it was."""

import io
import random
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from conftest import assert_same_predictions, entities, toy_examples, toy_text
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example

import multibert_spacy
from multibert_spacy import ConfigError, CorpusError, DomainError, add_domain

TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in ("news", "sports", "travel")]


def texts_of(nlp: Language, n: int, seed: int = 0, **renamed: str) -> list[Doc]:
    """Sports under labels of their own, or under those there are; without a domain."""
    docs = []
    for eg in toy_examples(nlp, "sports", n, seed):
        doc = eg.reference.copy()
        doc.ents = [
            spacy.tokens.Span(doc, e.start, e.end, label=renamed.get(e.label_, e.label_))
            for e in doc.ents
        ]
        doc._.domain = None
        docs.append(doc)
    return docs


def state(nlp: Language) -> dict[str, Any]:
    """All that the pipeline's domains consist of."""
    tagger = nlp.get_pipe("multibert_ner")
    module = tagger.model.module
    return {
        name: [
            *module.adapter_of(name).export().values(),
            *module.heads[module.head_name(name)].tensors().values(),
        ]
        for name in tagger.domains
    }


def copied(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: [own.detach().clone() for own in parts] for name, parts in tensors.items()}


def as_of(nlp: Language, domain: str) -> list[list[tuple[str, str]]]:
    docs = [nlp.make_doc(text) for text in TEXTS]
    for doc in docs:
        doc._.domain = domain
    return [entities(doc) for doc in nlp.pipe(docs)]


def test_it_learns_labels_of_its_own_from_the_best_start(mixed: Language) -> None:
    train, dev = (texts_of(mixed, 24, seed, ORG="CLUB") for seed in (1, 2))
    done = add_domain(mixed, "matches", train, dev=dev, labels=["CLUB"], steps=30)
    assert (done["start"], done["head"], done["labels"]) == ("sports", "matches", ["CLUB"])
    assert done["start_f"] == 1.0
    assert done["stopped"] is None
    assert done["ents_f"] == 1.0
    assert done["ents_per_type"]["CLUB"]["f"] == 1.0
    assert done["minutes"] >= 0
    found = {label for doc in as_of(mixed, "matches") for _, label in doc}
    assert found == {"CLUB"}


def test_it_keeps_the_head_of_the_start(mixed: Language) -> None:
    heads = set(mixed.get_pipe("multibert_ner").model.module.heads)
    done = add_domain(mixed, "matches", texts_of(mixed, 12), steps=3, start="travel")
    tagger = mixed.get_pipe("multibert_ner")
    assert (done["start"], done["head"]) == ("travel", "social")
    assert set(tagger.model.module.heads) == heads
    assert tagger.labels_of("matches") == tagger.labels_of("travel")
    assert done["ents_f"] is None


def test_all_others_stay_bit_for_bit(mixed: Language) -> None:
    before, tagged = copied(state(mixed)), {name: as_of(mixed, name) for name in state(mixed)}
    core = mixed.get_pipe("transformer").core.fingerprint()
    add_domain(mixed, "matches", texts_of(mixed, 12), steps=3, start="sports")
    after = state(mixed)
    assert set(after) == {*before, "matches"}
    for name, parts in before.items():
        assert all(torch.equal(a, b) for a, b in zip(after[name], parts, strict=True))
        assert as_of(mixed, name) == tagged[name]
    assert mixed.get_pipe("transformer").core.fingerprint() == core
    adapters = zip(after["matches"], after["sports"], strict=True)
    assert not all(torch.equal(a.float(), b.float()) for a, b in adapters)


@pytest.mark.parametrize("labels", [None, ["CLUB"]])
def test_what_is_in_memory_is_what_is_loaded(mixed, tmp_path, labels) -> None:
    train = texts_of(mixed, 12, ORG="CLUB" if labels else "ORG")
    add_domain(mixed, "matches", train, labels=labels, steps=4, description="تیم و گل")
    mixed.to_disk(tmp_path / "out")
    loaded = spacy.load(tmp_path / "out")
    assert as_of(loaded, "matches") == as_of(mixed, "matches")
    assert_same_predictions(loaded.pipe(TEXTS), mixed.pipe(TEXTS))
    assert loaded.get_pipe("multibert_ner").model.descriptions["matches"] == "تیم و گل"
    weights = tmp_path / "out" / "multibert_ner" / "domains" / "matches"
    halves = spacy.util.registry  # noqa: F841
    from safetensors.torch import load_file

    for file in ("adapter_model.safetensors",):
        assert {own.dtype for own in load_file(weights / file).values()} == {torch.float16}


def test_the_same_seed_gives_the_same_weights_and_draws_nothing_of_others(mixed_folder) -> None:
    found = []
    for seed in (3, 3, 4):
        nlp = spacy.load(mixed_folder)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        train = texts_of(nlp, 12)
        random.setstate(before[2])
        add_domain(nlp, "matches", train, steps=4, seed=seed)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]
        assert random.getstate() == before[2]
        found.append(state(nlp)["matches"])
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(found[0], found[2], strict=True))


def test_the_detector_follows_unless_told_not_to(mixed_folder) -> None:
    for detect in (True, False):
        nlp = spacy.load(mixed_folder)
        add_domain(nlp, "matches", texts_of(nlp, 12), steps=1, detect=detect)
        assert ("matches" in nlp.get_pipe("domain_detector").labels) == detect
        assert ("matches" in nlp(TEXTS[0]).cats) == detect
        assert ("matches" in nlp.meta["labels"]["domain_detector"]) == detect


def test_a_detector_that_cannot_learn_it_says_so(trained: Language, caplog) -> None:
    add_domain(trained, "matches", texts_of(trained, 12), steps=1)
    assert "cannot learn a further domain" in caplog.text
    assert "matches" not in trained.get_pipe("domain_detector").labels
    assert as_of(trained, "matches")


def test_files_examples_and_docs_are_the_same(mixed_folder, tmp_path) -> None:
    found = []
    for kind in ("docs", "examples", "file", "folder"):
        nlp = spacy.load(mixed_folder)
        train: Any = texts_of(nlp, 8)
        if kind == "examples":
            train = [Example(Doc(nlp.vocab, words=[w.text for w in own]), own) for own in train]
        elif kind != "docs":
            folder = tmp_path / kind
            folder.mkdir()
            DocBin(docs=train).to_disk(folder / "train.spacy")
            train = folder if kind == "folder" else folder / "train.spacy"
        add_domain(nlp, "matches", train, steps=2)
        found.append(state(nlp)["matches"])
    for own in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], own, strict=True))


def test_an_interrupted_training_keeps_what_there_is(mixed: Language, monkeypatch) -> None:
    from multibert_spacy.pipeline.multibert_ner import MultibertNER

    n, update = iter(range(100)), MultibertNER.update

    def stop(self, *args, **kwargs):
        if next(n) == 3:
            raise KeyboardInterrupt
        return update(self, *args, **kwargs)

    monkeypatch.setattr(MultibertNER, "update", stop)
    done = add_domain(mixed, "matches", texts_of(mixed, 12), steps=50)
    assert (done["step"], done["stopped"]) == (3, 3)
    assert "matches" in mixed.get_pipe("multibert_ner").domains


class Terminal(io.StringIO):
    """Somebody looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_terminal_shows_step_and_score(mixed, monkeypatch, looked_at) -> None:
    shown = Terminal() if looked_at else io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    add_domain(mixed, "matches", texts_of(mixed, 40), dev=texts_of(mixed, 20, 1), steps=2)
    assert ("2/2" in shown.getvalue()) == looked_at
    assert ("dev F1" in shown.getvalue()) == looked_at


def test_an_error_in_training_leaves_the_pipeline_as_it_was(mixed: Language, monkeypatch) -> None:
    from multibert_spacy.pipeline.multibert_ner import MultibertNER

    before = copied(state(mixed))
    monkeypatch.setattr(MultibertNER, "update", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        add_domain(mixed, "matches", texts_of(mixed, 12), steps=5)
    after = state(mixed)
    assert list(after) == list(before)
    assert "matches" not in mixed.get_pipe("domain_detector").labels


@pytest.mark.parametrize(
    "settings, error, said",
    [
        ({"name": "../x"}, ConfigError, "Illegal domain name"),
        ({"name": "travel"}, DomainError, "There is a domain 'travel' already"),
        ({"start": "law"}, DomainError, "Unknown domain 'law'"),
        ({"steps": 0}, ConfigError, "steps must be a whole number"),
        ({"steps": -1}, ConfigError, "steps must be a whole number"),
        ({"steps": 1.5}, ConfigError, "steps must be a whole number"),
        ({"steps": True}, ConfigError, "steps must be a whole number"),
        ({"seed": "a"}, ConfigError, "seed must be a whole number"),
        ({"seed": None}, ConfigError, "seed must be a whole number"),
        ({"seed": -1}, ConfigError, "seed must be a whole number"),
        ({"seed": 2**32}, ConfigError, "seed must be a whole number"),
        ({"detect": "no"}, ConfigError, "detect must be True or False"),
        ({"start": ["travel"]}, ConfigError, "start must be a domain"),
        ({"start": None}, ConfigError, "start must be a domain"),
        ({"labels": "PER"}, ConfigError, "labels must be a list of names, got 'PER'"),
        ({"labels": 3}, ConfigError, "labels must be a list of names, got 3"),
        ({"train": None}, ConfigError, "train must be a path .* got a NoneType"),
        ({"train": 3}, ConfigError, "train must be a path .* got a int"),
        ({"train": b"x.spacy"}, ConfigError, "train must be a path .* got a bytes"),
        ({"dev": 3}, ConfigError, "dev must be a path .* got a int"),
        ({"labels": []}, ConfigError, "labels is empty"),
        ({"head": "law"}, DomainError, "Unknown head 'law'; there are: formal, social"),
        ({"labels": ["LOC"], "head": "social"}, DomainError, "another name"),
        ({"description": "\ud800"}, ConfigError, "holds '.ud800'"),
        ({"description": "ا" * 1001}, ConfigError, "description of 1001 characters"),
        ({"train": "none.spacy"}, CorpusError, "none.spacy is missing"),
        ({"train": []}, CorpusError, "no text"),
        ({"train": [1]}, ConfigError, "one of it is a int"),
        ({"labels": ["LAW"]}, DomainError, "label 'ORG' that the head lacks"),
    ],
)
def test_mistakes_are_said_before_anything_is_trained(mixed, settings, error, said) -> None:
    before = list(state(mixed))
    settings = {"name": "matches", "train": texts_of(mixed, 8), **settings}
    with pytest.raises(error, match=said):
        add_domain(mixed, settings.pop("name"), settings.pop("train"), **settings)
    assert list(state(mixed)) == before


def test_examples_of_two_texts_are_found_before_anything_is_trained(mixed, monkeypatch) -> None:
    """In the middle of training spaCy would say that it cannot align them."""
    from multibert_spacy.domains import add

    monkeypatch.setattr(add, "own_tagger", lambda *a, **k: pytest.fail("it was trained"))
    good = texts_of(mixed, 8)
    apart = Example(mixed.make_doc("هتل تبریز"), Doc(mixed.vocab, words=["گل"], ents=["B-LOC"]))
    said = (
        r"Nothing was trained: Examples whose two docs are different texts \(1 times\), train: گل"
    )
    with pytest.raises(DomainError, match=said):
        add_domain(mixed, "matches", [*good, apart], steps=1)
    with pytest.raises(DomainError, match=said.replace("train: گ", "dev: گ")):
        add_domain(mixed, "matches", good, dev=[apart], steps=1)


def test_labels_may_come_one_by_one(mixed) -> None:
    train = texts_of(mixed, 8, ORG="CLUB")
    done = add_domain(mixed, "matches", train, labels=iter(["CLUB"]), steps=1)
    assert done["labels"] == ["CLUB"]


def test_a_second_domain_with_labels_of_its_own_joins_the_first_ones_head(mixed) -> None:
    add_domain(mixed, "matches", texts_of(mixed, 8, ORG="CLUB"), labels=["CLUB"], steps=1)
    done = add_domain(mixed, "cups", texts_of(mixed, 8, 5, ORG="CLUB"), head="matches", steps=1)
    assert (done["head"], done["labels"]) == ("matches", ["CLUB"])


def test_it_is_public() -> None:
    assert multibert_spacy.add_domain is add_domain
