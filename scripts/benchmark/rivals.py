"""What one would take instead of us, set up as its documentation says, on the same core.

Where there is a choice it is the one that is faster: PEFT gets sorted batches by a budget of
pieces, as ours are, and its adapters in bf16. Long texts are read whole by windows of each
library's own kind. Weights of heads are random; time does not depend on them, but for O, which
is most frequent, as it is in real text.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import spacy
import torch
import transformers
from spacy.language import Language
from torch import Tensor
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer, pipeline

from multibert_spacy.text.batching import batch_by_pieces

from ..domains import LABELS
from .build import ADAPTERS, calibrated

__all__ = [
    "BUDGET",
    "hf_pipeline",
    "peft_mixed",
    "peft_model",
    "peft_one_by_one",
    "quiet",
    "spacy_ner",
]

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


def spacy_ner(core: str, texts: Sequence[str]) -> Run:
    """spacy-transformers' `transformer` and spaCy's `ner`, as in `spacy init config --gpu`."""
    nlp = spacy.blank("fa", config={"nlp": {"batch_size": 128}})
    spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96}
    architecture = "spacy-transformers.TransformerModel.v3"
    model = {"@architectures": architecture, "name": core, "get_spans": spans}
    nlp.add_pipe("transformer", config={"model": model})
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    parser = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": False,
        "tok2vec": listener,
    }
    ner: Any = nlp.add_pipe("ner", config={"model": parser})
    for label in LABELS["formal"]:
        ner.add_label(label)
    with quiet():
        nlp.initialize()
    return lambda: _count_entities(nlp, texts)


def _count_entities(nlp: Language, texts: Sequence[str]) -> int:
    with quiet():
        return sum(len(doc.ents) for doc in nlp.pipe(texts))


def hf_pipeline(core: str, texts: Sequence[str], dtype: torch.dtype) -> Run:
    """Hugging Face's pipeline with its batches of 32."""
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(core)
        model = AutoModelForTokenClassification.from_pretrained(
            core, num_labels=len(TAGS), id2label=dict(enumerate(TAGS))
        ).eval()
        _calibrate(model, tokenizer, texts[:16])
        pipe = pipeline(
            "token-classification",
            model=model.to(dtype),
            tokenizer=tokenizer,
            batch_size=32,
            aggregation_strategy="simple",
            stride=STRIDE,
        )

    def run() -> int:
        return sum(len(entities) for entities in pipe(list(texts)))

    return run


@torch.inference_mode()
def _calibrate(model: Any, tokenizer: Any, texts: Sequence[str]) -> None:
    """Make O the answer for most words."""
    model.classifier.bias.zero_()
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    logits = model(**batch).logits[batch["attention_mask"].bool()]
    model.classifier.bias.copy_(torch.from_numpy(calibrated(logits.numpy())))


def peft_model(core: str, names: Sequence[str], dtype: torch.dtype | None = None) -> Any:
    """The core with a LoRA adapter of our size for each name.

    dtype (torch.dtype): Of core and adapters; None is PEFT's own choice, fp32.
    """
    from peft import LoraConfig, get_peft_model

    settings = ADAPTERS["lora"]
    config = LoraConfig(
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        target_modules="all-linear",
        init_lora_weights=dtype is None,  # with values that add nothing only for training
    )
    with quiet():
        model = AutoModel.from_pretrained(core, add_pooling_layer=False, torch_dtype=dtype)
        own = dtype is None
        model = get_peft_model(model, config, adapter_name=names[0], autocast_adapter_dtype=own)
        for name in names[1:]:
            model.add_adapter(name, config, autocast_adapter_dtype=own)
    return model


def _tokenise(tokenizer: Any, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
    """RETURNS (tuple): Pieces of each window, and the text that it is of."""
    found = tokenizer(
        list(texts),
        truncation=True,
        max_length=512,
        stride=STRIDE,
        return_overflowing_tokens=True,
        return_attention_mask=False,
    )
    return found["input_ids"], found["overflow_to_sample_mapping"]


def _pad(rows: Sequence[list[int]], pad: int) -> dict[str, Tensor]:
    ids = torch.full((len(rows), max(map(len, rows))), pad)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


class _Peft:
    """Raw texts to tags of pieces with PEFT's LoRA; a linear layer serves as head of all."""

    def __init__(self, core: str, texts: Sequence[str], domains: Sequence[str]) -> None:
        self.texts = texts
        self.domains = domains
        with quiet():
            self.tokenizer = AutoTokenizer.from_pretrained(core)
        self.names = sorted(set(domains))
        self.model = peft_model(core, self.names, torch.bfloat16).eval()
        self.head = torch.nn.Linear(self.model.config.hidden_size, len(TAGS), dtype=torch.bfloat16)

    def tag(self, rows: Sequence[list[int]], **options: Any) -> int:
        batch = _pad(rows, self.tokenizer.pad_token_id)
        tags = self.head(self.model(**batch, **options).last_hidden_state).argmax(-1)
        return int((tags * batch["attention_mask"]).count_nonzero())

    @torch.inference_mode()
    def mixed(self) -> int:
        rows, owners = _tokenise(self.tokenizer, self.texts)
        found = 0
        for index in batch_by_pieces([len(row) for row in rows], BUDGET):
            names = [self.domains[owners[i]] for i in index]
            found += self.tag([rows[i] for i in index], adapter_names=names)
        return found

    @torch.inference_mode()
    def one_by_one(self) -> int:
        rows, owners = _tokenise(self.tokenizer, self.texts)
        found = 0
        for name in self.names:
            own = [row for row, i in zip(rows, owners, strict=True) if self.domains[i] == name]
            self.model.set_adapter(name)
            for index in batch_by_pieces([len(row) for row in own], BUDGET):
                found += self.tag([own[i] for i in index])
        return found


def peft_mixed(core: str, texts: Sequence[str], domains: Sequence[str]) -> Run:
    """PEFT's `adapter_names`: domains mixed in a batch."""
    return _Peft(core, texts, domains).mixed


def peft_one_by_one(core: str, texts: Sequence[str], domains: Sequence[str]) -> Run:
    """PEFT's `set_adapter`: one domain after the other."""
    return _Peft(core, texts, domains).one_by_one
