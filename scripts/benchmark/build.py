"""Pipelines with random adapters, as heavy as trained ones, made in the package's public ways.

What is random is kept in the range of the trained: the adapters change the hidden states, about
one word in eight is in an entity, and a detector answers with many domains. Adapters are rounded
to fp16, in which trained ones are shipped.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import torch
from spacy.language import Language
from spacy.training import Example
from spacy.util import minibatch
from transformers import AutoConfig

from multibert_spacy.networks.mixture import Weights
from multibert_spacy.pipeline.batching import doc_rows, row_batches
from multibert_spacy.pipeline.domain_detector import join_docs
from multibert_spacy.types import Floats2d

from ..build.ship import round_to_half
from ..domains import DOMAINS, LABELS
from .texts import GROUP_SIZE, domain_names

ADAPTERS: dict[str, dict[str, Any]] = {
    "lora": {"@misc": "multibert_spacy.LoRA.v1", "rank": 16, "alpha": 32},
    "prefix": {"@misc": "multibert_spacy.Prefix.v1", "n_virtual": 22},
}
DETECTOR = {"@misc": "multibert_spacy.LoRA.v1", "rank": 8, "alpha": 16}
"""A classifier's adapter; it reads 256 pieces and the lower quarter of the layers."""
MIXTURE = {
    "@architectures": "multibert_spacy.DomainMixture.v1",
    "core": {"@architectures": "multibert_spacy.CoreListener.v1"},
    "normalizer": {"@misc": "multibert_spacy.HazmNormalizer.v1"},
}
"""The shipped detector's network."""
ENGINES = {
    "torch": {"engine": "torch", "precision": "bf16"},
    "OpenVINO bf16": {"engine": "openvino", "precision": "bf16"},
    "OpenVINO int8": {"engine": "openvino", "precision": "int8"},
}
O_SHARE = 0.88
"""Of the words that are in no entity; the sample's corpus has 0.86, the real ones 0.83 to 0.95."""
N_SAMPLE = 64


def build_pipeline(
    core: str,
    n_domains: int,
    texts: Sequence[str],
    *,
    adapter: str = "lora",
    detector: str | None = None,
    seed: int = 0,
) -> Language:
    """Make a pipeline with random adapters.

    n_domains (int): Domains of the tagger. Each has its adapter from its own seed: the same
        one, however many others there are.
    texts (Sequence[str]): Some text, for what must see any.
    adapter (str): Of ADAPTERS.
    detector (str): "lora", a classifier; "mixture", as the shipped one; or None.
    """
    names = domain_names(n_domains)
    tokenizer = {"@tokenizers": "multibert_spacy.PersianTokenizer.v1"}
    nlp = spacy.blank("fa", config={"nlp": {"batch_size": 1000, "tokenizer": tokenizer}})
    frozen = {"model": {"name": core}, "precision": "bf16"}
    nlp.add_pipe("frozen_transformer", name="transformer", config=frozen)
    if detector:
        layers = max(AutoConfig.from_pretrained(core).num_hidden_layers // 4, 1)
        config = {"adapter": DETECTOR, "max_pieces": 256, "bag": True, "layers": layers}
        network = MIXTURE if detector == "mixture" else config
        nlp.add_pipe("domain_detector", config={"model": network})
        nlp.config["initialize"]["components"]["domain_detector"] = {"labels": names}
    model = {"adapter": ADAPTERS[adapter], "dropout": 0.0}
    tagger: Any = nlp.add_pipe("multibert_ner", config={"model": model})
    head = _head_of(names[0])
    settings = {"domain": names[0], "head": head, "labels": list(LABELS[head])}
    nlp.config["initialize"]["components"]["multibert_ner"] = settings

    def examples() -> Iterator[Example]:
        for text, name in zip(texts[:N_SAMPLE] * n_domains, names, strict=False):
            doc = nlp.make_doc(text)
            doc.cats = {other: float(other == name) for other in names}
            yield Example(nlp.make_doc(text), doc)

    torch.manual_seed(seed)
    nlp.initialize(examples)
    pieces = [piece for text in texts[:N_SAMPLE] for piece in _pieces(nlp, text)]
    rng = np.random.default_rng(seed)
    for name in names[1:]:
        head = _head_of(name)
        start = int(rng.integers(len(pieces)))
        own = [*pieces[start:], *pieces[:start]]
        tagger.model.add_domain(name, head=head, labels=LABELS[head], pieces=own)
    tagger.cfg["default_domain"] = None
    for i, name in enumerate(names):
        torch.manual_seed(seed + i)
        _shake(tagger.model.module.adapter_of(name))
    torch.manual_seed(seed)
    _set_heads(nlp, texts[:N_SAMPLE], names)
    if detector == "mixture":
        _set_mixture(nlp, texts[:N_SAMPLE], names)
    elif detector:
        _set_detector(nlp, texts[:N_SAMPLE])
    round_to_half(nlp, ["multibert_ner"])
    tagger.model.weights_changed()
    return nlp


def _head_of(name: str) -> str:
    return DOMAINS[name].head if name in DOMAINS else "social"


def _pieces(nlp: Language, text: str) -> list[int]:
    tagger: Any = nlp.get_pipe("multibert_ner")
    words = [tagger.normalizer(word.text) for word in nlp.make_doc(text)]
    return [piece for word in tagger.model.core.pieces(words) for piece in word]


def _shake(adapter: torch.nn.Module) -> None:
    """Add noise to all parameters: LoRA's B starts at zero, where it would add nothing."""
    with torch.no_grad():
        for p in adapter.parameters():
            p.add_(torch.randn_like(p) * 0.02)


def calibrated(logits: Floats2d) -> Floats2d:
    """Find the bias of a random linear layer that makes its answers varied.

    logits (n, k): Without bias; the first class is O.
    RETURNS (k,): Every class with a mean of 0, then O ahead in O_SHARE of the rows.
    """
    bias: Floats2d = -logits.mean(axis=0)
    ahead = (logits + bias)[:, 1:].max(axis=1) - (logits + bias)[:, 0]
    bias[0] += np.quantile(ahead, O_SHARE)
    return bias


def _set_heads(nlp: Language, texts: Sequence[str], names: Sequence[str]) -> None:
    """Random heads, calibrated on texts of all domains."""
    tagger: Any = nlp.get_pipe("multibert_ner")
    heads = tagger.model.module.heads
    for head in heads.values():
        torch.nn.init.normal_(head.linear.weight, std=4 / head.linear.in_features**0.5)
        torch.nn.init.zeros_(head.linear.bias)
    docs = [nlp.make_doc(text) for text in texts]
    domains = [names[i % len(names)] for i in range(len(docs))]
    core = tagger.model.core
    signs = [False] * len(docs)
    rows = doc_rows(docs, domains, core, tagger.normalizer, window=512, overlap=128, signs=signs)
    logits: dict[str, list[Floats2d]] = {name: [] for name in heads}
    for index, batch in row_batches(rows, tagger.model, 4096):
        for i, part in zip(index, tagger.model.predict(batch), strict=True):
            logits[tagger.model.module.head_name(rows[i].domain)].append(part)
    for name, head in heads.items():
        bias = torch.from_numpy(calibrated(np.concatenate(logits[name])))
        head.linear.bias.data.copy_(bias)


def _set_detector(nlp: Language, texts: Sequence[str]) -> None:
    """Random weights whose answers prefer no domain."""
    detector: Any = nlp.get_pipe("domain_detector")
    module = detector.model.module
    _shake(module.adapter)
    torch.nn.init.normal_(module.linear.weight)
    torch.nn.init.zeros_(module.linear.bias)
    groups = minibatch((nlp.make_doc(text) for text in texts), GROUP_SIZE)
    docs = [join_docs(group, nlp.vocab) for group in groups]
    logits = np.log(np.maximum(detector.predict(docs), 1e-30))
    module.linear.bias.data.copy_(torch.from_numpy(-logits.mean(axis=0)))
    module.weights_changed()


def _set_mixture(nlp: Language, texts: Sequence[str], names: Sequence[str]) -> None:
    """A random bag; the rest is fitted on groups of one text and of eight that are dealt to the
    domains in turn.
    """
    detector: Any = nlp.get_pipe("domain_detector")
    torch.nn.init.normal_(detector.model.module.bag.weight, std=0.1)
    groups = []
    for i in range(4 * len(names)):
        size = (1, GROUP_SIZE)[i // len(names) % 2]
        docs = [nlp.make_doc(texts[(5 * i + j) % len(texts)]) for j in range(size)]
        groups.append((names[i % len(names)], size, join_docs(docs, nlp.vocab)))
    described = {name: DOMAINS[name].description for name in names if name in DOMAINS}
    others = list(described.values())[:1]
    detector.model.fit(names, groups, described, others, Weights())


def write_pipelines(
    core: str, wanted: Sequence[Sequence[Any]], texts: Sequence[str], folder: str, seed: int
) -> None:
    """Make pipelines and save them, to be called in a process of its own.

    wanted (Sequence): Adapter, number of domains and detector of each.
    folder (str): Gets a folder for each, see `folder_of`.
    """
    for adapter, n_domains, detector in wanted:
        nlp = build_pipeline(core, n_domains, texts, adapter=adapter, detector=detector, seed=seed)
        nlp.to_disk(folder_of(Path(folder), adapter, n_domains, detector))


def folder_of(root: Path, adapter: str, n_domains: int, detector: str | None = None) -> Path:
    """RETURNS (Path): Where `write_pipelines` puts a pipeline."""
    return root / f"{adapter}-{n_domains}-{detector or 'given'}"


def engines() -> list[str]:
    """RETURNS (list): Those of ENGINES besides torch, if the extra is installed."""
    return [] if find_spec("openvino") is None else [name for name in ENGINES if name != "torch"]


def load(folder: Path, *, engine: str = "torch") -> Language:
    """Load a saved pipeline. engine (str): Of ENGINES."""
    return spacy.load(folder, config={"components": {"transformer": ENGINES[engine]}})
