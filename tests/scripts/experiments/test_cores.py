"""Kinds of cores side by side: each is measured, by what it is made of."""

import pytest
from conftest import write_toy_corpus
from transformers import AlbertConfig, AlbertModel

from multibert_spacy.core.families.kinds import FAMILIES
from scripts.experiments import cores

SIZES = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 400}


@pytest.fixture
def measured(tmp_path):
    write_toy_corpus(tmp_path, ["train", "dev"])
    kinds = {
        "bert": {"tokenizer": "WordPiece", "config": SIZES | {"intermediate_size": 48}},
        "albert": {
            "tokenizer": "SentencePiece unigram",
            "config": SIZES | {"intermediate_size": 48, "embedding_size": 16},
        },
        "distilbert": {"tokenizer": "byte-level BPE", "config": SIZES},
        "modernbert": {"tokenizer": "SentencePiece BPE", "config": SIZES},
    }
    return cores.measure_cores(kinds, tmp_path, rounds=1, rows=2)


def test_what_is_measured(measured):
    assert list(measured) == ["bert", "albert", "distilbert", "modernbert"]
    config = AlbertConfig(**SIZES, intermediate_size=48, embedding_size=16)
    model = AlbertModel(config, add_pooling_layer=False)
    assert measured["albert"]["parameters"] == sum(p.numel() for p in model.parameters())
    block = 16 * (4 * (32 + 32) + 2 * (32 + 48))
    assert measured["bert"]["adapters"] == {
        "lora": 2 * block,
        "lora_shared": 2 * block,
        "paper_lora": 2 * 2 * 3 * (32 + 32),
        "prefix": 22 * 2 * 2 * 32,
    }
    front = 16 * (16 + 32)
    albert = measured["albert"]["adapters"]
    assert (albert["lora"], albert["lora_shared"]) == (2 * block + front, block + front)
    assert all(1 <= own["pieces_per_word"] < 6 and own["time"] > 0 for own in measured.values())


def test_every_kind_is_in_the_table():
    assert cores.KINDS.keys() == FAMILIES.keys()
    assert {own["tokenizer"] for own in cores.KINDS.values()} == set(cores.TRAINERS)
