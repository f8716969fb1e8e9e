"""PEFT folders of anybody's become domains: what they compute here is what they compute there."""

import json
import logging

import numpy as np
import pytest
import spacy
import torch
from conftest import FILLERS, NAMES, toy_text
from peft import LoraConfig, PeftModel, PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer

from multibert_spacy import AdapterError, ConfigError, DomainError, import_domain, save_domain
from multibert_spacy.serialization.manifest import MANIFEST

TAGS = ["O", "B-ORG", "B-LOC", "I-LOC", "I-ORG"]
"""In an order of somebody's own."""
WORDS = sorted({word for own in (*NAMES.values(), *FILLERS.values()) for word in own})


@pytest.fixture
def core_folder(trained_folder):
    return trained_folder / "transformer" / "model"


@pytest.fixture
def make_foreign(core_folder, tmp_path):
    """Write a random adapter as PEFT saves it."""

    def make(config, *, task=TaskType.TOKEN_CLS, base=None):
        torch.manual_seed(3)
        if task == TaskType.TOKEN_CLS:
            model = AutoModelForTokenClassification.from_pretrained(core_folder, num_labels=5)
        else:
            model = AutoModel.from_pretrained(core_folder)
        peft = get_peft_model(model, config)
        for name, p in peft.named_parameters():
            if p.requires_grad:
                scale = 3.0 if "classifier" in name else 0.2
                p.data = torch.randn_like(p) * scale
        peft.save_pretrained(tmp_path / "foreign")
        path = tmp_path / "foreign" / "adapter_config.json"
        own = json.loads(path.read_text("utf8"))
        own["base_model_name_or_path"] = str(base or "someone/a-core")
        path.write_text(json.dumps(own), "utf8")
        return tmp_path / "foreign"

    return make


def lora(task=TaskType.TOKEN_CLS, **settings):
    targets = settings.pop("target_modules", ["query", "value"])
    return LoraConfig(task_type=task, r=3, lora_alpha=6, target_modules=targets, **settings)


def theirs(folder, core_folder, words):
    """RETURNS (w, 5): The logits of words, by PEFT and transformers alone."""
    model = AutoModelForTokenClassification.from_pretrained(core_folder, num_labels=5)
    model = PeftModel.from_pretrained(model, folder).eval()
    batch = AutoTokenizer.from_pretrained(core_folder)(
        words, is_split_into_words=True, return_tensors="pt"
    )
    logits = model(**batch).logits[0]
    firsts = [batch.word_ids().index(i) for i in range(len(words))]
    return logits[firsts].detach().numpy()


def ours(nlp, name, words):
    """RETURNS (w, 5): The logits of words, in the order of TAGS."""
    tagger = nlp.get_pipe("multibert_ner")
    found = {}

    def keep(logits, labels, transitions, barred):
        found["logits"] = logits[0]
        tags = ["O", *(f"{begin}-{label}" for label in labels for begin in "BI")]
        found["order"] = [tags.index(tag) for tag in TAGS]
        return [[]]

    doc = spacy.tokens.Doc(nlp.vocab, words=words)
    doc._.domain = name
    tagger._read([doc], keep)
    return found["logits"][:, found["order"]]


@pytest.mark.parametrize("targets", [["query", "value"], r".*encoder.*\.(query|key|dense)"])
def test_a_token_classifier_computes_the_same(
    trained, make_foreign, core_folder, targets, tmp_path
):
    folder = make_foreign(lora(target_modules=targets))
    import_domain(trained, folder, "law", labels=TAGS, trust_core=True)
    assert trained.get_pipe("multibert_ner").labels_of("law") == ("ORG", "LOC")
    expected = theirs(folder, core_folder, WORDS)
    np.testing.assert_allclose(ours(trained, "law", WORDS), expected, atol=2e-4)
    trained.to_disk(tmp_path / "out")
    loaded = spacy.load(tmp_path / "out")
    np.testing.assert_allclose(ours(loaded, "law", WORDS), expected, atol=2e-4)
    save_domain(trained, "law", tmp_path / "law")
    assert "logits = x @ head" in (tmp_path / "law" / "README.md").read_text("utf8")


def test_the_others_stay(trained, make_foreign, core_folder):
    before = [ours_of(trained, name) for name in NAMES]
    import_domain(trained, make_foreign(lora()), "law", labels=TAGS, trust_core=True)
    assert [ours_of(trained, name) for name in NAMES] == before


def ours_of(nlp, name):
    doc = nlp.make_doc(toy_text("news"))
    doc._.domain = name
    doc = nlp(doc)
    return [(e.start, e.end, e.label_, e._.score) for e in doc.ents]


def test_an_adapter_alone_shares_a_head(trained, make_foreign, caplog):
    task = TaskType.FEATURE_EXTRACTION
    folder = make_foreign(lora(task), task=task)
    import_domain(trained, folder, "law", head_from="news", description="قانون", trust_core=True)
    tagger = trained.get_pipe("multibert_ner")
    assert tagger.model.module.head_name("law") == "formal"
    assert tagger.model.descriptions["law"] == "قانون"
    assert ours_of(trained, "law") is not None
    with pytest.raises(AdapterError, match="has no classifier: name a domain .*--head-from"):
        import_domain(trained, folder, "law2", labels=TAGS, trust_core=True)
    with pytest.raises(DomainError, match="Unknown domain 'nothing'"):
        import_domain(trained, folder, "law2", head_from="nothing", trust_core=True)
    assert "law2" not in tagger.domains


def test_its_core_is_proven_or_trusted(trained, make_foreign, core_folder, tmp_path):
    folder = make_foreign(lora())
    with pytest.raises(AdapterError, match="someone/a-core.*--trust-core"):
        import_domain(trained, folder, "law", labels=TAGS)
    folder = make_foreign(lora(), base=core_folder)
    import_domain(trained, folder, "law", labels=TAGS)
    other = tmp_path / "other"
    other.mkdir()
    (other / MANIFEST).write_text(json.dumps({"core": "0" * 64}), "utf8")
    folder = make_foreign(lora(), base=other)
    with pytest.raises(AdapterError, match="made for another core: .* is 000000000000"):
        import_domain(trained, folder, "law2", labels=TAGS, trust_core=True)


def test_what_its_outputs_are_may_stand_beside(trained, make_foreign):
    folder = make_foreign(lora())
    with pytest.raises(AdapterError, match="does not say what its 5 outputs are"):
        import_domain(trained, folder, "law", trust_core=True)
    names = {"id2label": {str(i): tag for i, tag in enumerate(TAGS)}}
    (folder / "config.json").write_text(json.dumps(names), "utf8")
    import_domain(trained, folder, "law", trust_core=True)
    assert trained.get_pipe("multibert_ner").labels_of("law") == ("ORG", "LOC")


@pytest.mark.parametrize(
    "labels, error",
    [
        (["PER"], "has 5 outputs, which PER are not"),
        (["O", "B-A", "I-A", "B-B", "B-C"], "O, and B- and I- of each label"),
        (["A", "A"], "stands twice"),
        (["A\n", "B"], "Illegal label"),
    ],
)
def test_labels_that_do_not_fit(trained, make_foreign, labels, error):
    with pytest.raises(ConfigError, match=error):
        import_domain(trained, make_foreign(lora()), "law", labels=labels, trust_core=True)


def test_names_and_kinds(trained, make_foreign, make_nlp):
    folder = make_foreign(lora())
    with pytest.raises(DomainError, match="There is a domain 'news'"):
        import_domain(trained, folder, "news", labels=TAGS, trust_core=True)
    with pytest.raises(ConfigError, match="Illegal domain name"):
        import_domain(trained, folder, "../law", labels=TAGS, trust_core=True)
    prefix = {"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 8}
    other = make_nlp(adapter=prefix)
    config = json.loads((folder / "adapter_config.json").read_text("utf8"))
    assert config["peft_type"] == "LORA"
    with pytest.raises(AdapterError, match="does not fit the core|holds a lora"):
        import_domain(other, folder, "law", labels=TAGS, trust_core=True)


@pytest.mark.parametrize("n_virtual", [8, 5])
def test_a_prefix(make_nlp, tmp_path, caplog, n_virtual):
    nlp = make_nlp(adapter={"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 8}, detector=False)
    nlp.to_disk(tmp_path / "pipeline")
    core = AutoModel.from_pretrained(tmp_path / "pipeline" / "transformer" / "model")
    task = TaskType.FEATURE_EXTRACTION
    config = PrefixTuningConfig(task_type=task, num_virtual_tokens=n_virtual)
    get_peft_model(core, config).save_pretrained(tmp_path / "foreign")
    if n_virtual != 8:
        with pytest.raises(AdapterError, match="a prefix of 5, .* a prefix of 8 each"):
            import_domain(nlp, tmp_path / "foreign", "law", head_from="news", trust_core=True)
        return
    import_domain(nlp, tmp_path / "foreign", "law", head_from="news", trust_core=True)
    assert ours_of(nlp, "law") is not None
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert any("positions that begin behind its prefix" in line for line in said)


def change(folder, **settings):
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text("utf8"))
    path.write_text(json.dumps({**config, **settings}), "utf8")


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"task_type": "SEQ_CLS"}, "for the task 'SEQ_CLS'"),
        ({"modules_to_save": ["embeddings"]}, "trained parts of the core itself"),
        ({"modules_to_save": 3}, "trained parts of the core itself"),
        ({"use_dora": True}, "the PEFT option use_dora is not supported"),
        ({"peft_type": "IA3"}, "adapters of type IA3 are not supported"),
        ({"target_modules": "(?:(?:x{999}){99}){99}"}, "is not compiled"),
        ({"r": 10**9}, "does not fit the core"),
        ({"r": "3"}, "rank"),
    ],
)
def test_what_cannot_be_imported(trained, make_foreign, settings, error):
    folder = make_foreign(lora())
    change(folder, **settings)
    with pytest.raises(AdapterError, match=error):
        import_domain(trained, folder, "law", labels=TAGS, trust_core=True)
    assert "law" not in trained.get_pipe("multibert_ner").domains


def edit(folder, do):
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    do(tensors)
    save_file(tensors, path)


def test_tensors_that_do_not_fit(trained, make_foreign):
    key = "base_model.model.classifier.weight"
    for do, error in (
        (lambda own: own.update({key: own[key][:, :5].clone()}), "classifier.weight has shape"),
        (lambda own: own.update({key: own[key] * float("nan")}), "not finite"),
        (lambda own: own.update({"base_model.model.x": torch.zeros(2)}), "does not fit the core"),
        (lambda own: own.pop("base_model.model.classifier.bias"), "does not fit the core"),
    ):
        folder = make_foreign(lora())
        edit(folder, do)
        with pytest.raises(AdapterError, match=error):
            import_domain(trained, folder, "law", labels=TAGS, trust_core=True)


def test_a_pickle_is_not_read(trained, make_foreign):
    folder = make_foreign(lora())
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match="is a pickle, which is not loaded"):
        import_domain(trained, folder, "law", labels=TAGS, trust_core=True)


def test_a_folder_of_ours(mixed, tmp_path):
    save_domain(mixed, "news", tmp_path / "news")
    import_domain(mixed, tmp_path / "news", "press")
    assert "press" in mixed.get_pipe("domain_detector").labels
    with pytest.raises(ConfigError, match="has a head and labels of its own"):
        import_domain(mixed, tmp_path / "news", "press2", head_from="news")


@pytest.mark.parametrize("begin", ["base_model.model.", "base_model."])
@pytest.mark.parametrize("both", [False, True])
def test_names_of_two_models_in_one_file(trained, make_foreign, begin, both):
    """Of two names for one tensor the last would have counted."""

    def rename(tensors):
        name = next(name for name in tensors if ".lora_A." in name)
        own = tensors[name] if both else tensors.pop(name)
        tensors[name.replace("base_model.model.bert.", begin)] = own.clone()

    folder = make_foreign(lora())
    edit(folder, rename)
    with pytest.raises(AdapterError, match="names tensors of two models"):
        import_domain(trained, folder, "law", labels=TAGS, trust_core=True)


def test_labels_and_another_domains_head(trained, make_foreign):
    with pytest.raises(ConfigError, match="head_from = 'news' has labels of its own"):
        import_domain(
            trained, make_foreign(lora()), "law", labels=TAGS, head_from="news", trust_core=True
        )
    assert "law" not in trained.get_pipe("multibert_ner").domains


@pytest.mark.parametrize("base", ["a" * 10_000, "a/" * 5000, "\ud800", "a\0b", "/proc/self/mem"])
def test_a_base_that_no_folder_can_be(trained, make_foreign, base):
    folder = make_foreign(lora())
    change(folder, base_model_name_or_path=base)
    with pytest.raises(AdapterError, match="does not prove which core"):
        import_domain(trained, folder, "law", labels=TAGS)
    import_domain(trained, folder, "law", labels=TAGS, trust_core=True)
    assert ours_of(trained, "law") is not None


@pytest.mark.parametrize("what", ["lora_A", "classifier.weight"])
@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "int8", "bool"])
def test_types_of_numbers_that_are_not_read(trained, make_foreign, what, kind):
    folder = make_foreign(lora())
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if what in name)
    tensors[name] = tensors[name].to(getattr(torch, kind))
    save_file(tensors, path)
    with pytest.raises(AdapterError, match=f"is of type {kind}, adapters have float16"):
        import_domain(trained, folder, "law", labels=TAGS, trust_core=True)
