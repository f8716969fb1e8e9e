"""spaCy's own components on ours: they are fed what they were promised, or refused."""

import numpy as np
import pytest
import spacy
import torch
from conftest import LORA, TOKENIZER, labelled, toy_text
from peft import PeftModel
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_model_from_config
from spacy_transformers.data_classes import TransformerData
from transformers import AutoModel

from multibert_spacy.errors import ConfigError, DomainError

LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"},
    "upstream": "*",
}
MODELS = {
    "tagger": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": LISTENER},
    "ner": {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 32,
        "maxout_pieces": 2,
        "use_upper": False,
        "nO": None,
        "tok2vec": LISTENER,
    },
    "textcat": {
        "@architectures": "spacy.TextCatParametricAttention.v1",
        "tok2vec": LISTENER,
        "exclusive_classes": True,
        "nO": None,
    },
}
TEXTS = [toy_text(domain, seed=i) for i in range(4) for domain in ("news", "sports", "travel")]


def sourced(folder, stock=(), **settings):
    """A config that sources all three components, with keys beside `source`, and stock ones."""
    names = ["transformer", "domain_detector", "multibert_ner"]
    components = {name: {"source": str(folder), **settings.get(name, {})} for name in names}
    components |= {name: {"factory": name, "model": MODELS[name]} for name in stock}
    nlp = {"lang": "fa", "pipeline": [*names, *stock], "tokenizer": TOKENIZER}
    return load_model_from_config({"nlp": nlp, "components": components}, auto_fill=True)


def examples(nlp, n=6):
    """Of every domain, given, for our components and stock ones."""
    made = labelled(nlp, n)
    for eg in made:
        for word in eg.reference:
            word.tag_ = f"{word.ent_type_}{word.text[0]}"
    return made


def start(nlp, stock, made):
    """Initialise the stock components alone."""
    with nlp.select_pipes(enable=stock):
        nlp.initialize(lambda: made)


def fit_stock(nlp, stock, made, *, exclude=(), annotates=(), steps=25):
    sgd = nlp.create_optimizer()
    sgd.learn_rate = 0.02
    losses = [
        nlp.update(made, sgd=sgd, exclude=exclude, annotates=annotates) for _ in range(steps)
    ]
    for name in stock:
        assert losses[-1][name] < losses[0][name] * 0.7, name


# Refused


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("upstream", ["*", "transformer"])
def test_a_listener_is_refused_where_nothing_is_written(trained, name, upstream):
    model = {**MODELS[name]}
    for key in ("tok2vec", "tok2vec_model"):
        if key in model:
            model[key] = {**LISTENER, "upstream": upstream}
    with pytest.raises(ConfigError, match=f"'{name}' listens to 'transformer'.*annotate = true"):
        trained.add_pipe(name, config={"model": model})


def test_a_saved_pipeline_is_refused_when_annotate_is_taken_away(trained_folder, tmp_path):
    nlp = sourced(trained_folder, ["tagger"], transformer={"annotate": True})
    start(nlp, ["tagger"], examples(nlp))
    nlp.to_disk(tmp_path / "a")
    spacy.load(tmp_path / "a")
    with pytest.raises(ConfigError, match="annotate = true"):
        spacy.load(tmp_path / "a", config={"components.transformer.annotate": False})


def test_what_listens_to_another_transformer_is_not_refused(trained, bert_folder):
    stock = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": str(bert_folder),
        "get_spans": {"@span_getters": "spacy-transformers.doc_spans.v1"},
    }
    trained.add_pipe("transformer", name="other", config={"model": stock}, first=True)
    trained.add_pipe("tagger", config={"model": MODELS["tagger"]})


def test_adapted_feeds_only_what_stands_behind_the_tagger(trained_folder):
    nlp = spacy.load(trained_folder, config={"components.transformer.adapted": True})
    with pytest.raises(ConfigError, match="multibert_ner, behind which"):
        nlp.add_pipe("tagger", config={"model": MODELS["tagger"]}, after="transformer")


def test_adapted_has_no_extra_annotations(trained_folder):
    setter = {"@annotation_setters": "multibert_test_setter.v1"}
    spacy.registry.annotation_setters("multibert_test_setter.v1", func=lambda: print)
    config = {"components.transformer": {"adapted": True, "set_extra_annotations": setter}}
    with pytest.raises(ConfigError, match="set_extra_annotations"):
        spacy.load(trained_folder, config=config)


# Keys beside `source`


def test_keys_beside_source_are_obeyed_and_saved(trained_folder, tmp_path):
    nlp = sourced(
        trained_folder,
        transformer={"annotate": True, "precision": "bf16", "max_batch_items": 99},
        domain_detector={"threshold": 0.4, "fallback_domain": "news", "group_size": 3},
        multibert_ner={"default_domain": "news", "window": 40, "overlap": 7},
    )
    nlp.to_disk(tmp_path / "a")
    for other in (nlp, spacy.load(tmp_path / "a")):
        transformer, detector, tagger = (proc for _, proc in other.components)
        assert (transformer.annotate, transformer.precision) == (True, "bf16")
        assert transformer.cfg["max_batch_items"] == 99
        assert transformer.core.dtype == torch.bfloat16
        assert (detector.cfg["threshold"], detector.fallback_domain) == (0.4, "news")
        assert detector.group_size == 3
        assert (tagger.cfg["default_domain"], tagger.window, tagger.overlap) == ("news", 40, 7)
        config = other.config["components"]
        assert (config["transformer"]["annotate"], config["multibert_ner"]["window"]) == (True, 40)
        assert config["transformer"]["factory"] == "frozen_transformer"
        assert all(doc._.trf_data is not None for doc in other.pipe(TEXTS))


def test_keys_of_the_transformer_alone(trained_folder):
    """Nothing stands behind it that could be linked to it."""
    components = {"transformer": {"source": str(trained_folder), "annotate": True}}
    nlp = load_model_from_config(
        {"nlp": {"lang": "fa", "pipeline": ["transformer"]}, "components": components},
        auto_fill=True,
    )
    assert nlp("سفر")._.trf_data is not None


def test_a_renamed_component_obeys_too(trained_folder):
    section = {"source": str(trained_folder), "component": "transformer", "annotate": True}
    nlp = load_model_from_config(
        {"nlp": {"lang": "fa", "pipeline": ["core"]}, "components": {"core": section}},
        auto_fill=True,
    )
    assert nlp.get_pipe("core").annotate


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"model": {"name": "x"}}, "has a source and model"),
        ({"annotat": True}, "annotat"),
        ({"engine": "abacus"}, "abacus"),
        ({"trainable": "perhaps"}, "trainable"),
    ],
)
def test_keys_that_cannot_be_obeyed(trained_folder, settings, message):
    with pytest.raises(ValueError, match=message):
        _ = sourced(trained_folder, transformer=settings).get_pipe("transformer").core


# Fed by the core


@pytest.mark.parametrize("annotates", [[], ["transformer"]], ids=["updated", "annotating"])
def test_annotate_feeds_stock_components(trained_folder, tmp_path, annotates):
    stock = sorted(MODELS)
    nlp = sourced(trained_folder, stock, transformer={"annotate": True})
    made = examples(nlp)
    start(nlp, stock, made)
    frozen = ["domain_detector", "multibert_ner", *annotates]
    fit_stock(nlp, stock, made, exclude=frozen, annotates=annotates)
    words = [
        (word.tag_, gold.tag_)
        for eg in made
        for word, gold in zip(nlp(eg.predicted.copy()), eg.reference, strict=True)
    ]
    assert np.mean([a == b for a, b in words]) > 0.8
    nlp.to_disk(tmp_path / "a")
    again = spacy.load(tmp_path / "a")
    for a, b in zip(nlp.pipe(TEXTS), again.pipe(TEXTS), strict=True):
        assert [word.tag_ for word in a] == [word.tag_ for word in b]
        assert dict(a.cats) == pytest.approx(dict(b.cats), abs=1e-4)


def test_empty_docs_are_fed(trained_folder):
    nlp = sourced(trained_folder, ["tagger"], transformer={"annotate": True})
    made = examples(nlp, 2)
    start(nlp, ["tagger"], made)
    empty = Doc(nlp.vocab)
    empty._.domain = "news"
    nlp.update([*made, Example(empty, empty.copy())])
    nlp.update([Example(empty, empty.copy())])


# Fed by the tagger, with each domain's adapter


@pytest.fixture
def adapted(trained_folder):
    return spacy.load(trained_folder, config={"components.transformer.adapted": True})


def given(nlp, text, domain):
    doc = nlp.make_doc(text)
    doc._.domain = domain
    return nlp(doc)


def state(doc):
    return np.asarray(doc._.trf_data.model_output.last_hidden_state)


def test_adapted_states_differ_by_domain(adapted):
    text = TEXTS[0]
    a, b = (state(given(adapted, text, domain)) for domain in ("news", "travel"))
    assert a.shape == b.shape == (1, len(text.split()) + 2, 32)
    assert not np.allclose(a, b, atol=1e-3)
    assert np.allclose(a, state(given(adapted, text, "news")), atol=1e-5)


@pytest.mark.parametrize("domain", ["news", "sports", "travel"])
def test_adapted_states_are_peft_s(adapted, trained_folder, domain):
    doc = given(adapted, TEXTS[0], domain)
    core = AutoModel.from_pretrained(trained_folder / "transformer" / "model")
    folder = trained_folder / "multibert_ner" / "domains" / domain
    model = PeftModel.from_pretrained(core, folder).eval()
    ids = torch.tensor(doc._.trf_data.wordpieces.input_ids)
    with torch.no_grad():
        expected = model(input_ids=ids).last_hidden_state
    assert np.allclose(state(doc), expected.numpy(), atol=1e-4)


def test_adapted_states_are_the_tagger_s_own(adapted):
    """Behind the alignment stands what its head reads: the head says the same of it."""
    tagger = adapted.get_pipe("multibert_ner")
    doc = given(adapted, TEXTS[1], "sports")
    data: TransformerData = doc._.trf_data
    assert data.align.lengths.tolist() == [1] * len(doc)
    flat = state(doc).reshape(-1, 32)[data.align.dataXd.ravel()]
    logits = tagger.model.module.heads["social"](torch.tensor(flat))
    rows, _ = tagger._rows([doc], ["sports"])
    from multibert_spacy.pipeline.batching import pack

    (expected,) = tagger.model.predict(pack(rows, tagger.model.core))
    assert np.allclose(logits.detach().numpy(), expected, atol=1e-4)


def test_adapted_states_of_any_length(trained_folder):
    """Windows, a link, a doc without words: what every doc has, stream or not."""
    config = {"components": {"transformer": {"adapted": True}}}
    config["components"]["multibert_ner"] = {"window": 8, "overlap": 3}
    nlp = spacy.load(trained_folder, config=config)
    texts = [" ".join(TEXTS), "سفر https://t.co/abc تبریز", "", "https://t.co/abc", TEXTS[2]]
    docs = [doc for doc, _ in nlp.pipe([(t, {"domain": "news"}) for t in texts], as_tuples=True)]
    assert [len(doc._.trf_data.align.lengths) for doc in docs] == [len(doc) for doc in docs]
    assert state(docs[0]).shape[0] > 10
    assert docs[0]._.trf_data.align.lengths.tolist() == [1] * len(docs[0])
    assert docs[1]._.trf_data.align.lengths.tolist() == [1, 0, 1]
    assert np.allclose(state(docs[4]), state(given(nlp, texts[4], "news")), atol=1e-5)
    again = Doc(nlp.vocab).from_bytes(docs[1].to_bytes())
    assert np.allclose(state(again), state(docs[1]))


@pytest.mark.parametrize("frozen", [True, False])
def test_adapted_feeds_a_tagger_and_a_textcat(trained_folder, tmp_path, frozen):
    stock = ["tagger", "textcat"]
    nlp = sourced(trained_folder, stock, transformer={"adapted": True})
    made = examples(nlp)
    start(nlp, stock, made)
    ours = ["transformer", "domain_detector", "multibert_ner"]
    settings = {"exclude": ours, "annotates": ours[1:]} if frozen else {"exclude": ours[1:2]}
    if not frozen:
        nlp.get_pipe("multibert_ner").train_only(["news"], heads=True)
        made = [eg for eg in made if eg.predicted._.domain == "news"]
        stock = ["tagger"]  # one class only
    fit_stock(nlp, stock, made, **settings)
    nlp.to_disk(tmp_path / "a")
    again = spacy.load(tmp_path / "a")
    assert again.get_pipe("transformer").adapted
    for a, b in zip(nlp.pipe(TEXTS), again.pipe(TEXTS), strict=True):
        assert [word.tag_ for word in a] == [word.tag_ for word in b]
        assert dict(a.cats) == pytest.approx(dict(b.cats), abs=1e-4)


def test_adapted_needs_a_domain(trained_folder):
    nlp = spacy.load(
        trained_folder,
        exclude=["domain_detector"],
        config={"components.transformer.adapted": True},
    )
    with pytest.raises(DomainError, match="domain_detector"):
        nlp(TEXTS[0])


def test_adapted_without_the_tagger_is_refused(trained_folder, tmp_path):
    nlp = sourced(trained_folder, ["tagger"], transformer={"adapted": True})
    start(nlp, ["tagger"], examples(nlp))
    nlp.to_disk(tmp_path / "a")
    with pytest.raises(ConfigError, match="multibert_ner, behind which"):
        spacy.load(tmp_path / "a", disable=["multibert_ner"])


def test_a_prefix_feeds_too(make_nlp):
    prefix = {"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 3}
    for adapter in (prefix, LORA):
        nlp = make_nlp(adapter=adapter)
        nlp.get_pipe("transformer").adapted = True
        a, b = (state(given(nlp, "سفر تبریز", domain)) for domain in ("news", "travel"))
        assert a.shape == b.shape and not np.allclose(a, b, atol=1e-3)
