"""A change of domains that is interrupted leaves no half of it."""

import copy

import pytest
import spacy
from conftest import assert_same_predictions, toy_examples, toy_text

from multibert_spacy import add_domain, load_domain, remove_domain, rename_domain, save_domain
from multibert_spacy.networks.mixture_model import MixtureModel
from multibert_spacy.pipeline.domain_detector import DomainDetector

TEXTS = [toy_text(domain, seed=i) for i in range(2) for domain in ("news", "sports", "travel")]


def facts(nlp):
    tagger, detector = nlp.get_pipe("multibert_ner"), nlp.get_pipe("domain_detector")
    mixture = detector.model.mixture
    return [
        *(tagger.domains, list(tagger.model.module.heads), dict(tagger.model.descriptions)),
        *(detector.labels, mixture.labels, mixture.descriptions, detector.fallback_domain),
        *(copy.deepcopy(nlp.config["components"]), copy.deepcopy(nlp.meta)),
    ]


def texts_of(nlp):
    docs = [eg.reference for eg in toy_examples(nlp, "sports", 8)]
    for doc in docs:
        doc._.domain = None
    return docs


def add(nlp, folder):
    add_domain(nlp, "matches", texts_of(nlp), steps=1, description="تیم و گل", start="sports")


def load(nlp, folder):
    load_domain(nlp, folder, "matches")


def rename(nlp, folder):
    rename_domain(nlp, "news", "press")


def remove(nlp, folder):
    remove_domain(nlp, "news", fallback="sports")


WHERE = [
    (add, MixtureModel, "describe"),
    (add, MixtureModel, "set_mixture"),
    (load, DomainDetector, "learn"),
    (rename, DomainDetector, "rename"),
    (remove, DomainDetector, "forget"),
]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize(
    "change, whose, method", WHERE, ids=[f"{change.__name__}-{own}" for change, _, own in WHERE]
)
@pytest.mark.parametrize("after", [False, True])
def test_an_interruption(mixed_folder, tmp_path, monkeypatch, change, whose, method, after, error):
    """Before the detector has followed, or right behind."""
    config = {"components": {"domain_detector": {"fallback_domain": "news"}}}
    nlp = spacy.load(mixed_folder, config=config)
    nlp.meta["performance"] = {"ents_per_domain": {"news": {"f": 1.0}}}
    save_domain(nlp, "news", tmp_path / "news")
    before, tagged = facts(nlp), list(nlp.pipe(TEXTS))
    own = getattr(whose, method)

    def interrupted(*args, **kwargs):
        if after:
            own(*args, **kwargs)
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(whose, method, interrupted)
        with pytest.raises(error):
            change(nlp, tmp_path / "news")
    assert facts(nlp) == before
    assert_same_predictions(nlp.pipe(TEXTS), tagged)
    change(nlp, tmp_path / "news")
    assert facts(nlp) != before
