"""Cores that somebody hands over: weights that are not whole, settings that no core can have."""

import json
import shutil

import pytest
import spacy
from safetensors.torch import load_file, save_file

from multibert_spacy.core.encoder import Core
from multibert_spacy.core.saved_core import load_core, save_core
from multibert_spacy.errors import CoreError
from multibert_spacy.serialization.manifest import file_hashes, seal
from tests.tiny import load_core as tiny_core

NAN = float("nan")


def initialise(folder):
    nlp = spacy.blank("fa")
    config = {"model": {"name": str(folder)}, "precision": "fp32"}
    pipe = nlp.add_pipe("frozen_transformer", config=config)
    nlp.initialize()
    return pipe.core


@pytest.fixture
def given(tmp_path, core_folders, other_folders):
    """A copy of a tiny core, with other settings or without some tensors."""

    def make(kind, *, without=(), **settings):
        folder = tmp_path / "given"
        shutil.copytree(core_folders.get(kind) or other_folders[kind], folder)
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf8")) | settings
        path.write_text(json.dumps(config), encoding="utf8")
        if without:
            weights = load_file(folder / "model.safetensors")
            kept = {name: own for name, own in weights.items() if name not in without}
            assert len(kept) == len(weights) - len(without)
            save_file(kept, folder / "model.safetensors", {"format": "pt"})
        return folder

    return make


class TestWeights:
    """transformers would fill the gaps with random numbers."""

    def test_a_tensor_is_missing(self, given):
        folder = given("bert", without=["encoder.layer.1.output.dense.weight"])
        with pytest.raises(CoreError, match=r"lack encoder\.layer\.1\.output\.dense\.weight, "):
            initialise(folder)

    @pytest.mark.parametrize(
        "kind, settings, lack",
        [
            ("distilbert", {"n_layers": 3}, r"lack transformer\.layer\.2\..* and 13 more"),
            ("modernbert", {"num_hidden_layers": 3}, r"lack layers\.2\..* and 3 more"),
            ("albert", {"num_hidden_groups": 2}, r"lack encoder\.albert_layer_groups\.1\."),
            ("modernbert", {"model_type": "bert", "type_vocab_size": 2}, "lack embeddings"),
        ],
    )
    def test_settings_that_ask_for_more_than_there_is(self, given, kind, settings, lack):
        with pytest.raises(CoreError, match=lack):
            initialise(given(kind, **settings))

    def test_a_saved_core_whose_hashes_were_made_to_fit(self, bert_folder, tmp_path):
        core = tiny_core(bert_folder)
        folder = tmp_path / "core"
        save_core(core, folder, core.fingerprint())
        weights = load_file(folder / "model.safetensors")
        del weights["embeddings.LayerNorm.bias"]
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        path = folder / "multibert.json"
        manifest = json.loads(path.read_text(encoding="utf8"))
        del manifest["seal"]
        path.write_text(json.dumps(seal(manifest | {"files": file_hashes(folder)})))
        with pytest.raises(CoreError, match=r"lack embeddings\.LayerNorm\.bias"):
            load_core(folder)

    @pytest.mark.parametrize("kind", ["bert", "xlmr", "roberta", "albert", "electra"])
    def test_no_pooler_is_needed(self, given, kind):
        assert isinstance(initialise(given(kind)), Core)


BAD = [
    ("albert", "num_hidden_groups", (0, -1, 3, "1", None, 1.5)),
    ("albert", "inner_group_num", (0, 2, "1")),
    ("modernbert", "local_attention", (0, -2, 7, "8", None, 3.5)),
    ("modernbert", "global_rope_theta", (NAN, 0, -1, float("inf"), "x", None)),
    ("modernbert", "local_rope_theta", (NAN, 0, -1, "x")),
    ("modernbert", "global_attn_every_n_layers", (0, -1, "x", None)),
    ("modernbert", "num_attention_heads", (32,)),
    ("modernbert", "norm_eps", (NAN, -1)),
    ("modernbert", "hidden_activation", ("no_such",)),
    ("modernbert", "rope_scaling", ({"type": "linear", "factor": 2},)),
    ("modernbert", "pad_token_id", (10**6,)),
    ("distilbert", "n_heads", (0, -4, 3, 33, "4", None)),
    ("distilbert", "dim", (0, 30)),
    ("electra", "num_attention_heads", (0, 5, None)),
    ("electra", "embedding_size", (0, 32, "x")),
    ("electra", "hidden_size", (0, 30)),
    ("bert", "num_hidden_layers", (0, -1, 10**9)),
    ("bert", "vocab_size", (0, 5, 10**6)),
    ("bert", "type_vocab_size", (0,)),
    ("bert", "layer_norm_eps", (NAN, 0)),
    ("bert", "max_position_embeddings", (0, 2, 4)),
    ("bert", "pruned_heads", ({"0": [0]},)),
    ("bert", "quantization_config", ({"load_in_4bit": True, "quant_method": "bitsandbytes"},)),
    ("roberta", "pad_token_id", (None, -1, "x")),
    *((kind, "is_decoder", (True,)) for kind in ("bert", "xlmr", "electra", "modernbert")),
]


@pytest.mark.parametrize(
    "kind, name, value", [(kind, name, value) for kind, name, own in BAD for value in own]
)
def test_settings_of_no_core(given, kind, name, value):
    with pytest.raises(CoreError) as e:
        initialise(given(kind, **{name: value}))
    assert "\n" not in str(e.value)
