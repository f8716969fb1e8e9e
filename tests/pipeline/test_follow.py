"""The detector and the taggers behind it: what is chosen, and what is said when they differ."""

import copy
import shutil

import pytest
import spacy
from conftest import NAMES, assert_same_predictions, toy_text
from spacy.language import Language

from multibert_spacy.errors import DomainError

TRAVEL, SPORTS, NEWS = "هتل سفر دریا", "گل لیگ بازی", "خبر وزیر دولت"
TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in sorted(NAMES)]


def choices(nlp, text=TRAVEL):
    return sorted(nlp(text).cats)


def remove(nlp, domain):
    nlp.get_pipe("multibert_ner").model.module.remove_domain(domain)


@pytest.fixture
def folder(trained_folder, tmp_path):
    """A copy that may be changed."""
    shutil.copytree(trained_folder, tmp_path / "own")
    return tmp_path / "own"


def domain_folder(folder, domain):
    return folder / "multibert_ner" / "domains" / domain


def test_only_the_tagger_s_domains_are_chosen(trained):
    assert trained(TRAVEL)._.domain == "travel"
    before = dict(trained(TRAVEL).cats)
    tagger = trained.get_pipe("multibert_ner")
    remove(trained, "travel")
    doc = trained(TRAVEL)
    cats = doc.cats
    assert doc._.domain == max(cats, key=cats.get)
    assert sum(cats.values()) == pytest.approx(1)
    score = max(before["news"], before["sports"])
    ratio = before["news"] / (before["news"] + before["sports"])
    assert cats == pytest.approx({"news": ratio, "sports": 1 - ratio}, abs=1e-4)
    assert doc._.domain_score == pytest.approx(score, abs=1e-4)  # not of those that are left
    tagger.model.add_domain("travel", head="social", copy_from="sports")
    assert trained(TRAVEL)._.domain == "travel"
    remove(trained, "sports")
    remove(trained, "news")
    doc = trained(SPORTS)
    assert (doc._.domain, doc.cats) == ("travel", {"travel": 1.0})
    assert doc._.domain_score < 0.5


def test_a_domain_of_the_detector_that_went_leaves_the_cats(trained):
    doc = trained(TRAVEL)
    assert "travel" in doc.cats
    remove(trained, "travel")
    assert sorted(trained(doc).cats) == ["news", "sports"]


def test_nothing_in_common(trained):
    tagger = trained.get_pipe("multibert_ner")
    tagger.model.add_domain("own", head="social", copy_from="sports")
    for name in NAMES:
        remove(trained, name)
    tagger.cfg["default_domain"] = "own"
    doc = trained(SPORTS)
    assert (doc._.domain, doc._.domain_score, doc.cats) == (None, 0.0, {})


def test_without_a_tagger_all_labels_are_chosen(trained):
    remove(trained, "travel")
    tagger = trained.get_pipe("multibert_ner")
    assert choices(trained) == ["news", "sports"]
    trained.remove_pipe("multibert_ner")
    assert choices(trained) == sorted(NAMES)
    assert trained(TRAVEL)._.domain == "travel"
    assert "travel" not in tagger.domains


def test_a_tagger_that_is_disabled_while_loading(folder):
    shutil.rmtree(domain_folder(folder, "travel"))
    nlp = spacy.load(folder, disable=["multibert_ner"])
    nlp.enable_pipe("multibert_ner")
    assert choices(nlp) == ["news", "sports"]
    nlp = spacy.load(folder, exclude=["multibert_ner"])
    assert choices(nlp) == sorted(NAMES)


def test_a_detector_in_front_of_the_core(trained):
    """Any classifier may be one, and needs none."""
    detector = trained.get_pipe("domain_detector")
    remove(trained, "travel")
    trained._components.insert(0, trained._components.pop(1))
    trained._link_components()
    assert trained.pipe_names[0] == "domain_detector"
    assert [detector.labels[i] for i in detector._choosable()] == ["news", "sports"]


def test_copies_and_sources(trained, folder):
    remove(trained, "travel")
    twin = copy.deepcopy(trained.get_pipe("domain_detector"))
    assert [twin.labels[i] for i in twin._choosable()] == ["news", "sports"]
    other = spacy.load(folder)
    for name in trained.pipe_names:
        other.remove_pipe(name)
    for name in ("transformer", "domain_detector", "multibert_ner"):
        other.add_pipe(name, source=trained)
    assert choices(other) == ["news", "sports"]
    assert_same_predictions(other.pipe(TEXTS), trained.pipe(TEXTS))


# What is said when it is loaded


def test_what_fits_is_not_spoken_of(folder, caplog):
    nlp = spacy.load(folder)
    spacy.util.load_model_from_config(nlp.config, auto_fill=True).from_bytes(nlp.to_bytes())
    assert said(caplog) == []


def said(caplog):
    return [
        record.getMessage() for record in caplog.records if record.name.endswith("domain_detector")
    ]


def test_a_folder_that_was_deleted(folder, caplog):
    shutil.rmtree(domain_folder(folder, "travel"))
    nlp = spacy.load(folder)
    docs = list(nlp.pipe(TEXTS))
    nlp.add_pipe("sentencizer")
    assert {doc._.domain for doc in docs} <= {"news", "sports"}
    (message,) = said(caplog)
    for part in ("travel: known to 'domain_detector' alone", "has: news, sports"):
        assert part in message


def test_a_folder_that_was_renamed(folder, caplog):
    domain_folder(folder, "travel").rename(domain_folder(folder, "trips"))
    nlp = spacy.load(folder)
    (message,) = said(caplog)
    for part in ("travel: known to 'domain_detector'", "trips: known to 'multibert_ner'"):
        assert part in message
    assert nlp(TRAVEL)._.domain in ("news", "sports")
    doc = nlp.make_doc(TRAVEL)
    doc._.domain = "trips"
    assert nlp(doc)._.domain == "trips"


@pytest.mark.parametrize(
    "component, setting",
    [("multibert_ner", "default_domain"), ("domain_detector", "fallback_domain")],
)
def test_a_domain_that_is_nowhere(folder, component, setting):
    config = {f"components.{component}.{setting}": "nope"}
    with pytest.raises(DomainError) as error:
        spacy.load(folder, config=config)
    for part in ("'nope'", f"components.{component}.{setting}", "news, sports, travel"):
        assert part in str(error.value)
    spacy.load(folder, config={f"components.{component}.{setting}": "news"})


@pytest.mark.parametrize(
    "component, setting",
    [("multibert_ner", "default_domain"), ("domain_detector", "fallback_domain")],
)
def test_a_domain_that_is_nowhere_beside_a_source(folder, component, setting):
    components = {
        name: {"source": str(folder)}
        for name in ("transformer", "domain_detector", "multibert_ner")
    }
    config = {"nlp": {"lang": "fa", "pipeline": list(components)}, "components": components}
    spacy.util.load_model_from_config(config, auto_fill=True)
    components[component][setting] = "nope"
    with pytest.raises(DomainError, match=f"'nope'.*components.{component}.{setting}"):
        spacy.util.load_model_from_config(config, auto_fill=True)


def test_a_default_that_is_nowhere_without_a_detector(folder):
    shutil.rmtree(domain_folder(folder, "travel"))
    config = {"components.multibert_ner.default_domain": "travel"}
    with pytest.raises(DomainError, match="'travel'.*'multibert_ner'.*news, sports"):
        spacy.load(folder, config=config, exclude=["domain_detector"])


def test_nothing_is_said_of_a_pipeline_that_is_being_made(make_nlp, caplog):
    """The detector has three labels when the tagger has one domain."""
    nlp = make_nlp()
    assert isinstance(nlp, Language)
    remove(nlp, "travel")
    nlp.add_pipe("sentencizer")
    assert choices(nlp) == ["news", "sports"]
    assert said(caplog) == []


def test_a_fallback_that_was_taken_away(folder, caplog):
    """It was for texts with nothing to read: those have no domain then, and no entity."""
    shutil.rmtree(domain_folder(folder, "travel"))
    config = {"components.domain_detector.fallback_domain": "travel"}
    nlp = spacy.load(folder, config=config)
    (message,) = said(caplog)
    assert "travel: the fallback_domain" in message
    empty, filled = nlp.pipe(["", "سلام"], batch_size=1)
    assert filled._.domain in ("news", "sports")
    assert nlp("")._.domain is None
    assert nlp("").ents == ()
    with pytest.raises(DomainError, match="'travel'"):
        spacy.load(folder, config=config | {"components.domain_detector.threshold": 0.5})
