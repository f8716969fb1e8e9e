"""Components of other tasks than entities stay in step with a pipeline's domains."""

import logging
from typing import Any

import pytest
import spacy
from conftest import LORA, toy_examples, toy_text
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from multibert_spacy import (
    DomainError,
    add_domain,
    load_domain,
    remove_domain,
    rename_domain,
    save_domain,
)

DOMAINS = ("news", "sports", "travel")
TEXT = toy_text("travel")


def add_textcat(nlp: Language, *domains: str, **settings: Any) -> Language:
    """Add a classifier on the adapters of entities, whose head knows nothing."""
    proc = nlp.add_pipe("multibert_textcat", config={"model": {"adapter": LORA}, **settings})
    doc = Doc(nlp.vocab, words=["سفر"])
    gold = Example.from_dict(doc, {"cats": {"good": 1.0, "bad": 0.0}})
    proc.initialize(lambda: [gold], nlp=nlp, adapters_from="multibert_ner")
    for name in set(DOMAINS) - set(domains or DOMAINS):
        proc.model.remove_domain(name)
    return nlp


def domains_of(nlp: Language) -> dict[str, list[str]]:
    return {
        name: sorted(nlp.get_pipe(name).domains) for name in ("multibert_ner", "multibert_textcat")
    }


def classes(nlp: Language, domain: str) -> dict[str, float]:
    doc = nlp.make_doc(TEXT)
    doc._.domain = domain
    return dict(nlp(doc).cats)


def test_a_removed_domain_is_gone_in_all(trained, tmp_path):
    nlp = add_textcat(trained)
    before = classes(nlp, "sports")
    remove_domain(nlp, "travel")
    nlp.to_disk(tmp_path / "out")
    for own in (nlp, spacy.load(tmp_path / "out")):
        assert domains_of(own) == dict.fromkeys(domains_of(own), ["news", "sports"])
        assert classes(own, "sports") == pytest.approx(before, abs=1e-4)
    assert not (tmp_path / "out" / "multibert_textcat" / "domains" / "travel").exists()


def test_a_renamed_domain_has_its_name_in_all(trained, tmp_path):
    nlp = add_textcat(trained)
    before = classes(nlp, "travel")
    rename_domain(nlp, "travel", "trips")
    nlp.to_disk(tmp_path / "out")
    for own in (nlp, spacy.load(tmp_path / "out")):
        assert domains_of(own) == dict.fromkeys(domains_of(own), ["news", "sports", "trips"])
        assert classes(own, "trips") == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("key", ["default_domain", "fallback_domain"])
def test_settings_that_name_a_domain_follow(trained, tmp_path, key):
    nlp = add_textcat(trained, **{key: "travel"})
    rename_domain(nlp, "travel", "trips")
    assert nlp.config["components"]["multibert_textcat"][key] == "trips"
    with pytest.raises(DomainError, match=f"'trips' is the {key} of 'multibert_textcat'"):
        remove_domain(nlp, "trips")
    remove_domain(nlp, "trips", fallback="news")
    nlp.to_disk(tmp_path / "out")
    assert spacy.load(tmp_path / "out").config["components"]["multibert_textcat"][key] == "news"


def test_a_fallback_that_the_task_does_not_have(trained):
    nlp = add_textcat(trained, "sports", "travel", fallback_domain="travel")
    with pytest.raises(DomainError, match="'multibert_textcat', which has no domain 'news': name"):
        remove_domain(nlp, "travel", fallback="news")
    assert "travel" in nlp.get_pipe("multibert_ner").domains


def test_the_last_domain_of_a_task_stays(trained):
    nlp = add_textcat(trained, "travel", fallback_domain="travel")
    with pytest.raises(DomainError, match="'travel' is the last domain of 'multibert_textcat'"):
        remove_domain(nlp, "travel", fallback="news")
    remove_domain(nlp, "news")
    assert domains_of(nlp) == {
        "multibert_ner": ["sports", "travel"],
        "multibert_textcat": ["travel"],
    }


def test_a_name_that_the_task_has_for_another(trained):
    nlp = add_textcat(trained)
    remove = nlp.get_pipe("multibert_ner").model.remove_domain
    remove("news")
    with pytest.raises(DomainError, match="'multibert_textcat': There is a domain 'news' already"):
        rename_domain(nlp, "travel", "news")
    assert "travel" in nlp.get_pipe("multibert_ner").domains


def test_a_new_domain_is_read_as_its_start(mixed, tmp_path):
    nlp = add_textcat(mixed)
    own = [eg.reference for eg in toy_examples(nlp, "sports", 8)]
    for doc in own:
        doc._.domain = None
    add_domain(nlp, "matches", own, start="sports", steps=1)
    nlp.to_disk(tmp_path / "out")
    for one in (nlp, spacy.load(tmp_path / "out")):
        assert domains_of(one) == dict.fromkeys(domains_of(one), ["matches", *DOMAINS])
        assert classes(one, "matches")["good"] == pytest.approx(classes(one, "sports")["good"])


def test_a_domain_that_comes_alone_is_said(trained, tmp_path, caplog):
    save_domain(trained, "travel", tmp_path / "travel")
    nlp = add_textcat(trained)
    with caplog.at_level(logging.WARNING):
        load_domain(nlp, tmp_path / "travel", "trips")
    assert "'multibert_textcat' has no domain 'trips'" in caplog.text
    caplog.clear()
    nlp.get_pipe("multibert_textcat").fallback_domain = "travel"
    load_domain(nlp, tmp_path / "travel", "tours")
    assert "multibert_textcat" not in caplog.text
    doc = nlp.make_doc(TEXT)
    doc._.domain = "tours"
    assert set(nlp(doc).cats) >= {"good", "bad"}
