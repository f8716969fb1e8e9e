"""What one would take instead of us, set up as its documentation says, on the same core.

Where there is a choice it is the one that is faster: PEFT gets sorted batches by a budget of
pieces, as ours are, and its adapters in bf16. Long texts are read whole by windows of each
library's own kind. Weights of heads are random; time does not depend on them, but for O, which
is most frequent, as it is in real text.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import transformers
from spacy.cli.init_config import init_config
from spacy.util import load_model_from_config
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer, pipeline

from multibert_spacy.text.batching import batch_by_pieces

from ..domains import LABELS
from .build import ADAPTERS, calibrated

if TYPE_CHECKING:
    from .systems import Setup

Run = Callable[[], int]

TAGS = ["O", *(f"{prefix}-{label}" for label in LABELS["formal"] for prefix in "BI")]
BUDGET = 1024
"""Padded pieces of a batch. Of 512 to 4096, 1024 to 1536 are the fastest for the bare core: 17,000
pieces of 256 texts take 1.77 s (512), 1.68 (1024), 1.63 (1536), 1.91 (2048), 2.19 (4096) on two
cores, since there is less to pad and the activations stay in the cache."""
STRIDE = 128


@contextmanager
def quiet() -> Iterator[None]:
    """transformers says which weights it makes or leaves out, and spacy-transformers uses torch's
    old name of autocast: nothing that the reader of a benchmark must know.
    """
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(before)


def spacy_ner(setup: "Setup") -> Run:
    """spacy-transformers' `transformer` and spaCy's `ner`, as in `spacy init config --gpu`."""
    config = init_config(lang="fa", pipeline=["ner"], gpu=True)
    config["components"]["transformer"]["model"]["name"] = setup.core
    nlp = load_model_from_config(config, auto_fill=True)
    ner: Any = nlp.get_pipe("ner")
    for label in LABELS["formal"]:
        ner.add_label(label)
    with quiet():
        nlp.initialize()

    def run() -> int:
        with quiet():
            return sum(len(doc.ents) for doc in nlp.pipe(setup.strings))

    return run


def hf_pipeline(setup: "Setup", *, dtype: torch.dtype) -> Run:
    """Hugging Face's pipeline with its batches of 32."""
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(setup.core)
        model = AutoModelForTokenClassification.from_pretrained(
            setup.core, num_labels=len(TAGS), id2label=dict(enumerate(TAGS))
        ).eval()
        _calibrate(model, tokenizer, setup.strings[:16])
        pipe = pipeline(
            "token-classification",
            model=model.to(dtype),
            tokenizer=tokenizer,
            batch_size=32,
            aggregation_strategy="simple",
            stride=STRIDE,
        )
    return lambda: sum(len(entities) for entities in pipe(list(setup.strings)))


@torch.inference_mode()
def _calibrate(model: Any, tokenizer: Any, texts: Sequence[str]) -> None:
    """Make O the answer for most words."""
    model.classifier.bias.zero_()
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    logits = model(**batch).logits[batch["attention_mask"].bool()]
    model.classifier.bias.copy_(torch.from_numpy(calibrated(logits.numpy())))


def peft(setup: "Setup", *, n_domains: int, mixed: bool) -> Run:
    """Raw texts to tags of pieces with PEFT's LoRA, with random weights of our size; a linear
    layer serves as head of all.

    mixed (bool): Whether domains are mixed in a batch (`adapter_names`), or come one after the
        other (`set_adapter`).
    """
    from peft import LoraConfig, get_peft_model

    domains = setup.domains(n_domains)
    names = sorted(set(domains))
    size = {"r": ADAPTERS["lora"]["rank"], "lora_alpha": ADAPTERS["lora"]["alpha"]}
    config = LoraConfig(**size, target_modules="all-linear", init_lora_weights=False)
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(setup.core)
        model: Any = AutoModel.from_pretrained(
            setup.core, add_pooling_layer=False, torch_dtype=torch.bfloat16
        )
        own = {"autocast_adapter_dtype": False}
        model = get_peft_model(model, config, adapter_name=names[0], **own)
        for name in names[1:]:
            model.add_adapter(name, config, **own)
        model.eval()
    head = torch.nn.Linear(model.config.hidden_size, len(TAGS), dtype=torch.bfloat16)

    def tag(rows: Sequence[list[int]], **options: Any) -> int:
        batch = tokenizer.pad({"input_ids": list(rows)}, return_tensors="pt")
        tags = head(model(**batch, **options).last_hidden_state).argmax(-1)
        return int((tags * batch["attention_mask"]).count_nonzero())

    @torch.inference_mode()
    def run() -> int:
        windows = tokenizer(
            list(setup.strings),
            truncation=True,
            max_length=512,
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_attention_mask=False,
        )
        rows = windows["input_ids"]
        own = [domains[i] for i in windows["overflow_to_sample_mapping"]]
        parts = [None] if mixed else names
        found = 0
        for part in parts:
            if part is not None:
                model.set_adapter(part)
            chosen = [i for i, name in enumerate(own) if part in (None, name)]
            for index in batch_by_pieces([len(rows[i]) for i in chosen], BUDGET):
                batch = [chosen[i] for i in index]
                options = {"adapter_names": [own[i] for i in batch]} if mixed else {}
                found += tag([rows[i] for i in batch], **options)
        return found

    return run
