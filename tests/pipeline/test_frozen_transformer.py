"""The component that owns the core: lends it, saves it once, never changes it."""

import shutil

import pytest
import spacy
import torch
from conftest import (
    LORA,
    assert_same_predictions,
    entities,
    fit,
    labelled,
    toy_examples,
    toy_text,
)
from spacy.tokens import Doc
from spacy_transformers.data_classes import TransformerData
from transformers import DebertaV2Config, DebertaV2Model

from multibert_spacy.errors import AdapterError, ConfigError, CoreError

TEXTS = [toy_text(domain, seed=i) for i in range(4) for domain in ("news", "sports", "travel")]


def tensors(nlp):
    """A copy of every tensor of the core."""
    model = nlp.get_pipe("transformer").model.transformer
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def all_equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def bare(core, **settings):
    nlp = spacy.blank("fa")
    nlp.add_pipe(
        "frozen_transformer",
        name="transformer",
        config={"model": {"name": str(core)}, "precision": "fp32", **settings},
    )
    return nlp


# What it writes


def test_writes_nothing_by_default(bert_folder):
    nlp = bare(bert_folder)
    nlp.initialize()
    doc = nlp.make_doc("سفر به تبریز")
    before = doc.to_bytes()
    assert nlp(doc).to_bytes() == before
    assert next(iter(nlp.pipe([doc]))).to_bytes() == before
    assert doc._.trf_data is None


def test_needs_no_core_to_do_nothing(bert_folder):
    nlp = bare(bert_folder)
    assert nlp("سفر").text == "سفر"


def test_annotate_writes_what_a_transformer_writes(bert_folder):
    nlp = bare(bert_folder, annotate=True)
    nlp.initialize()
    doc = nlp("سفر به تبریز")
    (piped,) = nlp.pipe(["سفر به تبریز"])
    for data in (doc._.trf_data, piped._.trf_data):
        assert isinstance(data, TransformerData)
        assert data.model_output.last_hidden_state.shape[-1] == 32
        assert len(data.align) == 3
    plain = spacy.blank("fa")
    plain.add_pipe(
        "transformer",
        config={
            "model": {
                "@architectures": "spacy-transformers.TransformerModel.v3",
                "name": str(bert_folder),
                "get_spans": {
                    "@span_getters": "spacy-transformers.strided_spans.v1",
                    "window": 128,
                    "stride": 96,
                },
            }
        },
    )
    plain.initialize()
    expected = plain("سفر به تبریز")._.trf_data.model_output.last_hidden_state
    got = doc._.trf_data.model_output.last_hidden_state
    assert torch.allclose(torch.tensor(got), torch.tensor(expected), atol=1e-5)


def test_annotate_calls_the_extra_setter(bert_folder):
    nlp = bare(bert_folder, annotate=True)
    nlp.initialize()
    seen = []
    proc = nlp.get_pipe("transformer")
    proc.set_extra_annotations = lambda docs, batch: seen.append([doc.text for doc in docs])
    list(nlp.pipe(["سفر", "تبریز"]))
    assert sorted(sum(seen, [])) == ["تبریز", "سفر"]


def test_max_batch_items_bounds_a_batch(bert_folder):
    def batches(**settings):
        nlp = bare(bert_folder, annotate=True, **settings)
        nlp.initialize()
        seen = []
        nlp.get_pipe("transformer").set_extra_annotations = lambda docs, _: seen.append(len(docs))
        docs = [Doc(nlp.vocab, words=["سفر"] * 10) for _ in range(6)]
        list(nlp.pipe(docs))
        return seen

    assert batches() == [6]
    assert batches(max_batch_items=20) == [2, 2, 2]


@pytest.mark.parametrize("core", ["bert", "xlmr", "roberta"])
def test_annotate_does_not_change_the_entities(make_nlp, core, tmp_path):
    """spacy-transformers sets padding and truncation on the tokenizer that both use."""
    nlp = make_nlp(core=core)
    nlp.to_disk(tmp_path / "a")
    other = spacy.load(tmp_path / "a", config={"components.transformer.annotate": True})
    docs = list(other.pipe(TEXTS))
    assert all(doc._.trf_data is not None for doc in docs)
    assert_same_predictions(docs, nlp.pipe(TEXTS))
    new = [f"{text} ژژژپ گچ {'پ' * 30}" for text in TEXTS]  # words that are not known yet
    assert_same_predictions(other.pipe(new), nlp.pipe(new))


def test_a_stock_listener_trains_beside_ours(make_nlp):
    """spaCy's own tagger on `doc._.trf_data`; ours gives the transformer no gradient to feed it,
    so it is an annotating component, as any frozen transformer is.
    """
    nlp = make_nlp(detector=False)
    nlp.get_pipe("transformer").annotate = True
    nlp.get_pipe("transformer")._core = None
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
        "upstream": "*",
    }
    model = {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener}
    stock = nlp.add_pipe("tagger", config={"model": model})
    examples = toy_examples(nlp, "travel", 8)
    for eg in examples:
        for word in eg.reference:
            word.tag_ = f"{word.ent_type_}{word.text[0]}"
        nlp.get_pipe("transformer")(eg.predicted)
    stock.initialize(lambda: examples, nlp=nlp)
    assert sorted(nlp.get_pipe("transformer").listening_components) == ["multibert_ner", "tagger"]
    nlp.get_pipe("multibert_ner").train_only(["travel"], heads=True)
    core = tensors(nlp)
    sgd = nlp.create_optimizer()
    sgd.learn_rate = 0.02
    losses = [nlp.update(examples, sgd=sgd, annotates=["transformer"]) for _ in range(60)]
    assert losses[-1]["tagger"] < losses[0]["tagger"] / 2
    assert losses[-1]["multibert_ner"] < losses[0]["multibert_ner"] / 2
    assert all_equal(tensors(nlp), core)
    words = [
        (word.tag_, gold.tag_)
        for eg in examples
        for word, gold in zip(nlp(eg.predicted), eg.reference, strict=True)
    ]
    assert sum(a == b for a, b in words) > 0.8 * len(words)


# Lending


def test_both_components_have_the_same_core(nlp):
    core = nlp.get_pipe("transformer").core
    assert nlp.get_pipe("domain_detector").model.listener.core is core
    assert nlp.get_pipe("multibert_ner").model.core is core
    assert nlp.get_pipe("transformer").listening_components == [
        "domain_detector",
        "multibert_ner",
    ]


@pytest.mark.parametrize("name", ["domain_detector", "multibert_ner"])
def test_without_a_core_the_error_says_what_to_add(name):
    nlp = spacy.blank("fa")
    nlp.add_pipe(name)
    with pytest.raises(CoreError, match="frozen_transformer"):
        nlp.initialize(lambda: labelled(nlp, 1))


def test_a_core_behind_the_component_is_not_lent(bert_folder):
    nlp = bare(bert_folder)
    nlp.add_pipe("multibert_ner", first=True)
    with pytest.raises(CoreError, match="before this one"):
        nlp.initialize(lambda: labelled(nlp, 1))


def test_not_initialised(bert_folder):
    with pytest.raises(CoreError, match="initialize or load"):
        _ = bare(bert_folder).get_pipe("transformer").core


def test_upstream_names_its_core(bert_folder, core_folders):
    def build(upstream):
        nlp = bare(bert_folder)
        nlp.add_pipe(
            "frozen_transformer",
            name="second",
            config={"model": {"name": str(core_folders["xlmr"])}, "precision": "fp32"},
        )
        core = {"@architectures": "multibert_spacy.CoreListener.v1", "upstream": upstream}
        nlp.add_pipe("multibert_ner", config={"model": {"adapter": LORA, "core": core}})
        nlp.initialize(lambda: toy_examples(nlp, "travel", 2))
        return nlp

    for upstream in ("transformer", "second"):
        nlp = build(upstream)
        assert nlp.get_pipe("multibert_ner").model.core is nlp.get_pipe(upstream).core
    with pytest.raises(CoreError, match="'third'"):
        build("third")


def test_a_family_that_is_not_supported(tmp_path, bert_folder):
    shutil.copytree(bert_folder, tmp_path / "core")
    config = DebertaV2Config(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    DebertaV2Model(config).save_pretrained(tmp_path / "core")
    nlp = bare(tmp_path / "core")
    nlp.add_pipe("multibert_ner", config={"model": {"adapter": LORA}})
    with pytest.raises(CoreError, match="'deberta-v2'.*bert, roberta, xlm-roberta"):
        nlp.initialize(lambda: toy_examples(nlp, "travel", 2))


# Settings


def test_precision(trained_folder):
    single = spacy.load(trained_folder)
    half = spacy.load(trained_folder, config={"components.transformer.precision": "bf16"})
    assert single.get_pipe("transformer").core.dtype == torch.float32
    assert half.get_pipe("transformer").core.dtype == torch.bfloat16
    assert all(tensor.dtype == torch.float32 for tensor in tensors(half).values())
    a, b = list(single.pipe(TEXTS)), list(half.pipe(TEXTS))
    assert [entities(doc) for doc in a] == [entities(doc) for doc in b]
    assert b[0].cats == pytest.approx(dict(a[0].cats), abs=0.02)
    assert b[0].cats != dict(a[0].cats)


def test_unknown_precision(make_nlp):
    with pytest.raises(ConfigError, match="'int3'"):
        make_nlp(precision="int3")


# Frozen means frozen


@pytest.mark.parametrize(
    "adapter",
    [LORA, {"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 3, "projection": True}],
    ids=["lora", "prefix"],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_updates_leave_the_core_as_it_is(make_nlp, adapter, precision):
    nlp = make_nlp(adapter=adapter, precision=precision)
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["news"], heads=True)
    before, fingerprint = tensors(nlp), nlp.get_pipe("transformer").core.fingerprint()
    learned = [p.clone() for p in tagger.model.module.adapter_of("news").parameters()]
    fit(nlp, lambda step: toy_examples(nlp, "news", 4, step), steps=5, learn_rate=0.01)
    assert all_equal(tensors(nlp), before)
    assert nlp.get_pipe("transformer").core.fingerprint() == fingerprint
    after = list(tagger.model.module.adapter_of("news").parameters())
    assert not any(torch.equal(a, b) for a, b in zip(after, learned, strict=True))


def test_a_trainable_core_changes_and_can_be_frozen(make_nlp, tmp_path):
    nlp = make_nlp(trainable=True, detector=False)
    proc = nlp.get_pipe("transformer")
    before, fingerprint = tensors(nlp), proc.fingerprint()
    fit(nlp, lambda step: toy_examples(nlp, "travel", 3, step), steps=3, learn_rate=0.01)
    after = tensors(nlp)
    assert {name for name in before if not torch.equal(before[name], after[name])} > {
        "encoder.layer.0.attention.self.query.weight",
        "encoder.layer.1.output.dense.weight",
        "embeddings.word_embeddings.weight",
    }
    assert proc.fingerprint() != fingerprint

    proc.freeze()
    assert proc.fingerprint() == proc.core.fingerprint() != fingerprint
    fit(nlp, lambda step: toy_examples(nlp, "travel", 3, step), steps=3, learn_rate=0.01)
    assert all_equal(tensors(nlp), after)


def test_freezing_forgets_an_old_fingerprint(make_nlp, tmp_path):
    """Loaded as trainable, changed, frozen: what is saved has the identity of the new weights."""
    nlp = make_nlp(trainable=True, detector=False)
    nlp.to_disk(tmp_path / "before")
    nlp = spacy.load(tmp_path / "before")
    proc = nlp.get_pipe("transformer")
    with torch.no_grad():
        proc.core.model.embeddings.word_embeddings.weight.add_(0.5)
    proc.freeze()
    nlp.to_disk(tmp_path / "after")
    shutil.rmtree(tmp_path / "after" / "multibert_ner")
    shutil.copytree(tmp_path / "before" / "multibert_ner", tmp_path / "after" / "multibert_ner")
    with pytest.raises(AdapterError, match="another core"):
        spacy.load(tmp_path / "after", config={"components.transformer.trainable": False})


def test_trainable_is_the_config_s(make_nlp, tmp_path):
    make_nlp(detector=False).to_disk(tmp_path / "a")
    nlp = spacy.load(tmp_path / "a", config={"components.transformer.trainable": True})
    tagger = nlp.get_pipe("multibert_ner")
    tagger.train_only(["travel"], heads=True)
    before = tensors(nlp)
    fit(nlp, lambda step: toy_examples(nlp, "travel", 3, step), steps=2, learn_rate=0.01)
    assert not all_equal(tensors(nlp), before)
    nlp = spacy.load(tmp_path / "a")
    assert not nlp.get_pipe("transformer").trainable


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_a_trained_core_is_saved(make_nlp, tmp_path, adapter):
    kinds = {"lora": LORA, "none": {"@misc": "multibert_spacy.NoAdapter.v1"}}
    nlp = make_nlp(trainable=True, detector=False, adapter=kinds[adapter])
    fit(nlp, lambda step: toy_examples(nlp, "travel", 3, step), steps=4, learn_rate=0.01)
    nlp.to_disk(tmp_path / "a")
    other = spacy.load(tmp_path / "a")
    assert all_equal(tensors(other), tensors(nlp))
    pairs = [(text, {"domain": "travel"}) for text in TEXTS]
    assert_same_predictions(
        [doc for doc, _ in other.pipe(pairs, as_tuples=True)],
        [doc for doc, _ in nlp.pipe(pairs, as_tuples=True)],
    )


# On disk


def test_the_core_is_saved_once(trained_folder):
    found = [path.relative_to(trained_folder) for path in trained_folder.rglob("*.safetensors")]
    cores = [path for path in found if path.name == "model.safetensors"]
    assert [path.as_posix() for path in cores] == ["transformer/model/model.safetensors"]
    size = (trained_folder / cores[0]).stat().st_size
    others = [trained_folder / path for path in found if path not in cores]
    assert len(others) == 8  # an adapter and a head: three domains and the detector
    assert all(path.stat().st_size < size / 3 for path in others)


@pytest.mark.parametrize("core", ["bert", "xlmr", "roberta"])
def test_round_trip_of_each_core(make_nlp, tmp_path, core):
    nlp = make_nlp(core=core)
    nlp.to_disk(tmp_path / "a")
    other = spacy.load(tmp_path / "a")
    assert all_equal(tensors(other), tensors(nlp))
    assert_same_predictions(other.pipe(TEXTS), nlp.pipe(TEXTS))
    again = spacy.util.load_model_from_config(nlp.config, auto_fill=True)
    again.from_bytes(nlp.to_bytes())
    assert_same_predictions(again.pipe(TEXTS), nlp.pipe(TEXTS))


def test_saving_onto_itself(trained_folder, tmp_path):
    shutil.copytree(trained_folder, tmp_path / "a")
    nlp = spacy.load(tmp_path / "a")
    expected = list(nlp.pipe(TEXTS))
    nlp.to_disk(tmp_path / "a")
    assert_same_predictions(spacy.load(tmp_path / "a").pipe(TEXTS), expected)
    files = {p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*")}
    assert files == {p.relative_to(trained_folder) for p in trained_folder.rglob("*")}


def test_reading_over_another_core(make_nlp, tmp_path):
    """`from_disk` of a pipeline that has a core takes the new one."""
    first, second = make_nlp(core="bert"), make_nlp(core="xlmr")
    expected = list(second.pipe(TEXTS))
    second.to_disk(tmp_path / "second")
    list(first.pipe(TEXTS))
    first.from_disk(tmp_path / "second")
    assert_same_predictions(first.pipe(TEXTS), expected)


def test_excluding_the_weights(make_nlp, tmp_path):
    nlp = make_nlp(detector=False)
    proc = nlp.get_pipe("transformer")
    proc.to_disk(tmp_path / "empty", exclude=["model"])
    assert list((tmp_path / "empty").iterdir()) == []
    before = proc.core
    proc.from_disk(tmp_path / "empty", exclude=["model"])
    assert proc.core is before


def test_pipeline_without_a_core_yet(bert_folder, tmp_path):
    nlp = bare(bert_folder)
    nlp.to_disk(tmp_path / "a")
    assert not (tmp_path / "a" / "transformer" / "model").exists()


# source


def test_source_both_components(trained, trained_folder):
    nlp = spacy.blank("fa", config={"nlp": {"tokenizer": trained.config["nlp"]["tokenizer"]}})
    for name in trained.pipe_names:
        nlp.add_pipe(name, source=trained)
    expected = list(spacy.load(trained_folder).pipe(TEXTS))
    assert_same_predictions(nlp.pipe(TEXTS), expected)


def test_source_on_an_equal_core(trained, trained_folder):
    """The tagger alone, onto a core of the same weights."""
    nlp = spacy.load(trained_folder, exclude=["multibert_ner"])
    nlp.add_pipe("multibert_ner", source=trained)
    expected = list(spacy.load(trained_folder).pipe(TEXTS))
    assert_same_predictions(nlp.pipe(TEXTS), expected)
    assert nlp.get_pipe("multibert_ner").model.core is nlp.get_pipe("transformer").core


def test_source_by_config(trained_folder, tmp_path):
    config = {
        "nlp": {
            "lang": "fa",
            "pipeline": ["transformer", "multibert_ner"],
            "tokenizer": {"@tokenizers": "multibert_spacy.PersianTokenizer.v1"},
        },
        "components": {
            "transformer": {"source": str(trained_folder)},
            "multibert_ner": {"source": str(trained_folder)},
        },
    }
    nlp = spacy.util.load_model_from_config(config, auto_fill=True)
    nlp.to_disk(tmp_path / "a")
    pairs = [(text, {"domain": "sports"}) for text in TEXTS]
    expected = [doc for doc, _ in spacy.load(trained_folder).pipe(pairs, as_tuples=True)]
    for other in (nlp, spacy.load(tmp_path / "a")):
        assert_same_predictions([doc for doc, _ in other.pipe(pairs, as_tuples=True)], expected)


@pytest.mark.parametrize(
    "name, before", [("multibert_ner", "domain_detector"), ("domain_detector", "transformer")]
)
def test_source_on_another_core(trained, make_nlp, name, before):
    """Of the same size: nothing but the core's identity tells them apart."""
    nlp = make_nlp(core="bert")
    nlp.remove_pipe(name)
    nlp.add_pipe(name, source=trained, after=before)
    with pytest.raises(AdapterError, match="another core"):
        nlp("سفر تبریز")
    with pytest.raises(AdapterError, match="another core"):
        nlp.to_bytes()
