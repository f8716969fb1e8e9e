"""Domains removed and renamed: tagger, detectors, settings and meta stay in step."""

import numpy as np
import pytest
import spacy
from conftest import LORA, assert_same_predictions, entities, toy_examples, toy_text

import multibert_spacy
from multibert_spacy import (
    ConfigError,
    DomainError,
    add_domain,
    import_domain,
    load_domain,
    remove_domain,
    rename_domain,
    save_domain,
)

DOMAINS = ("news", "sports", "travel")
TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in DOMAINS]
WEIGHTS = ("adapter_model.safetensors", "head.safetensors")


@pytest.fixture(params=["classifier", "mixture"])
def nlp(request, trained_folder, mixed_folder):
    """With either of our detectors."""
    nlp = spacy.load(trained_folder if request.param == "classifier" else mixed_folder)
    nlp.meta["performance"] = {
        "ents_f": 0.8,
        "ents_per_domain": {name: {"f": 0.5} for name in DOMAINS},
    }
    nlp.meta["description"] = "Texts of 3 domains. In texts of 3 domains. Domains: " + (
        ", ".join(sorted(DOMAINS)) + "."
    )
    return nlp


def parts(nlp):
    tagger, detector = nlp.get_pipe("multibert_ner"), nlp.get_pipe("domain_detector")
    return {
        "tagger": sorted(tagger.domains),
        "detector": sorted(detector.labels),
        "meta": sorted(nlp.meta["labels"]["domain_detector"]),
        "scores": sorted(nlp.meta["performance"]["ents_per_domain"]),
        "cats": sorted(nlp(TEXTS[0]).cats),
    }


def weights(nlp, folder, domain):
    nlp.get_pipe("multibert_ner").model.write_domain(domain, folder / domain)
    return [(folder / domain / name).read_bytes() for name in WEIGHTS]


def as_of(nlp, domain):
    docs = [nlp.make_doc(text) for text in TEXTS]
    for doc in docs:
        doc._.domain = domain
    return [
        (entities(doc), list(doc.spans["multibert_ner"].attrs["scores"])) for doc in nlp.pipe(docs)
    ]


def test_a_domain_is_removed_everywhere(nlp, tmp_path):
    remove_domain(nlp, "travel")
    assert set(map(tuple, parts(nlp).values())) == {("news", "sports")}
    assert nlp.meta["description"].endswith("In texts of 2 domains. Domains: news, sports.")
    with pytest.raises(DomainError, match="Unknown domain 'travel'"):
        as_of(nlp, "travel")
    nlp.to_disk(tmp_path / "out")
    loaded = spacy.load(tmp_path / "out")
    assert parts(loaded) == parts(nlp)
    assert_same_predictions(loaded.pipe(TEXTS), nlp.pipe(TEXTS))


def test_the_others_stay_bit_for_bit(nlp, tmp_path):
    before = {name: (weights(nlp, tmp_path / "a", name), as_of(nlp, name)) for name in DOMAINS}
    remove_domain(nlp, "travel")
    rename_domain(nlp, "news", "press")
    for name, own in (("sports", "sports"), ("news", "press")):
        assert (weights(nlp, tmp_path / "b", own), as_of(nlp, own)) == before[name]


def test_a_head_goes_with_its_last_domain(nlp):
    assert "POG" in nlp.get_pipe("multibert_ner").labels
    remove_domain(nlp, "news")
    assert sorted(nlp.get_pipe("multibert_ner").labels) == ["LOC", "ORG"]


def test_a_domain_is_renamed_everywhere(nlp, tmp_path):
    before = [dict(doc.cats) for doc in nlp.pipe(TEXTS)]
    rename_domain(nlp, "travel", "سفر")
    assert set(map(tuple, parts(nlp).values())) == {("news", "sports", "سفر")}
    assert nlp.meta["description"].endswith("Domains: news, sports, سفر.")
    for doc, old in zip(nlp.pipe(TEXTS), before, strict=True):
        assert {name.replace("سفر", "travel"): p for name, p in doc.cats.items()} == old
    nlp.to_disk(tmp_path / "out")
    loaded = spacy.load(tmp_path / "out")
    assert parts(loaded) == parts(nlp)
    assert_same_predictions(loaded.pipe(TEXTS), nlp.pipe(TEXTS))


def test_its_place_and_description_go_along(mixed):
    tagger = mixed.get_pipe("multibert_ner")
    before = list(tagger.domains)
    rename_domain(mixed, "news", "press")
    assert list(tagger.domains) == ["press" if name == "news" else name for name in before]
    assert tagger.model.descriptions == {"press": "خبر دولت"}
    assert mixed.get_pipe("domain_detector").model.mixture.descriptions[0] == "خبر دولت"
    remove_domain(mixed, "press")
    assert tagger.model.descriptions == {}


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/b", "", ".", "..", "con", "nul.txt", "a\x00b", "x" * 300, " news", "e\u0301"],
)
def test_a_name_that_no_folder_can_have(trained, name):
    with pytest.raises(ConfigError, match="Illegal domain name"):
        rename_domain(trained, "news", name)
    assert sorted(trained.get_pipe("multibert_ner").domains) == list(DOMAINS)


@pytest.mark.parametrize("name", ["sports", "Sports"])
def test_a_name_that_another_has(trained, name):
    with pytest.raises(DomainError, match="There is a domain 'sports' already"):
        rename_domain(trained, "news", name)


def test_its_own_name_in_other_letters_is_a_new_one(trained):
    rename_domain(trained, "news", "news")
    rename_domain(trained, "news", "News")
    assert sorted(trained.get_pipe("multibert_ner").domains) == ["News", "sports", "travel"]


@pytest.mark.parametrize(
    "change", [remove_domain, lambda nlp, name: rename_domain(nlp, name, "x")]
)
def test_a_domain_that_is_not_there(trained, change):
    with pytest.raises(DomainError, match="Unknown domain 'law'.*news, sports, travel"):
        change(trained, "law")


def test_the_last_domain_stays(trained):
    remove_domain(trained, "news")
    remove_domain(trained, "sports")
    with pytest.raises(DomainError, match="'travel' is the last domain"):
        remove_domain(trained, "travel")
    assert trained(TEXTS[0])._.domain == "travel"


SETTINGS = {
    "components.domain_detector.threshold": 0.3,
    "components.domain_detector.fallback_domain": "news",
    "components.multibert_ner.default_domain": "news",
}


@pytest.fixture
def set_up(trained_folder):
    return spacy.load(trained_folder, config=SETTINGS)


def settings_of(nlp):
    return (
        nlp.get_pipe("domain_detector").fallback_domain,
        nlp.get_pipe("multibert_ner").cfg["default_domain"],
        nlp.config["components"]["domain_detector"]["fallback_domain"],
        nlp.config["components"]["multibert_ner"]["default_domain"],
    )


def test_a_domain_that_a_setting_names_needs_another_in_its_place(set_up, tmp_path):
    with pytest.raises(DomainError, match="'news' is the fallback_domain of 'domain_detector'"):
        remove_domain(set_up, "news")
    assert "news" in set_up.get_pipe("multibert_ner").domains
    with pytest.raises(DomainError, match="Unknown domain 'law'"):
        remove_domain(set_up, "news", fallback="law")
    with pytest.raises(DomainError, match="its own place"):
        remove_domain(set_up, "news", fallback="news")
    assert settings_of(set_up) == ("news",) * 4
    remove_domain(set_up, "news", fallback="sports")
    assert settings_of(set_up) == ("sports",) * 4
    set_up.to_disk(tmp_path / "out")
    assert settings_of(spacy.load(tmp_path / "out")) == ("sports",) * 4


def test_settings_follow_a_renaming(set_up, tmp_path):
    rename_domain(set_up, "news", "press")
    assert settings_of(set_up) == ("press",) * 4
    set_up.to_disk(tmp_path / "out")
    loaded = spacy.load(tmp_path / "out")
    assert settings_of(loaded) == ("press",) * 4
    assert_same_predictions(loaded.pipe(TEXTS), set_up.pipe(TEXTS))


def test_a_detector_of_another_kind_never_chooses_what_is_gone(make_nlp):
    bow = {
        **{"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True},
        **{"ngram_size": 1, "no_output_layer": False},
    }
    nlp = make_nlp(detector={"model": bow})
    detector = nlp.get_pipe("domain_detector")
    remove_domain(nlp, "travel")
    rename_domain(nlp, "news", "press")
    assert sorted(detector.labels) == ["press", "sports", "travel"]
    assert sorted(nlp(TEXTS[0]).cats) == ["press", "sports"]


def test_a_disabled_detector_follows_too(trained):
    trained.disable_pipe("domain_detector")
    remove_domain(trained, "travel")
    trained.enable_pipe("domain_detector")
    assert sorted(trained.get_pipe("domain_detector").labels) == ["news", "sports"]


def test_a_pipeline_without_a_detector(make_nlp):
    nlp = make_nlp(detector=False)
    rename_domain(nlp, "news", "press")
    remove_domain(nlp, "travel")
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["press", "sports"]


def test_a_pipeline_without_a_tagger():
    nlp = spacy.blank("fa")
    nlp.add_pipe("sentencizer")
    with pytest.raises(ConfigError, match="no multibert_ner, but sentencizer"):
        remove_domain(nlp, "news")


def test_what_is_left_can_be_trained(trained):
    remove_domain(trained, "travel")
    tagger = trained.get_pipe("multibert_ner")
    tagger.train_only(["news"], heads=False)
    before = trained.get_pipe("multibert_ner").model.module.adapter_of("sports").state_dict()
    before = {name: own.clone() for name, own in before.items()}
    tagger.update(toy_examples(trained, "news", 4), sgd=trained.create_optimizer())
    after = tagger.model.module.adapter_of("sports").state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_they_are_public():
    for name in ("load_domain", "remove_domain", "rename_domain", "save_domain"):
        assert name in multibert_spacy.__all__
        assert callable(getattr(multibert_spacy, name))


def test_two_taggers_are_an_error_that_names_them(mixed, tmp_path):
    """The second would raise for each doc of a domain that only the first has."""
    save_domain(mixed, "news", tmp_path / "news")
    before = mixed.get_pipe("multibert_ner").domains
    mixed.add_pipe("multibert_ner", name="second", config={"model": {"adapter": LORA}})
    said = r"several multibert_ner: multibert_ner, second\. .*exclude=\['second'\]"
    for change in (
        lambda: add_domain(mixed, "law", toy_examples(mixed, "news", 6), steps=1),
        lambda: load_domain(mixed, tmp_path / "news", "law"),
        lambda: import_domain(mixed, tmp_path / "news", "law"),
        lambda: rename_domain(mixed, "news", "law"),
        lambda: remove_domain(mixed, "news"),
        lambda: save_domain(mixed, "news", tmp_path / "out"),
    ):
        with pytest.raises(ConfigError, match=said):
            change()
    assert mixed.get_pipe("multibert_ner").domains == before
    mixed.disable_pipe("second")
    with pytest.raises(ConfigError, match=said):
        remove_domain(mixed, "news")
    mixed.remove_pipe("second")
    remove_domain(mixed, "news")
