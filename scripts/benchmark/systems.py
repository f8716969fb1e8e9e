"""The systems that are timed. Each is made once and then tags all texts as often as it is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from spacy.language import Language
from transformers import AutoModel

from multibert_spacy.pipeline.batching import doc_rows, pack
from multibert_spacy.text.batching import batch_by_pieces
from multibert_spacy.types import WindowBatch

from . import rivals
from .build import ADAPTERS, engines, folder_of, load
from .texts import Text, domain_names, given_domains

LIMIT = "bare bf16"
"""The bare core's forward pass: what the times of all others are divided by."""
MANY = 12
"""Domains of the systems that know several: as many as the project has."""


@dataclass(frozen=True)
class System:
    """Something to time.

    name (str): In the report.
    note (str): What it does, for the reader of the report.
    make (Callable): Takes a `Setup`; returns what tags all texts and counts what it found.
    pipeline (tuple): Adapter, domains and detector of the pipeline that it loads, if one of ours.
    engine (str): That this pipeline runs on, see `build.ENGINES`.
    """

    name: str
    note: str
    make: Callable[["Setup"], Callable[[], int]]
    pipeline: tuple[str, int, str | None] | None = None
    engine: str = "torch"


@dataclass
class Setup:
    """What all systems share: a core, texts, and the folder of the pipelines."""

    core: str
    texts: list[Text]
    folders: Path
    seed: int = 0
    strings: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.strings = [text.text for text in self.texts]

    def domains(self, n_domains: int) -> list[str]:
        """RETURNS (list[str]): What each text is tagged as."""
        return given_domains(self.texts, domain_names(n_domains), seed=self.seed)

    def folder(self, adapter: str, n_domains: int, detector: str | None) -> Path:
        """RETURNS (Path): Where a pipeline is saved."""
        return folder_of(self.folders, adapter, n_domains, detector)

    def load(
        self, adapter: str, n_domains: int, detector: str | None, engine: str = "torch"
    ) -> Language:
        """RETURNS (Language): A saved pipeline."""
        return load(self.folder(adapter, n_domains, detector), engine=engine)

    @cached_property
    def batches(self) -> list[WindowBatch]:
        """The pieces of all texts as our tagger sees them, sorted over all texts, in batches of
        the size that is best for the bare core.
        """
        nlp = self.load("lora", MANY, None)
        tagger: Any = nlp.get_pipe("multibert_ner")
        docs = [nlp.make_doc(text) for text in self.strings]
        core = tagger.model.core
        settings = {"window": tagger.window, "overlap": tagger.overlap}
        no = len(docs)
        rows = doc_rows(docs, [""] * no, core, tagger.normalizer, **settings, signs=[False] * no)
        batches = batch_by_pieces([row.length for row in rows], rivals.BUDGET)
        return [pack([rows[i] for i in index], core) for index in batches]

    @cached_property
    def n_pieces(self) -> int:
        """Pieces of all texts, with the special ones and with what windows share."""
        return sum(int(batch.lengths.sum()) for batch in self.batches)


def _bare(setup: Setup, *, dtype: torch.dtype) -> Callable[[], int]:
    """transformers' own model with its own attention (SDPA), and nothing else."""
    with rivals.quiet():
        model: Any = AutoModel.from_pretrained(
            setup.core, add_pooling_layer=False, torch_dtype=dtype, attn_implementation="sdpa"
        ).eval()
    batches = []
    for batch in setup.batches:
        ids = torch.from_numpy(batch.ids)
        seen = torch.arange(ids.shape[1]) < torch.from_numpy(batch.lengths)[:, None]
        batches.append({"input_ids": ids, "attention_mask": seen.long()})

    @torch.inference_mode()
    def run() -> int:
        return sum(model(**batch).last_hidden_state.shape[0] for batch in batches)

    return run


def _our_core(setup: Setup) -> Callable[[], int]:
    """`Core.forward` without an adapter."""
    tagger: Any = setup.load("lora", MANY, None).get_pipe("multibert_ner")
    core = tagger.model.core
    batches = [(torch.from_numpy(b.ids), torch.from_numpy(b.lengths)) for b in setup.batches]

    @torch.inference_mode()
    def run() -> int:
        return sum(core.forward(ids, lengths).shape[0] for ids, lengths in batches)

    return run


def tag(
    nlp: Language, texts: Sequence[str], domains: Sequence[str] | None, size: int | None = None
) -> int:
    """Raw texts to `doc.ents`. domains (Sequence[str]): None where they are to be detected.
    size (int): `batch_size`; None is the pipeline's own. RETURNS (int): Entities.
    """
    contexts = [{} if domains is None else {"domain": domain} for domain in domains or texts]
    pairs = zip(texts, contexts, strict=True)
    found = nlp.pipe(pairs, as_tuples=True, batch_size=size)
    return sum(len(doc.ents) for doc, _ in found)


def _ours(
    setup: Setup, *, pipeline: tuple[str, int, str | None], engine: str
) -> Callable[[], int]:
    adapter, n_domains, detector = pipeline
    domains = None if detector else setup.domains(n_domains)
    return partial(tag, setup.load(*pipeline, engine), setup.strings, domains)


def _our_system(
    adapter: str, n_domains: int, detector: str | None = None, *, engine: str = "torch"
) -> System:
    pipeline = (adapter, n_domains, detector)
    name, note = f"ours {adapter} {n_domains}", "raw text to doc.ents, domains given"
    if detector:
        name = f"{name}, detected by {detector}"
        note = "raw text to doc.ents, the domain detected in groups of 8"
    if engine != "torch":
        name = f"{name}, {engine}"
    make = partial(_ours, pipeline=pipeline, engine=engine)
    return System(name, note, make, pipeline, engine)


def systems(sizes: Sequence[int] = (1, MANY, 100)) -> list[System]:
    """RETURNS (list[System]): All of them; ours with so many domains."""
    fp32, bf16 = torch.float32, torch.bfloat16
    bare, entities = "forward pass of transformers' model", "raw text to entities, one domain"
    ours = [(adapter, n, None) for adapter in ADAPTERS for n in sizes]
    ours += [(adapter, MANY, "lora") for adapter in ADAPTERS]
    ours += [("lora", MANY, "mixture")]
    fast = [own for own in ours if own[1] == MANY or own[0] == "lora"]
    return [
        System("bare fp32", bare, partial(_bare, dtype=fp32)),
        System(LIMIT, bare, partial(_bare, dtype=bf16)),
        System("our core", "Core.forward without an adapter, bf16", _our_core),
        System("spacy-transformers + ner", f"{entities}, fp32", rivals.spacy_ner),
        System("HF pipeline fp32", f"{entities}", partial(rivals.hf_pipeline, dtype=fp32)),
        System("HF pipeline bf16", f"{entities}", partial(rivals.hf_pipeline, dtype=bf16)),
        System(
            f"PEFT set_adapter {MANY}",
            "raw text to tags of pieces, LoRA, domain after domain, bf16",
            partial(rivals.peft, n_domains=MANY, mixed=False),
        ),
        System(
            f"PEFT adapter_names {MANY}",
            "raw text to tags of pieces, LoRA, domains mixed, bf16",
            partial(rivals.peft, n_domains=MANY, mixed=True),
        ),
        *(_our_system(*own) for own in ours),
        *(_our_system(*own, engine=engine) for engine in engines() for own in fast),
    ]


def choose(all_systems: Sequence[System], names: str) -> list[System]:
    """names (str): Parts of names, comma-separated; empty is all. LIMIT is always taken.
    RAISES (ValueError): If a part is in no name.
    """
    parts = [part for part in map(str.strip, names.split(",")) if part]
    known = [system.name for system in all_systems]
    for part in parts:
        if not any(part in name for name in known):
            raise ValueError(f"No system's name has {part!r} in it; there are: {'; '.join(known)}")
    wanted = (LIMIT, *(name for name in known if any(part in name for part in parts or [""])))
    return [system for system in all_systems if system.name in wanted]
