"""Training an adapter: our code and stock PEFT under autocast, on the same batches and weights.

Both start at the adapter and head of a saved pipeline (PEFT reads its folder), with dropout off
and Adam at one learning rate, and see random tags: the losses that both report must be near. PEFT
has a batch's rows padded to the longest, as transformers' collators do; how much of what it
computes is padding is said in "padding".

Our batches are of texts of about one length (spaCy's `batch_by_padded`). transformers' Trainer
draws them at random unless told otherwise, so both are timed once more on such batches, of as many
of the same texts each: "ours_shuffled" and "peft_shuffled". Their losses are of other batches.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from spacy.tokens import Doc
from spacy.training.batchers import minibatch_by_padded_size
from thinc.api import Adam
from torch.nn import functional as F

from multibert_spacy.models.tagger import Head
from multibert_spacy.pipeline.tagging import doc_rows, pack, row_batches
from multibert_spacy.types import Floats2d, WindowBatch

from . import fresh
from .build import load
from .rivals import quiet
from .texts import domain_names

__all__ = ["BATCH_WORDS", "compare_training", "train_ours", "train_peft"]

BATCH_WORDS = 192
"""Padded words of a batch, as in project.yml."""
RATE = 1e-3
WARM_UP = 3

Tags = list[NDArray[np.int64]]


def _batches(
    folder: str, texts: Sequence[str], steps: int, *, shuffled: bool = False
) -> tuple[Any, list[tuple[WindowBatch, Tags]]]:
    """shuffled (bool): Whether the texts of as many steps are cut to batches in any order.
    RETURNS (tuple): A pipeline, and batches with a random tag for each kept word.
    """
    nlp = load(Path(folder))
    tagger: Any = nlp.get_pipe("multibert_ner")
    name = domain_names(1)[0]
    n_tags = 2 * len(tagger.labels_of(name)) + 1
    core, rng = tagger.model.core, random.Random(0)
    docs = list(nlp.pipe(texts, disable=nlp.pipe_names))
    n = steps + WARM_UP
    parts: list[list[Doc]] = []
    while len(parts) < n:
        parts += minibatch_by_padded_size(docs, size=BATCH_WORDS, buffer=256)
    del parts[n:]
    if shuffled:
        docs = list(chain.from_iterable(parts))
        rng.shuffle(docs)
        parts = [docs[i * len(docs) // n : (i + 1) * len(docs) // n] for i in range(n)]
    batches: list[tuple[WindowBatch, Tags]] = []
    for part in parts:
        rows = doc_rows(part, [name] * len(part), core, tagger.normalizer, window=512, overlap=128)
        if shuffled:
            packed = [pack(sorted(rows, key=lambda row: -len(row.ids)), core)]
        else:
            found = row_batches(rows, tagger.model, tagger.batch_pieces, is_train=True)
            packed = [batch for _, batch in found]
        batches += [(one, [_tags(first, n_tags, rng) for first in one.firsts]) for one in packed]
    return nlp, batches[:n]


def _tags(firsts: NDArray[np.int64], n_tags: int, rng: random.Random) -> NDArray[np.int64]:
    """O for seven words in eight."""
    tags = [rng.randrange(n_tags) if rng.random() < 1 / 8 else 0 for _ in firsts]
    return np.array(tags, dtype=np.int64)


def _loss(logits: Floats2d, gold: Tags) -> tuple[float, int, Floats2d]:
    """Cross-entropy, summed over the words with a tag, as torch's in `train_peft`; not the chain
    that `multibert_ner` learns, so that both learn the same.

    RETURNS (tuple): The sum, the number of words, the gradient (w, k).
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    gradient = shifted / shifted.sum(axis=-1, keepdims=True)
    known = np.flatnonzero(gold >= 0)
    loss = -float(np.log(np.maximum(gradient[known, gold[known]], 1e-30)).sum())
    gradient[known, gold[known]] -= 1.0
    gradient[gold < 0] = 0.0
    return loss, len(known), gradient


def _run(
    step: Callable[[WindowBatch, Tags], float], batches: Sequence[tuple[WindowBatch, Tags]]
) -> dict[str, float]:
    """Time the steps after the first few."""
    losses = [step(*batch) for batch in batches[:WARM_UP]]
    start = time.perf_counter()
    losses += [step(*batch) for batch in batches[WARM_UP:]]
    seconds = time.perf_counter() - start
    n_pieces = sum(int(batch.lengths.sum()) for batch, _ in batches[WARM_UP:])
    return {
        "pieces_per_second": n_pieces / seconds,
        "first_loss": losses[0],
        "last_loss": statistics.mean(losses[-10:]),
    }


def train_ours(
    folder: str, texts: Sequence[str], steps: int, threads: int, shuffled: bool = False
) -> dict[str, float]:
    """Train as `MultibertNER.update` does, from the batches on.

    shuffled (bool): See `_batches`.
    """
    torch.set_num_threads(threads)
    nlp, batches = _batches(folder, texts, steps, shuffled=shuffled)
    tagger: Any = nlp.get_pipe("multibert_ner")
    tagger.train_only(tagger.domains, heads=True)
    sgd = Adam(RATE, L2=0.0, grad_clip=0.0)

    def step(batch: WindowBatch, tags: Tags) -> float:
        parts, backprop = tagger.model.begin_update(batch)
        found = [_loss(part, own) for part, own in zip(parts, tags, strict=True)]
        n_words = max(1, sum(n for _, n, _ in found))
        backprop([gradient / n_words for _, _, gradient in found])
        tagger.finish_update(sgd)
        return sum(loss for loss, _, _ in found) / n_words

    return _run(step, batches)


def train_peft(
    core: str, folder: str, texts: Sequence[str], steps: int, threads: int, shuffled: bool = False
) -> dict[str, float]:
    """Train with PEFT, torch's autocast and torch's Adam. shuffled (bool): See `_batches`."""
    from peft import PeftModel
    from transformers import AutoModel

    torch.set_num_threads(threads)
    nlp, batches = _batches(folder, texts, steps, shuffled=shuffled)
    tagger: Any = nlp.get_pipe("multibert_ner")
    name = domain_names(1)[0]
    labels = tagger.labels_of(name)
    own = Path(folder) / "multibert_ner" / "domains" / name
    del nlp, tagger
    gc.collect()
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    with quiet():
        base = AutoModel.from_pretrained(core, add_pooling_layer=False, **still)
    head = Head(labels, base.config.hidden_size)
    head.load(load_file(own / "head.safetensors"))
    model = PeftModel.from_pretrained(base, str(own), is_trainable=True).train()
    trained = [p for p in [*model.parameters(), *head.parameters()] if p.requires_grad]
    sgd = torch.optim.Adam(trained, lr=RATE)

    def step(batch: WindowBatch, tags: Tags) -> float:
        ids = torch.from_numpy(batch.ids)
        seen = torch.arange(ids.shape[1]) < torch.from_numpy(batch.lengths)[:, None]
        where = [(i, j) for i, firsts in enumerate(batch.firsts) for j in firsts]
        at = torch.tensor(where).view(-1, 2)
        gold = torch.from_numpy(np.concatenate(tags))
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model(input_ids=ids, attention_mask=seen.long()).last_hidden_state
        logits = head(hidden[at[:, 0], at[:, 1]].float())
        loss = F.cross_entropy(logits, gold)
        loss.backward()
        sgd.step()
        sgd.zero_grad()
        return float(loss.detach())

    rows = [batch for batch, _ in batches]
    n_pieces = sum(int(batch.lengths.sum()) for batch in rows)
    return {**_run(step, batches), "padding": 1 - n_pieces / sum(batch.ids.size for batch in rows)}


def compare_training(
    core: str, folder: Path, texts: Sequence[str], *, steps: int, threads: int, repeats: int
) -> dict[str, Any]:
    """Train both ways, each in processes of its own, in turn.

    core (str): Hugging Face name or folder.
    folder (Path): Saved pipeline with one LoRA domain.
    texts (Sequence[str]): What is read.
    steps (int): Batches that are timed.
    threads (int): Of torch.
    repeats (int): Processes for each; medians are returned.
    RETURNS (dict): "ours", "peft", "ours_shuffled" and "peft_shuffled": pieces per second, losses,
        peak MB. "ratio", "ratio_shuffled": of our speed to theirs, on the same batches.
    """
    common = {
        "folder": str(folder.resolve()),
        "texts": list(texts),
        "steps": steps,
        "threads": threads,
    }
    systems: dict[str, tuple[Callable[..., dict[str, float]], dict[str, Any]]] = {
        "ours": (train_ours, common),
        "peft": (train_peft, {**common, "core": core}),
        "ours_shuffled": (train_ours, {**common, "shuffled": True}),
        "peft_shuffled": (train_peft, {**common, "core": core, "shuffled": True}),
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
    for _ in range(repeats):
        for name, (function, arguments) in systems.items():
            found, peak = fresh.call(function, arguments, threads=threads)
            runs[name].append({**found, "peak_mb": peak})
    report: dict[str, Any] = {
        name: {key: statistics.median(run[key] for run in own) for key in own[0]}
        for name, own in runs.items()
    }
    for order in ("", "_shuffled"):
        report[f"ratio{order}"] = statistics.median(
            ours["pieces_per_second"] / theirs["pieces_per_second"]
            for ours, theirs in zip(runs[f"ours{order}"], runs[f"peft{order}"], strict=True)
        )
    return {"steps": steps, "batch_words": BATCH_WORDS, "precision": "bf16", **report}
