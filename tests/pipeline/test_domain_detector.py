"""The detector: groups, scores by hand, both kinds of model, errors."""

import logging

import numpy as np
import pytest
import spacy
from conftest import (
    LORA,
    NAMES,
    PREFIX,
    TOKENIZER,
    assert_same_predictions,
    fit,
    labelled,
    toy_examples,
    toy_text,
)
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from multibert_spacy.errors import AdapterError, ConfigError, MultibertError
from multibert_spacy.pipeline.domain_detector import join_docs

TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in ("news", "sports", "travel")]
BOW = {
    "@architectures": "spacy.TextCatBOW.v3",
    "exclusive_classes": True,
    "ngram_size": 1,
    "no_output_layer": False,
    "length": 1024,
}
MIXTURE = {
    "@architectures": "multibert_spacy.DomainMixture.v1",
    "pieces": 20,
    "dropout": 0.0,
    "core": {"@architectures": "multibert_spacy.CoreListener.v1"},
    "normalizer": {"@misc": "multibert_spacy.HazmNormalizer.v1"},
}
MODELS = {
    "lora": {"adapter": LORA, "dropout": 0.0},
    "prefix": {"adapter": PREFIX, "dropout": 0.0},
    "projection": {"adapter": {**PREFIX, "projection": True}, "dropout": 0.0},
    "none": {"adapter": {"@misc": "multibert_spacy.NoAdapter.v1"}, "dropout": 0.0},
    "first": {"adapter": LORA, "dropout": 0.0, "pooling": "first"},
    "bow": BOW,
    "mixture": MIXTURE,
}
RATES = {
    "lora": 0.01,
    "prefix": 0.1,
    "projection": 0.02,
    "none": 0.1,
    "first": 0.01,
    "bow": 0.02,
    "mixture": 0.01,
}


def untrained(core=None, model=None, **settings):
    """A pipeline of core and detector."""
    nlp = spacy.blank("fa", config={"nlp": {"tokenizer": TOKENIZER}})
    if core is not None:
        config = {"model": {"name": str(core)}, "precision": "fp32"}
        nlp.add_pipe("frozen_transformer", name="transformer", config=config)
    model = MODELS["lora"] if model is None else model
    nlp.add_pipe("domain_detector", config={"model": model, **settings})
    return nlp


@pytest.fixture(scope="module")
def detect(toy_core, tmp_path_factory):
    """A trained pipeline of core and detector with a model of each kind, saved once."""
    folders = {}

    def load(kind, **settings):
        if kind not in folders:
            nlp = untrained(toy_core, MODELS[kind])
            nlp.initialize(lambda: labelled(nlp, 4))
            draw = {step: labelled(nlp, 6, step) for step in range(50)}
            fit(nlp, draw.__getitem__, steps=50, learn_rate=RATES[kind])
            folders[kind] = tmp_path_factory.mktemp(kind) / "saved"
            nlp.to_disk(folders[kind])
            expected = [dict(doc.cats) for doc in map(nlp, TEXTS)]
            loaded = [dict(doc.cats) for doc in map(spacy.load(folders[kind]), TEXTS)]
            assert loaded == [pytest.approx(scores, abs=1e-5) for scores in expected]
        return spacy.load(folders[kind], config={"components": {"domain_detector": settings}})

    return load


# Scores by hand


def by_hand(**settings):
    """A detector without weights that knows three domains."""
    detector = untrained(**settings).get_pipe("domain_detector")
    detector.cfg["labels"] = ["news", "sports", "travel"]
    return detector


def test_set_annotations_writes_scores_and_the_best_domain():
    detector = by_hand()
    docs = [Doc(Vocab(), words=["سفر"]), Doc(Vocab(), words=[])]
    detector.set_annotations(docs, np.array([[0.2, 0.1, 0.7], [0.5, 0.25, 0.25]], dtype="f"))
    assert docs[0].cats == pytest.approx({"news": 0.2, "sports": 0.1, "travel": 0.7})
    assert docs[1].cats == {"news": 0.5, "sports": 0.25, "travel": 0.25}
    assert [doc._.domain for doc in docs] == ["travel", "news"]
    assert all(type(score) is float for score in docs[0].cats.values())


@pytest.mark.parametrize(
    "threshold, domain",
    [(0.0, "travel"), (0.5, "travel"), (0.625, "travel"), (0.626, "sports"), (1.0, "sports")],
)
def test_a_score_below_the_threshold_chooses_the_fallback(threshold, domain):
    detector = by_hand(threshold=threshold, fallback_domain="sports")
    doc = Doc(Vocab(), words=["سفر"])
    detector.set_annotations([doc], np.array([[0.25, 0.125, 0.625]], dtype="f"))
    assert doc._.domain == domain
    assert doc.cats == {"news": 0.25, "sports": 0.125, "travel": 0.625}


def test_scores_need_one_row_per_doc():
    with pytest.raises(ValueError):
        by_hand().set_annotations([Doc(Vocab())], np.zeros((2, 3), dtype="f"))


def test_predict_touches_no_doc(nlp):
    detector = nlp.get_pipe("domain_detector")
    docs = [nlp.make_doc(text) for text in TEXTS]
    before = [doc.to_bytes() for doc in docs]
    scores = detector.predict(docs)
    assert [doc.to_bytes() for doc in docs] == before
    assert scores.shape == (9, 3)
    assert scores.dtype == np.float32
    assert scores.sum(axis=1) == pytest.approx(np.ones(9), abs=1e-5)


def test_a_doc_without_words_has_no_favourite(nlp):
    detector = nlp.get_pipe("domain_detector")
    docs = [nlp.make_doc(text) for text in ("", "سفر", "")]
    scores = detector.predict(docs)
    assert scores[0] == pytest.approx([1 / 3] * 3)
    assert scores[2] == pytest.approx([1 / 3] * 3)
    assert scores[1] == pytest.approx(detector.predict(docs[1:2])[0], abs=1e-6)
    assert detector.predict([]).shape == (0, 3)


def test_nothing_to_do(nlp):
    assert list(nlp.get_pipe("domain_detector").pipe([])) == []


# Groups


def test_annotate_groups(detect):
    nlp = detect("lora")
    groups = [
        [nlp.make_doc("هتل تبریز دریا"), nlp.make_doc("تبریز")],
        [nlp.make_doc("گل بازی لیگ")],
        [],
    ]
    nlp.get_pipe("domain_detector").annotate_groups(groups)
    assert [[doc._.domain for doc in group] for group in groups] == [
        ["travel", "travel"],
        ["sports"],
        [],
    ]
    assert dict(groups[0][0].cats) == dict(groups[0][1].cats)


def test_join_docs():
    vocab = Vocab()
    docs = [
        Doc(vocab, words=["سفر", "به"], spaces=[True, False], ents=["B-LOC", "O"]),
        Doc(vocab, words=[]),
        Doc(vocab, words=["تبریز", "!"], spaces=[False, False]),
        Doc(vocab, words=["ا"]),
    ]
    docs[0]._.domain = "travel"
    joined = join_docs(docs, vocab)
    assert joined.text == "سفر به تبریز! ا "
    assert [word.text for word in joined] == ["سفر", "به", "تبریز", "!", "ا"]
    assert joined.ents == ()
    assert joined._.domain is None
    assert len(docs[0].ents) == 1


@given(
    st.lists(
        st.lists(st.tuples(st.text("ابپ.", min_size=1, max_size=3), st.booleans()), max_size=4),
        max_size=4,
    )
)
def test_joined_docs_have_the_words_of_all(parts):
    vocab = Vocab()
    docs = [
        Doc(vocab, words=[word for word, _ in part], spaces=[space for _, space in part])
        for part in parts
    ]
    joined = join_docs(docs, vocab)
    assert [word.text for word in joined] == [word for part in parts for word, _ in part]
    if len(docs) == 1:
        assert joined.text == docs[0].text
    assert joined.text.split() == [piece for doc in docs for piece in doc.text.split()]


# Overfitting, both models


@pytest.mark.parametrize("kind", list(MODELS))
def test_overfitting_and_round_trip(detect, kind):
    """That what is saved and loaded predicts the same is checked where it is saved."""
    nlp = detect(kind)
    assert nlp("هتل تبریز سفر")._.domain == "travel"
    assert nlp("گل تبریز بازی")._.domain == "sports"
    assert nlp("خبر تبریز وزیر")._.domain == "news"
    assert max(nlp("هتل سفر دریا").cats.values()) > 0.5
    found = [doc._.domain for doc in map(nlp, TEXTS)]
    assert found == ["news", "sports", "travel"] * 3


@pytest.mark.parametrize("kind", list(MODELS))
def test_bytes_of_the_component(detect, kind):
    nlp = detect(kind)
    data = nlp.get_pipe("domain_detector").to_bytes()
    other = untrained(model=MODELS[kind])
    if kind != "bow":
        other.add_pipe("transformer", source=nlp, first=True)
    other.get_pipe("domain_detector").from_bytes(data)
    expected = [dict(doc.cats) for doc in map(nlp, TEXTS)]
    found = [dict(doc.cats) for doc in map(other, TEXTS)]
    assert found == [pytest.approx(scores, abs=1e-5) for scores in expected]


@pytest.mark.parametrize("kind", ["lora", "bow"])
def test_labels_survive_in_their_order(detect, kind):
    assert detect(kind).get_pipe("domain_detector").labels == ("news", "sports", "travel")


def test_a_stock_model_has_no_adapter_folder(detect, tmp_path):
    detect("bow").to_disk(tmp_path / "bow")
    files = {p.name for p in (tmp_path / "bow" / "domain_detector").iterdir()}
    assert files == {"cfg", "model"}
    detect("lora").to_disk(tmp_path / "lora")
    files = {p.name for p in (tmp_path / "lora" / "domain_detector").iterdir()}
    assert files == {"cfg", "adapter"}


def test_a_stock_model_needs_no_core(tmp_path):
    nlp = untrained(model=BOW)
    nlp.initialize(lambda: labelled(nlp, 4))
    fit(nlp, lambda step: labelled(nlp, 6, step), steps=30, learn_rate=0.02)
    nlp.to_disk(tmp_path / "a")
    assert spacy.load(tmp_path / "a")("هتل سفر تبریز")._.domain == "travel"


def test_a_damaged_stock_model(detect, tmp_path):
    detect("bow").to_disk(tmp_path / "a")
    path = tmp_path / "a" / "domain_detector" / "model"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(AdapterError, match="model is damaged"):
        spacy.load(tmp_path / "a")
    path.unlink()
    with pytest.raises(AdapterError, match="model is missing"):
        spacy.load(tmp_path / "a")


def test_only_the_detector_learns(make_nlp):
    """Updates of the detector leave core and tagger as they are."""
    nlp = make_nlp()
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only([], heads=False)
    before = [p.clone() for p in tagger.model.module.parameters()]
    core = {k: v.clone() for k, v in nlp.get_pipe("transformer").core.model.state_dict().items()}
    own = [p.clone() for p in nlp.get_pipe("domain_detector").model.module.parameters()]
    fit(nlp, lambda step: labelled(nlp, 2, step), steps=5, learn_rate=0.01)
    assert all(map(lambda a, b: (a == b).all(), tagger.model.module.parameters(), before))
    state = nlp.get_pipe("transformer").core.model.state_dict()
    assert all((state[k] == core[k]).all() for k in core)
    after = nlp.get_pipe("domain_detector").model.module.parameters()
    assert not any((a == b).all() for a, b in zip(after, own, strict=True))


@pytest.mark.parametrize("kind", ["lora", "bow"])
def test_detector_of_another_kind_than_the_tagger(make_nlp, kind):
    config = {"model": MODELS[kind]}
    nlp = make_nlp(adapter=PREFIX, detector=config)
    texts = TEXTS * 2
    expected = list(nlp.pipe(texts, batch_size=1))
    assert_same_predictions(nlp.pipe(texts, batch_size=64), expected)


@pytest.mark.parametrize("kind", ["lora", "bow"])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_both_models_in_batches(detect, kind, batch_size):
    nlp = detect(kind, group_size=2)
    texts = ["هتل سفر", "تبریز", "گل بازی", "", "خبر", "وزیر دولت", "دریا"]
    docs = list(nlp.pipe(texts, batch_size=batch_size))
    domains = ["travel"] * 2 + ["sports"] * 2 + ["news"] * 2 + ["travel"]
    assert [doc._.domain for doc in docs] == domains


# initialize


def test_labels_come_from_the_examples(bert_folder):
    nlp = untrained(bert_folder)
    nlp.initialize(lambda: labelled(nlp, 1))
    assert nlp.get_pipe("domain_detector").labels == ("news", "sports", "travel")


@pytest.mark.parametrize("labels", [["travel", "news", "sports"], []])
def test_labels_are_given(bert_folder, labels):
    """An empty list, as `vars.domains` of detector.cfg has it, stands for all."""
    nlp = untrained(bert_folder)
    nlp.config["initialize"]["components"]["domain_detector"] = {"labels": labels}
    nlp.initialize(lambda: labelled(nlp, 1))
    expected = labels or ["news", "sports", "travel"]
    assert list(nlp.get_pipe("domain_detector").labels) == expected
    assert list(nlp.get_pipe("domain_detector").label_data) == expected
    assert set(nlp("سفر").cats) == {"news", "sports", "travel"}


def test_one_domain_is_not_enough(bert_folder):
    nlp = untrained(bert_folder)

    def examples():
        for eg in toy_examples(nlp, "travel", 2):
            eg.reference.cats = {"travel": 1.0}
            yield eg

    with pytest.raises(ValueError, match="E867"):
        nlp.initialize(examples)


def test_saving_before_training(tmp_path, bert_folder):
    nlp = untrained(bert_folder)
    nlp.to_disk(tmp_path / "a")
    with pytest.raises(MultibertError):
        untrained(bert_folder)("سفر")


def test_other_labels_than_the_adapter_s(detect, tmp_path):
    nlp = detect("lora")
    nlp.to_disk(tmp_path / "a")
    path = tmp_path / "a" / "domain_detector" / "cfg"
    path.write_text('{"labels": ["news", "travel"]}', encoding="utf8")
    with pytest.raises(AdapterError, match="news.*sports.*travel"):
        spacy.load(tmp_path / "a")


@pytest.mark.parametrize("content", ["null", "{}", "[1]", '{"labels": null}', "{"])
def test_a_damaged_cfg(detect, tmp_path, content):
    detect("lora").to_disk(tmp_path / "a")
    path = tmp_path / "a" / "domain_detector" / "cfg"
    path.write_text(content, encoding="utf8")
    with pytest.raises(AdapterError, match="cfg is damaged"):
        spacy.load(tmp_path / "a")


def test_model_settings_are_checked(bert_folder):
    for model, words in (({"pooling": "max"}, "'max'"), ({"max_pieces": 2}, "max_pieces")):
        with pytest.raises(ConfigError, match=words):
            untrained(bert_folder, model={**MODELS["lora"], **model})


def test_normalizer_is_a_setting(detect):
    plain = detect("lora", model={"normalizer": {"@misc": "multibert_spacy.NoNormalizer.v1"}})
    normal = detect("lora")
    usual, arabic = "بلیت", "بليت"
    assert normal(usual).cats == pytest.approx(dict(normal(arabic).cats), abs=1e-6)
    assert plain(usual).cats == pytest.approx(dict(normal(usual).cats), abs=1e-6)
    assert plain(usual).cats != pytest.approx(dict(plain(arabic).cats), abs=1e-3)


def test_max_pieces_is_a_setting(detect):
    short = detect("lora", model={"max_pieces": 4})
    assert short("هتل سفر گل").cats == pytest.approx(dict(short("هتل سفر خبر").cats), abs=1e-6)
    assert short("هتل گل گل").cats != pytest.approx(dict(short("هتل سفر گل").cats), abs=1e-3)


# Errors through the handler


def test_a_failing_doc_goes_alone(detect, monkeypatch):
    nlp = detect("lora", group_size=2)
    detector = nlp.get_pipe("domain_detector")
    pieces = detector.model.pieces

    def fragile(docs):
        if any("بد" in doc.text for doc in docs):
            raise RuntimeError("bad word")
        return pieces(docs)

    monkeypatch.setattr(detector.model, "pieces", fragile)
    texts = ["هتل سفر", "دریا", "گل", "بد", "خبر", "وزیر"]
    with pytest.raises(RuntimeError, match="bad word"):
        list(nlp.pipe(texts))

    seen = []
    nlp.set_error_handler(lambda name, proc, docs, e: seen.append((name, docs, e)))
    docs = list(nlp.pipe(texts))
    assert [(doc.text, doc._.domain) for doc in docs] == [
        ("هتل سفر", "travel"),
        ("دریا", "travel"),
        ("گل", "sports"),
        ("خبر", "news"),
        ("وزیر", "news"),
    ]
    ((name, failed, error),) = seen
    assert name == "domain_detector"
    assert [doc.text for doc in failed] == ["بد"]
    assert str(error) == "bad word"


def test_a_group_that_fails_only_as_a_whole(detect, monkeypatch):
    nlp = detect("lora", group_size=2)
    detector = nlp.get_pipe("domain_detector")
    pieces = detector.model.pieces

    def fragile(docs):
        if any(doc.text == "گل بد" for doc in docs):
            raise RuntimeError("too much")
        return pieces(docs)

    monkeypatch.setattr(detector.model, "pieces", fragile)
    seen = []
    nlp.set_error_handler(lambda name, proc, docs, e: seen.append([doc.text for doc in docs]))
    assert [doc.text for doc in nlp.pipe(["هتل", "سفر", "گل", "بد"])] == ["هتل", "سفر"]
    assert seen == [["گل", "بد"]]


def test_the_logging_handler_works(detect, monkeypatch, caplog):
    nlp = detect("lora", group_size=1)
    detector = nlp.get_pipe("domain_detector")
    monkeypatch.setattr(
        detector, "annotate_groups", lambda groups: (_ for _ in ()).throw(RuntimeError("all bad"))
    )
    nlp.set_error_handler(spacy.util.ignore_error)
    assert list(nlp.pipe(["سفر"])) == []
    with caplog.at_level(logging.WARNING):
        assert nlp("سفر").cats == {}


# Scores and loss


def test_score(detect):
    nlp = detect("lora", group_size=1)
    examples = []
    for text, domain in (("هتل سفر", "travel"), ("گل", "sports"), ("گل", "news")):
        reference = nlp.make_doc(text)
        reference.cats = {name: float(name == domain) for name in NAMES}
        examples.append(Example(nlp.make_doc(text), reference))
    assert nlp.evaluate(examples)["domain_acc"] == pytest.approx(2 / 3)


def test_update_without_words(detect):
    nlp = detect("lora")
    reference = nlp.make_doc("")
    reference.cats = {"news": 1.0, "sports": 0.0, "travel": 0.0}
    losses = nlp.update([Example(nlp.make_doc(""), reference)], sgd=nlp.create_optimizer())
    assert losses["domain_detector"] == 0.0


def test_update_of_words_without_pieces(detect):
    """The loss is the mean square error of a row of two special pieces."""
    nlp = detect("lora")
    reference = nlp.make_doc("\u064b")
    reference.cats = {"news": 1.0, "sports": 0.0, "travel": 0.0}
    losses = nlp.update([Example(nlp.make_doc("\u064b"), reference)], sgd=nlp.create_optimizer())
    assert 0 < losses["domain_detector"] < 1
