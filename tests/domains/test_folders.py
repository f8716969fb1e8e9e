"""One domain as a folder: out of a pipeline, into another, with what the detector knows of it."""

import json
import logging
import shutil

import numpy as np
import pytest
import spacy
from conftest import assert_same_predictions, toy_text
from safetensors.numpy import load_file, save_file

from multibert_spacy import (
    AdapterError,
    ConfigError,
    DomainError,
    load_domain,
    remove_domain,
    rename_domain,
    save_domain,
)
from multibert_spacy.serialization.manifest import MANIFEST, file_hash, seal

DOMAINS = ("news", "sports", "travel")
TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in DOMAINS]


@pytest.fixture
def folder(mixed, tmp_path):
    """`news`, saved out of a pipeline."""
    save_domain(mixed, "news", tmp_path / "news")
    return tmp_path / "news"


def said(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_what_was_removed_comes_back_as_it_was(mixed, folder, tmp_path, caplog):
    before = list(mixed.pipe(TEXTS))
    remove_domain(mixed, "news")
    assert load_domain(mixed, folder) == "news"
    assert_same_predictions(mixed.pipe(TEXTS), before)
    mixture = mixed.get_pipe("domain_detector").model.mixture
    assert mixture.labels == ("sports", "travel", "news")
    assert mixture.trained.tolist() == [True, True, True]
    assert mixture.descriptions[2] == "خبر دولت"
    mixed.to_disk(tmp_path / "out")
    assert_same_predictions(spacy.load(tmp_path / "out").pipe(TEXTS), before)
    assert said(caplog) == []


def test_it_may_have_another_name(mixed, folder):
    load_domain(mixed, folder, "press")
    assert mixed.get_pipe("domain_detector").labels[-1] == "press"
    doc = mixed.make_doc(TEXTS[0])
    doc._.domain = "press"
    assert_same_predictions([mixed(doc)], [mixed.get_pipe("multibert_ner")(doc)])


def test_the_others_stay_bit_for_bit(mixed, folder, tmp_path):
    tagger = mixed.get_pipe("multibert_ner")
    names = ("adapter_model.safetensors", "head.safetensors")

    def bytes_of(out):
        found = {}
        for domain in DOMAINS:
            tagger.model.write_domain(domain, out / domain)
            found[domain] = [(out / domain / name).read_bytes() for name in names]
        return found

    before = bytes_of(tmp_path / "a")
    load_domain(mixed, folder, "press")
    assert bytes_of(tmp_path / "b") == before


def test_a_known_name_is_not_replaced(mixed, folder):
    with pytest.raises(DomainError, match="There is a domain 'news' already"):
        load_domain(mixed, folder)


@pytest.mark.parametrize("name", ["../x", "con", ""])
def test_an_illegal_name(mixed, folder, name):
    with pytest.raises(ConfigError, match="Illegal domain name"):
        load_domain(mixed, folder, name)


def test_neither_folder_nor_addon(mixed):
    with pytest.raises(DomainError, match="'legal' is no folder .* no installed add-on"):
        load_domain(mixed, "legal")


def test_a_detector_with_another_bag_knows_it_by_its_topic(mixed, folder):
    remove_domain(mixed, "news")
    detector = mixed.get_pipe("domain_detector")
    with detector.model.module.changing():
        detector.model.module.bias.data = detector.model.module.bias.data + 1e-3
    load_domain(mixed, folder)
    mixture = detector.model.mixture
    assert mixture.trained.tolist() == [True, True, False]
    assert np.array_equal(mixture.means[2], mixture.means[:2].mean(0))
    assert mixed("خبر دولت وزیر مجلس رای")._.domain == "news"
    assert {doc._.domain for doc in mixed.pipe(TEXTS[1:3])} <= {"sports", "travel"}


def test_without_detection_it_is_used_when_given(mixed, folder, caplog):
    load_domain(mixed, folder, "press", detect=False)
    assert "press" not in mixed.get_pipe("domain_detector").labels
    doc = mixed.make_doc(TEXTS[0])
    doc._.domain = "press"
    assert mixed(doc)._.domain == "press"
    assert said(caplog) == []


def test_a_folder_that_knows_nothing_of_its_texts_is_said_in_one_line(
    mixed, trained, tmp_path, caplog
):
    save_domain(trained, "news", tmp_path / "news")
    assert not (tmp_path / "news" / "detector.safetensors").exists()
    load_domain(mixed, tmp_path / "news", "press")
    (line,) = said(caplog)
    assert "'domain_detector' does not know the domain 'press'" in line
    assert "press" not in mixed("خبر دولت").cats


def test_a_classifier_cannot_learn_it(trained, folder, caplog):
    load_domain(trained, folder, "press")
    (line,) = said(caplog)
    assert "can only be trained on the texts of all" in line


def test_what_is_damaged_changes_nothing(mixed, folder):
    path = folder / "detector.safetensors"
    tensors = load_file(path)
    tensors["topic"] = tensors["topic"][:5]
    save_file(tensors, path)
    with pytest.raises(AdapterError, match="detector.safetensors is damaged"):
        load_domain(mixed, folder, "press")
    manifest = json.loads((folder / MANIFEST).read_text("utf8"))
    manifest["files"][path.name] = file_hash(path)
    (folder / MANIFEST).write_text(json.dumps(seal(manifest)), "utf8")
    with pytest.raises(AdapterError, match="topic has shape"):
        load_domain(mixed, folder, "press")
    manifest["detector"]["classes"] = True
    (folder / MANIFEST).write_text(json.dumps(seal(manifest)), "utf8")
    with pytest.raises(AdapterError, match="'detector' is not what was written"):
        load_domain(mixed, folder, "press")
    assert sorted(mixed.get_pipe("multibert_ner").domains) == list(DOMAINS)
    assert sorted(mixed.get_pipe("domain_detector").labels) == list(DOMAINS)


DESCRIPTIONS = ["\ud800", "ا" * 140_000, "\0", 3]


@pytest.mark.parametrize("whose", ["domain", "detector"])
@pytest.mark.parametrize("description", DESCRIPTIONS, ids=["surrogate", "long", "NUL", "number"])
def test_a_description_that_could_not_be_saved(mixed, folder, whose, description):
    manifest = json.loads((folder / MANIFEST).read_text("utf8"))
    about = manifest if whose == "domain" else manifest["detector"]
    about["description"] = description
    del manifest["seal"]
    (folder / MANIFEST).write_text(json.dumps(seal(manifest)), "utf8")
    with pytest.raises(AdapterError, match="damaged"):
        load_domain(mixed, folder, "press")
    assert mixed.get_pipe("multibert_ner").domains == ("news", "sports", "travel")


def test_a_description_that_was_written_into_the_tagger_saves_nothing(mixed, tmp_path):
    mixed.get_pipe("multibert_ner").model.descriptions["news"] = "\ud800"
    with pytest.raises(ConfigError, match="description"):
        mixed.to_disk(tmp_path / "out")


def test_descriptions_of_many_domains_are_saved_and_read(mixed, tmp_path):
    detector = mixed.get_pipe("domain_detector")
    mixture = detector.model.mixture
    arrays = mixture.described[0], mixture.topics[:1], mixture.means[:1]
    for i in range(160):
        mixture = mixture.with_domain(f"law{i}", "قانون و مجلس " * 76, *arrays)
    detector.model.set_mixture(mixture)
    detector.cfg["labels"] = mixture.labels
    detector.to_disk(tmp_path / "out")
    detector.from_disk(tmp_path / "out")
    assert detector.model.mixture.descriptions == mixture.descriptions


@pytest.mark.parametrize(
    "file, key",
    [
        ("detector.safetensors", "topic"),
        ("detector.safetensors", "outputs"),
        ("head.safetensors", "weight"),
        ("adapter_model.safetensors", None),
    ],
)
@pytest.mark.parametrize(
    "value, kind", [(3e38, np.float32), (1e300, np.float64), (-7e4, np.float32)]
)
def test_values_that_fp16_does_not_have(mixed, folder, file, key, value, kind):
    """What is kept in fp16 would become infinite behind the check."""
    tensors = load_file(folder / file)
    key = key or sorted(tensors)[0]
    tensors[key] = np.full_like(tensors[key], value, dtype=kind)
    save_file(tensors, folder / file)
    manifest = json.loads((folder / MANIFEST).read_text("utf8"))
    manifest["files"][file] = file_hash(folder / file)
    del manifest["seal"]
    (folder / MANIFEST).write_text(json.dumps(seal(manifest)), "utf8")
    with pytest.raises(AdapterError, match=f"{file} is damaged: .*not finite numbers"):
        load_domain(mixed, folder, "press")
    assert mixed.get_pipe("domain_detector").labels == DOMAINS


def test_another_core(make_nlp, folder):
    with pytest.raises(AdapterError, match="made for another core"):
        load_domain(make_nlp(), folder, "press")


def test_a_head_that_was_updated_is_not_an_addon_s(mixed, folder, trained_folder):
    """A new release of the pipeline on the same core: the folder brings the head it was made
    with, and leaves the new one to the others.
    """
    newer = spacy.load(trained_folder)
    head = newer.get_pipe("multibert_ner").model.module.heads["formal"]
    head.linear.bias.data = head.linear.bias.data + 0.5
    load_domain(newer, folder, "press")
    module = newer.get_pipe("multibert_ner").model.module
    assert module.head_name("press") == "formal/press"
    assert module.heads["formal"] is head
    doc, own = newer.make_doc(TEXTS[0]), mixed.make_doc(TEXTS[0])
    doc._.domain, own._.domain = "press", "news"
    assert [(e.start, e.end, e.label_) for e in newer(doc).ents] == [
        (e.start, e.end, e.label_) for e in mixed(own).ents
    ]


def test_a_folder_of_something_else_is_not_replaced(mixed, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work", "utf8")
    with pytest.raises(AdapterError, match="no adapter's folder"):
        save_domain(mixed, "news", tmp_path / "thesis")
    save_domain(mixed, "news", tmp_path / "news")
    save_domain(mixed, "travel", tmp_path / "news")
    assert json.loads((tmp_path / "news" / MANIFEST).read_text("utf8"))["domain"] == "travel"


def test_an_old_folder_has_no_knowledge(mixed, mixed_folder, caplog):
    """As those in a saved pipeline, which may be copied by hand."""
    load_domain(mixed, mixed_folder / "multibert_ner" / "domains" / "news", "press")
    assert "press" not in mixed.get_pipe("domain_detector").labels
    assert len(said(caplog)) == 1


def test_a_domain_deleted_by_hand_is_learnt_anew(mixed_folder, folder, tmp_path):
    shutil.copytree(mixed_folder, tmp_path / "own")
    shutil.rmtree(tmp_path / "own" / "multibert_ner" / "domains" / "news")
    nlp = spacy.load(tmp_path / "own")
    assert "news" in nlp.get_pipe("domain_detector").labels
    load_domain(nlp, folder)
    rename_domain(nlp, "news", "press")
    assert nlp.get_pipe("domain_detector").labels == ("sports", "travel", "press")


def test_an_exported_folder_with_something_of_the_users_in_it_stays(trained, tmp_path):
    save_domain(trained, "news", tmp_path / "news")
    save_domain(trained, "news", tmp_path / "news")
    notes = tmp_path / "news" / "notes.md"
    notes.write_text("years of work", encoding="utf8")
    with pytest.raises(AdapterError, match="holds 'notes.md'"):
        save_domain(trained, "news", tmp_path / "news")
    assert notes.read_text(encoding="utf8") == "years of work"
