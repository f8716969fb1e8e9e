"""The mixture in a pipeline: fitted, saved, read, refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import spacy
from conftest import MIXTURE, TOKENIZER, fit_toy_mixture, labelled, toy_text

from multibert_spacy.errors import AdapterError, ConfigError
from multibert_spacy.networks.mixture import Weights
from multibert_spacy.networks.mixture_model import MixtureModel
from multibert_spacy.serialization.manifest import MANIFEST, seal

DOMAINS = ("news", "sports", "travel")
TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in DOMAINS]


@pytest.fixture(scope="module")
def fitted(toy_core):
    nlp = spacy.blank("fa", config={"nlp": {"tokenizer": TOKENIZER}})
    config = {"model": {"name": str(toy_core)}, "precision": "fp32"}
    nlp.add_pipe("frozen_transformer", name="transformer", config=config)
    nlp.add_pipe("domain_detector", config={"model": MIXTURE})
    nlp.initialize(lambda: labelled(nlp, 4))
    detector = nlp.get_pipe("domain_detector")
    for step in range(60):
        detector.update(labelled(nlp, 6, step), sgd=nlp.create_optimizer(), drop=0.0)
    fit_toy_mixture(nlp, news="خبر دولت", sports="تیم و بازی")
    return nlp


def test_it_knows_its_domains(fitted):
    right = [fitted(text)._.domain == DOMAINS[i % 3] for i, text in enumerate(TEXTS)]
    assert sum(right) >= 8


def test_cats_sum_to_one_and_the_score_says_how_sure_it_is(fitted):
    for text in TEXTS:
        doc = fitted(text)
        assert sum(doc.cats.values()) == pytest.approx(1, abs=1e-5)
        assert 0 <= doc._.domain_score <= 1


def test_before_it_is_fitted_the_bag_decides_alone(toy_core):
    nlp = spacy.blank("fa", config={"nlp": {"tokenizer": TOKENIZER}})
    config = {"model": {"name": str(toy_core)}, "precision": "fp32"}
    nlp.add_pipe("frozen_transformer", name="transformer", config=config)
    nlp.add_pipe("domain_detector", config={"model": MIXTURE})
    nlp.initialize(lambda: labelled(nlp, 4))
    assert nlp.get_pipe("domain_detector").model.mixture is None
    assert list(nlp(TEXTS[0]).cats.values()) == pytest.approx([1 / 3] * 3)


def scores(nlp):
    return [dict(doc.cats) for doc in nlp.pipe(TEXTS)]


def test_what_is_read_is_what_was_written(fitted, tmp_path):
    fitted.to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved")
    assert scores(again) == [pytest.approx(own, abs=1e-5) for own in scores(fitted)]
    mixture = again.get_pipe("domain_detector").model.mixture
    assert mixture.descriptions == ("خبر دولت", "تیم و بازی", "")
    assert mixture.others == ("قانون و ماده",)
    manifest = tmp_path / "saved" / "domain_detector" / "adapter" / MANIFEST
    assert json.loads(manifest.read_text("utf8"))["mixture"]["descriptions"]["news"] == "خبر دولت"


def test_through_bytes(fitted):
    again = spacy.blank("fa", config={"nlp": {"tokenizer": TOKENIZER}})
    again = spacy.util.load_model_from_config(fitted.config, auto_fill=True)
    again.from_bytes(fitted.to_bytes())
    assert scores(again) == [pytest.approx(own, abs=1e-5) for own in scores(fitted)]


def test_a_domain_that_was_added_is_saved_with_the_others(fitted, tmp_path):
    fitted.to_disk(tmp_path / "saved")
    nlp = spacy.load(tmp_path / "saved")
    detector = nlp.get_pipe("domain_detector")
    docs = [nlp.make_doc("آش و کشک و نخود")] * 3
    embeddings, logits, _ = detector.model.read_groups(docs, detector.model.module.view())
    about = "آش و کشک و نخود"
    (described,) = detector.model.describe([about])
    mixture = detector.model.mixture.with_domain("food", about, described, embeddings, logits)
    detector.model.set_mixture(replace(mixture, weights=Weights(cosine=60.0, gate=-5.0)))
    detector.cfg["labels"] = [*detector.labels, "food"]
    nlp.to_disk(tmp_path / "more")
    again = spacy.load(tmp_path / "more")
    assert again.get_pipe("domain_detector").labels == (*DOMAINS, "food")
    assert set(again(about).cats) == {*DOMAINS, "food"}
    assert again(about)._.domain == "food"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("descriptions", {"news": ""}),
        ("descriptions", None),
        ("others", [3]),
        ("columns", [True]),
        ("columns", [0, 1, 3]),
        ("elsewhere", None),
        ("weights", {"strange": 1.0}),
        ("weights", {"gate": "x"}),
    ],
)
def test_a_damaged_manifest_is_refused(fitted, tmp_path, key, value):
    folder = tmp_path / "saved" / "domain_detector" / "adapter"
    fitted.to_disk(tmp_path / "saved")
    manifest = json.loads((folder / MANIFEST).read_text("utf8"))
    manifest["mixture"][key] = value
    manifest.pop("seal", None)
    (folder / MANIFEST).write_text(json.dumps(seal(manifest)), "utf8")
    shutil.rmtree(tmp_path / "saved" / "vocab", ignore_errors=True)
    model = fitted.get_pipe("domain_detector").model
    before = model.mixture
    with pytest.raises(AdapterError, match="mixture"):
        model.read(folder, DOMAINS)
    assert model.mixture is before


def test_settings_that_make_no_sense():
    for wrong in ({"pieces": 3}, {"layers": -1}, {"dropout": 1.0}):
        given = {"pieces": 50, "batch_pieces": 64, "layers": 0, "dropout": 0.0, **wrong}
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            MixtureModel(None, str, **given)


def test_a_text_without_a_letter_has_no_embedding(fitted):
    model = fitted.get_pipe("domain_detector").model
    embeddings = model.embed([["👍", "!"], ["سلام"]], model.module.view())
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx([0, 1], abs=1e-4)
