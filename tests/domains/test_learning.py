"""How a detector learns a further domain of that domain's texts alone."""

import numpy as np
import spacy
from conftest import toy_text

from multibert_spacy.domains.learning import able_detectors, learn_domain

WORDS = "دادگاه قاضی قانون حکم وکیل شاکی متهم پرونده".split()


def legal_docs(nlp, n=20):
    rng = np.random.default_rng(0)
    return [nlp.make_doc(" ".join(rng.choice(WORDS, 6))) for _ in range(n)]


def detector_of(nlp):
    return nlp.get_pipe("domain_detector")


def test_it_is_detected_and_others_are_as_before(mixed):
    texts = [toy_text(domain, seed=90 + i) for domain in ("news", "sports") for i in range(10)]
    before = [mixed(text)._.domain for text in texts]
    learn_domain(detector_of(mixed), "legal", legal_docs(mixed), "دادگاه و قانون")
    assert list(detector_of(mixed).labels) == ["news", "sports", "travel", "legal"]
    model = detector_of(mixed).model
    assert model.mixture.descriptions[-1] == "دادگاه و قانون"
    assert not model.mixture.trained[-1]
    scores = detector_of(mixed).predict(legal_docs(mixed, 5))
    assert scores.argmax(1).tolist() == [3] * 5
    assert [mixed(text)._.domain for text in texts] == before


def test_without_a_description_its_texts_stand_for_it(mixed):
    learn_domain(detector_of(mixed), "legal", legal_docs(mixed), None)
    assert detector_of(mixed).model.mixture.descriptions[-1] == ""
    assert np.isfinite(detector_of(mixed).model.mixture.described).all()


def test_what_is_learnt_is_what_is_loaded(mixed, tmp_path):
    learn_domain(detector_of(mixed), "legal", legal_docs(mixed), "دادگاه و قانون")
    detector_of(mixed).to_disk(tmp_path / "detector")
    other = mixed.create_pipe(
        "domain_detector", config={"model": mixed.get_pipe_config("domain_detector")["model"]}
    )
    other.model.layers[0].receive(mixed.get_pipe("transformer"))
    other.from_disk(tmp_path / "detector")
    docs = legal_docs(mixed, 3)
    assert np.array_equal(other.predict(docs), detector_of(mixed).predict(docs))


def test_the_same_texts_give_the_same_detector(mixed_folder):
    found = []
    for _ in range(2):
        nlp = spacy.load(mixed_folder)
        learn_domain(detector_of(nlp), "legal", legal_docs(nlp), None, seed=1)
        found.append(detector_of(nlp).model.mixture.topics)
    assert np.array_equal(*found)


def test_which_can_learn(mixed, trained, caplog):
    assert able_detectors(mixed) == [detector_of(mixed)]
    assert not caplog.records
    assert able_detectors(trained) == []
    assert "'domain_detector' cannot learn a further domain" in caplog.text
