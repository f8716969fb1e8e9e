"""A tiny random core, so that the whole path can be walked in seconds where nothing is learnt."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

LETTERS = "اآأؤئبپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی0123456789۰۱۲۳۴۵۶۷۸۹،.؟!:#@_-/"
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def build_toy_core(folder: Path, *, seed: int = 0) -> None:
    """Write a Hugging Face folder: 2 layers, width 32, one piece per letter."""
    pieces = [*SPECIAL, "▁", *dict.fromkeys(LETTERS)]
    backend = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], 3))
    backend.normalizer = normalizers.Replace("\u200c", " ")
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(zip(("cls_token", "pad_token", "sep_token", "unk_token"), SPECIAL, strict=True))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **names)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        pad_token_id=1,
    )
    tokenizer.save_pretrained(folder)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
