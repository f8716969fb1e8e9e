"""Kinds of cores side by side: parameters, adapters, pieces of a word, time beside BERT's.

    python -m scripts.experiments.cores corpus/persian metrics/cores.json

The sizes are those of published cores (cores.yml), the weights random. A tokenizer of the sort
that each comes with, of 8,000 pieces, is trained on the corpus's train part and counted on dev.
"""

import gc
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import srsly
import torch
import typer
from tokenizers import implementations
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from multibert_spacy.adapters.kinds import LoraSettings, PrefixSettings
from multibert_spacy.core.checkpoints import strip_pooler
from multibert_spacy.core.encoder import QUERY_VALUE, Core
from multibert_spacy.engines.torch_engine import TorchEngine
from multibert_spacy.training.corpus import read_docs

from ..corpora.docbin import make_vocab
from ..record import command_line, commit, readable_errors, save

KINDS: dict[str, Any] = srsly.read_yaml(Path(__file__).with_suffix(".yml"))
TRAINERS = {
    "WordPiece": partial(implementations.BertWordPieceTokenizer, unk_token="<unk>"),
    "byte-level BPE": implementations.ByteLevelBPETokenizer,
    "SentencePiece unigram": implementations.SentencePieceUnigramTokenizer,
    "SentencePiece BPE": implementations.SentencePieceBPETokenizer,
}
NAMES = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
ADAPTERS = {
    "lora": LoraSettings(16),
    "lora_shared": LoraSettings(16, shared=True),
    "paper_lora": LoraSettings(3, 1, QUERY_VALUE),
    "prefix": PrefixSettings(22, init="noise"),
}


def _core(kind: str, own: dict[str, Any], texts: list[list[str]]) -> Core:
    """RETURNS (Core): Of random weights, with a tokenizer that was trained on texts."""
    tokenizer = TRAINERS[own["tokenizer"]]()
    settings = {"unk_token": "<unk>"} if "unigram" in own["tokenizer"] else {}
    settings |= {"vocab_size": 8000, "special_tokens": [*NAMES.values()], "show_progress": False}
    tokenizer.train_from_iterator([" ".join(words) for words in texts], **settings)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **own["config"], pad_token_id=0))
    strip_pooler(model)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, **NAMES)
    return Core(model, fast, precision="fp32")


def _seconds(engine: TorchEngine, rows: int) -> float:
    start = time.process_time()
    engine(torch.full((rows, 64), 7), torch.full((rows,), 64), [0] * rows)
    return time.process_time() - start


def measure_cores(kinds: dict[str, Any], corpus: Path, *, rounds: int, rows: int) -> Any:
    """kinds (dict): As in cores.yml; the first is what time is measured by. rounds (int): In each
    a batch of rows of 64 pieces is run with LoRA by both.
    RETURNS (dict): Kind -> "tokenizer", "parameters", "adapters" (parameters of each),
        "pieces_per_word", and "time": of the CPU, the median of ratios.
    """
    torch.manual_seed(0)
    parts = (read_docs(corpus / part, make_vocab()) for part in ("train", "dev"))
    train, dev = ([[word.text for word in doc] for doc in docs] for docs in parts)
    words, found, first = sum(dev, []), {}, None
    for kind, own in kinds.items():
        gc.collect()  # a core and its cache of pieces know each other
        core = _core(kind, own, train)
        engine = TorchEngine(core, [LoraSettings(16).build(core)], None)
        first = first or engine
        times = [_seconds(engine, rows) / _seconds(first, rows) for _ in range(rounds + 1)]
        sizes = {name: settings.shapes(core).values() for name, settings in ADAPTERS.items()}
        found[kind] = {
            "tokenizer": own["tokenizer"],
            "parameters": sum(p.numel() for p in core.model.parameters()),
            "adapters": {k: sum(torch.Size(one).numel() for one in v) for k, v in sizes.items()},
            "pieces_per_word": sum(map(len, core.pieces(words))) / len(words),
            "time": statistics.median(times[1:]),
        }
    return found


def main(corpus: Path, metrics: Path) -> None:
    """Measure the kinds of cores on the words of a corpus."""
    torch.set_num_threads(1)
    with readable_errors():
        cores = measure_cores(KINDS, corpus, rounds=5, rows=16)
    origin = {"command": command_line("scripts.experiments.cores"), "commit": commit(), "seed": 0}
    save({**origin, "split": "words of dev, pieces at random", "cores": cores}, metrics)


if __name__ == "__main__":
    typer.run(main)
