"""The core's second identity: what changes a result is another core, what does not is the same."""

import json
import logging
import shutil

import pytest
import spacy
import torch
from tiny import listener_to, load_core, make_adapter
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from transformers import AutoTokenizer

from multibert_spacy.adapters.bank import Bank
from multibert_spacy.adapters.kinds import LoraSettings
from multibert_spacy.core.settings import core_settings, differences
from multibert_spacy.errors import AdapterError
from multibert_spacy.networks.tagger_model import TaggerModel
from multibert_spacy.serialization.manifest import file_hashes, seal

LORA = LoraSettings(rank=4, alpha=8)


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_tokenizer(folder, change):
    path = folder / "tokenizer.json"
    backend = Tokenizer.from_file(str(path))
    change(backend)
    backend.save(str(path))


def swap_pieces(folder):
    """The same vocabulary in another order."""
    path = folder / "tokenizer.json"
    state = json.loads(path.read_text(encoding="utf8"))
    vocab = state["model"]["vocab"]
    if isinstance(vocab, dict):
        a, b = list(vocab)[-2:]
        vocab[a], vocab[b] = vocab[b], vocab[a]
    else:
        vocab[-3], vocab[-2] = vocab[-2], vocab[-3]
    path.write_text(json.dumps(state, ensure_ascii=False), encoding="utf8")
    (folder / "vocab.txt").unlink(missing_ok=True)


CHANGES = {
    "num_attention_heads": lambda f: edit_config(f, num_attention_heads=2),
    "hidden_act": lambda f: edit_config(f, hidden_act="relu"),
    "layer_norm_eps": lambda f: edit_config(f, layer_norm_eps=1e-3),
    "normalizer": lambda f: edit_tokenizer(
        f, lambda t: setattr(t, "normalizer", normalizers.Lowercase())
    ),
    "pre_tokenizer": lambda f: edit_tokenizer(
        f, lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.CharDelimiterSplit("a"))
    ),
    "model": swap_pieces,
    "added_tokens": lambda f: edit_tokenizer(f, lambda t: t.add_tokens(["سلام"])),
}


@pytest.fixture(params=sorted(CHANGES))
def changed(request, core_folder, tmp_path):
    """A copy of each core with one thing that is no weight changed."""
    folder = tmp_path / "core"
    shutil.copytree(core_folder, folder)
    CHANGES[request.param](folder)
    return request.param, core_folder, folder


def test_each_change_is_another_core(changed, tmp_path):
    name, before, after = changed
    own, other = load_core(before), load_core(after)
    assert own.fingerprint() == other.fingerprint()
    found = differences(own.settings, other.settings)
    assert [line.split(" ")[0] for line in found] == [name]
    model = TaggerModel(LORA, listener_to(own), 0.0)
    model.add_domain("news", head="formal", labels=["PER"])
    model.write_domain("news", tmp_path / "news")
    stranger = TaggerModel(LORA, listener_to(other), 0.0)
    with pytest.raises(AdapterError, match=f"made for another core.*{name}"):
        stranger.read_domain(tmp_path / "news")
    assert stranger.module.domains == ()


def test_it_is_the_same_after_saving(core_folder, tmp_path):
    core = load_core(core_folder)
    before = core.settings
    core.tokenizer.save_pretrained(tmp_path / "once")
    once = AutoTokenizer.from_pretrained(tmp_path / "once")
    once.save_pretrained(tmp_path / "twice")
    twice = AutoTokenizer.from_pretrained(tmp_path / "twice")
    specials = {"bos": core.bos, "eos": core.eos, "pad": core.pad}
    for tokenizer in (once, twice):
        assert core_settings(core.model.config, tokenizer, specials) == before


def test_padding_and_truncation_do_not_count(core_folder):
    core = load_core(core_folder)
    specials = {"bos": core.bos, "eos": core.eos, "pad": core.pad}
    before = core.settings
    core.tokenizer(["سلام", "سلام سلام"], padding=True, truncation=True, max_length=3)
    assert core_settings(core.model.config, core.tokenizer, specials) == before


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_precision_does_not_count(bert_folder, precision):
    assert load_core(bert_folder, precision=precision).settings == load_core(bert_folder).settings


def test_a_tokenizer_that_can_only_be_asked(bert_folder):
    class Slow:
        all_special_tokens = ("[CLS]",)

        def __init__(self, vocab):
            self.vocab = vocab

        def encode(self, word, add_special_tokens):
            return [self.vocab.get(c, 0) for c in word]

        def get_vocab(self):
            return self.vocab

    config = load_core(bert_folder).model.config
    one = core_settings(config, Slow({"a": 1, "b": 2}), {"bos": 1})
    assert one == core_settings(config, Slow({"b": 2, "a": 1}), {"bos": 1})
    assert differences(one, core_settings(config, Slow({"a": 2, "b": 1}), {"bos": 1}))


# Pipelines


def pipeline_folder(make_nlp, folder, core="bert"):
    make_nlp(core=core).to_disk(folder)
    return folder


def forge_core(folder):
    path = folder / "multibert.json"
    manifest = json.loads(path.read_text(encoding="utf8"))
    path.write_text(json.dumps(seal(manifest | {"files": file_hashes(folder)})))


@pytest.mark.parametrize("name", ["num_attention_heads", "layer_norm_eps", "normalizer", "model"])
def test_a_pipeline_whose_core_was_changed(make_nlp, tmp_path, name):
    folder = pipeline_folder(make_nlp, tmp_path / "fa")
    CHANGES[name](folder / "transformer" / "model")
    forge_core(folder / "transformer" / "model")
    with pytest.raises(AdapterError, match=f"made for another core.*{name}"):
        spacy.load(folder)


def test_old_folders_are_read_and_called_unproven(make_nlp, tmp_path, caplog):
    folder = pipeline_folder(make_nlp, tmp_path / "fa")
    with caplog.at_level(logging.WARNING):
        spacy.load(folder)
    assert "unproven" not in caplog.text
    for path in [*folder.glob("multibert_ner/domains/*"), folder / "domain_detector" / "adapter"]:
        manifest = json.loads((path / "multibert.json").read_text(encoding="utf8"))
        assert manifest.pop("core_settings")
        (path / "multibert.json").write_text(json.dumps(seal(manifest)), encoding="utf8")
    with caplog.at_level(logging.WARNING):
        nlp = spacy.load(folder)
    assert "unproven: news, sports, travel" in caplog.text
    assert caplog.text.count("unproven") == 2
    caplog.clear()
    nlp.to_disk(folder)
    with caplog.at_level(logging.WARNING):
        spacy.load(folder)
    assert "unproven" not in caplog.text


def test_a_sourced_component_of_the_same_weights(make_nlp, core_folders, tmp_path):
    source = make_nlp(detector=False)
    folder = tmp_path / "core"
    shutil.copytree(core_folders["bert"], folder)
    edit_config(folder, num_attention_heads=2)
    nlp = spacy.blank("fa")
    config = {"model": {"name": str(folder)}, "precision": "fp32"}
    nlp.add_pipe("frozen_transformer", name="transformer", config=config)
    nlp.initialize()
    nlp.add_pipe("multibert_ner", source=source)
    doc = nlp.make_doc("سلام")
    doc._.domain = "news"
    with pytest.raises(AdapterError, match="made for another core.*num_attention_heads"):
        nlp.get_pipe("multibert_ner")(doc)


def test_a_graph_is_made_for_all_of_it(bert_folder, tmp_path):
    graph = pytest.importorskip("multibert_spacy.engines.openvino_graph")
    folder = tmp_path / "core"
    shutil.copytree(bert_folder, folder)
    edit_config(folder, layer_norm_eps=1e-3)
    keys = []
    for path in (bert_folder, folder):
        core = load_core(path)
        keys.append(graph._key(core, Bank([make_adapter(core, LORA)], torch.float32), None))
    assert keys[0]["core"] == keys[1]["core"] and keys[0] != keys[1]
