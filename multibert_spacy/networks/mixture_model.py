"""The detector's network as a mixture of two experts: `mixture.py` has what they say, here is what
they read.

The bag sees every piece of a group, as it is typed. For the sentence embedding the bare core
reads a few passages, the words alone, with all its layers: more pieces cost more and know no more
(of the 36 threads of assets/outside/dev.jsonl the cosine alone knows 31 with 48 pieces, 32 with
64, 72 and 96).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from torch import Tensor, nn

from ..adapters.kinds import Adapter, NoAdapter
from ..core.dtypes import hash_tensors
from ..core.encoder import Core
from ..core.listener import CoreListener
from ..core.precision import upload
from ..engines.adapted_module import AdaptedModule
from ..engines.threads import run_batches
from ..errors import ConfigError
from ..names import check_description
from ..text.align import pack_rows
from ..text.content import content_words, spread
from ..types import Floats2d
from .classifier import MOST_WORDS, bag_logits, mean_of_rows
from .detector_model import DetectorModel
from .knowledge import Knowledge, knowledge_of, with_knowledge
from .mixture import Mixture, Weights, fit_mixture
from .trained_folders import read_mixture

__all__ = ["MixtureModel", "MixtureModule"]

CHUNK = 12
"""Pieces of a passage."""


class MixtureModule(AdaptedModule):
    """The bag, what was fitted, and the bare core's runner."""

    def __init__(self, n_pieces: int, n_classes: int, layers: int) -> None:
        """Make a module without a mixture.

        n_pieces (int): That the bag knows.

        mixture (Mixture), settable: What was fitted.
        """
        super().__init__(layers or None)
        self.adapter = NoAdapter()
        self.bag = nn.EmbeddingBag(n_pieces, n_classes, mode="sum")
        self.bias = nn.Parameter(torch.zeros(n_classes))
        self.mixture: Mixture | None = None
        nn.init.zeros_(self.bag.weight)

    @property
    def adapters(self) -> list[Adapter]:
        """None that changes anything."""
        return [self.adapter]

    def tensors(self) -> dict[str, Tensor]:
        """Return bag (pieces, k) and bias (k,)."""
        return {"bag": self.bag.weight, "bias": self.bias}

    def forward(self, groups: Sequence[Sequence[int]]) -> Tensor:
        """Score groups.

        groups (Sequence): The pieces of each group. RETURNS (n, k): Logits.
        """
        logits: Tensor = bag_logits(self.bag, groups) + self.bias
        return logits

    def embed(self, core: Core, rows: Sequence[Sequence[int]], batch_pieces: int) -> Floats2d:
        """Embed texts.

        rows (Sequence): n times pieces, without special ones.
        RETURNS (n, h): Sentence embeddings, of length 1; 0 for a row of nothing.
        """
        found = np.zeros((len(rows), core.width), dtype=np.float32)
        filled = [i for i, row in enumerate(rows) if row]
        lengths = [len(rows[i]) + 2 for i in filled]
        batches = self.batches(core, lengths, [0] * len(filled), batch_pieces)

        def run(index: list[int]) -> Tensor:
            own = [rows[filled[i]] for i in index]
            batch = pack_rows(own, [], [], bos=core.bos, eos=core.eos, pad=core.pad)
            ids, sizes = upload(batch.ids, core.device), upload(batch.lengths, core.device)
            with torch.no_grad():
                pooled = mean_of_rows(self.hidden(core, ids, sizes, [0] * len(ids)), sizes)
            return nn.functional.normalize(pooled, dim=-1)

        for index, pooled in zip(batches, run_batches(run, batches, core.engine), strict=True):
            found[[filled[i] for i in index]] = pooled.cpu().numpy()
        return found


class MixtureModel(DetectorModel[MixtureModule]):
    """Docs -> scores of domains, which sum to at most 1. Until `fit` was called, and in training,
    it is the bag alone.
    """

    def __init__(
        self,
        listener: CoreListener,
        normalizer: Callable[[str], str],
        *,
        pieces: int,
        batch_pieces: int,
        layers: int,
        dropout: float,
    ) -> None:
        """Make a model without a mixture; see `build_domain_mixture_v1`.

        graph (Path), settable before `build`: Where a graph of the core is kept.
        """
        if pieces < CHUNK + 2:
            raise ConfigError(f"pieces must be at least {CHUNK + 2}, got {pieces}")
        if layers < 0:
            raise ConfigError(f"layers must be 0 (all) or more, got {layers}")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {dropout}")
        self.listener = listener
        self.normalizer = normalizer
        self.topic_pieces = pieces
        self.batch_pieces = batch_pieces
        self.n_layers = layers
        self.dropout = dropout
        self.graph: Path | None = None
        self._rng = np.random.default_rng(0)
        super().__init__(
            "multibert_domain_mixture", forward, init=init, layers=[listener], dims={"nO": None}
        )

    @property
    def mixture(self) -> Mixture | None:
        """What was fitted; None before `fit`."""
        return self.module.mixture

    def build(
        self, n_classes: int, tensors: Mapping[str, Tensor] | None, mixture: Mixture | None
    ) -> None:
        """Set the network.

        n_classes (int): Of the bag.
        tensors (Mapping): Its weights; None starts anew.
        mixture (Mixture): What was fitted.
        """
        self._check_layers()
        module = MixtureModule(self.listener.core.n_pieces, n_classes, self.n_layers)
        if tensors is not None:
            module.bag.weight.data = tensors["bag"].float()
            module.bias.data = tensors["bias"].float()
        module.mixture = mixture
        self._install(module, n_classes if mixture is None else len(mixture.labels))

    def pieces(self, docs: Sequence[Doc]) -> list[list[int]]:
        """Return for each doc the pieces of its first MOST_WORDS words."""
        core = self.listener.core
        words = (
            [
                self.normalizer(part)
                for word in doc[:MOST_WORDS]
                for part in word.text.split("\u200c")
            ]
            for doc in docs
        )
        return [list(chain.from_iterable(core.pieces(own))) for own in words]

    def topic_row(self, words: Iterable[str]) -> list[int]:
        """Return the pieces of a text that its embedding is read from."""
        core = self.listener.core
        limit = min(self.topic_pieces, core.max_pieces) - 2
        return spread(core.pieces(content_words(words)), limit, CHUNK)

    def embed(self, texts: Sequence[Iterable[str]], module: MixtureModule) -> Floats2d:
        """Embed texts.

        texts (Sequence): n times the words of a text. RETURNS (n, h): See `MixtureModule`.
        """
        rows = [self.topic_row(words) for words in texts]
        return module.embed(self.listener.core, rows, self.batch_pieces)

    def describe(self, descriptions: Sequence[str]) -> Floats2d:
        """Return sentence embeddings of descriptions (n, h).

        RAISES (ConfigError): If one could not be saved.
        """
        for text in descriptions:
            check_description(text)
        return self.embed([text.split() for text in descriptions], self.module.view())

    def read_groups(
        self, docs: Sequence[Doc], module: MixtureModule
    ) -> tuple[Floats2d, Floats2d, Floats2d]:
        """Return what the experts read of n docs, each a group.

        RETURNS (tuple): Embeddings (n, h), logits of the bag (n, m), numbers of pieces (n,).
        """
        pieces = self.pieces(docs)
        with torch.no_grad():
            logits = module(pieces)
        logits = logits - logits.mean(1, keepdim=True)
        return (
            self.embed(_words(docs), module),
            logits.cpu().numpy(),
            np.array([len(own) for own in pieces], dtype=np.float32),
        )

    def fit(
        self,
        labels: Sequence[str],
        groups: Sequence[tuple[str, int, Doc]],
        descriptions: Mapping[str, str],
        others: Sequence[str],
        weights: Weights,
        written: Sequence[tuple[str | None, Doc]] = (),
    ) -> None:
        """Learn means, covariances, descriptions and what was written; the bag stays. If it has
        one class more than there are domains, that is texts of no corpus.

        labels (Sequence[str]): The domains.
        groups (Sequence[tuple]): Domain, number of texts, and a doc with their words, of groups
            that the bag was not trained on.
        descriptions (Mapping): Domain -> what belongs to it.
        others (Sequence[str]): Descriptions of topics that belong to none.
        weights (Weights): What no corpus gives.
        written (Sequence[tuple]): Domain, or None, and words of groups that were written.
        """
        docs = [doc for _, _, doc in groups]
        view = self.module.view()
        embeddings, logits, _ = self.read_groups(docs, view)
        names = [label for label in labels if descriptions.get(label)]
        described = self.describe([descriptions[name] for name in names])
        told = None
        if written:
            told_names, told_docs = zip(*written, strict=True)
            told = told_names, self.embed(_words(told_docs), view)
        mixture = fit_mixture(
            labels,
            [(name, size) for name, size, _ in groups],
            embeddings,
            logits,
            {n: (descriptions[n], own) for n, own in zip(names, described, strict=True)},
            dict(zip(others, self.describe(others), strict=True)),
            weights,
            written=told,
            elsewhere=len(self.module.bias) == len(labels) + 1,
        )
        self.set_mixture(mixture)

    def set_mixture(self, mixture: Mixture) -> None:
        """Put a mixture in the place of what is there, for all threads at once."""
        with self.module.changing():
            self.module.mixture = mixture
        self._dims["nO"] = len(mixture.labels)

    def remember(self) -> Callable[[], None]:
        """Return what puts back what is there now, with what was fitted; see
        `DetectorModel.remember`.
        """
        network, mixture = super().remember(), self.mixture if self.shims else None

        def put_back() -> None:
            network()
            if self.shims:
                with self.module.changing():
                    self.module.mixture = mixture

        return put_back

    def bag_id(self) -> str:
        """Return the identity of the bag's weights; see `knowledge.py`."""
        return hash_tensors(self.module.tensors())

    def knowledge(self, label: str) -> Knowledge | None:
        """Return what it knows of a domain; None before `fit`."""
        if self.mixture is None:
            return None
        return knowledge_of(self.mixture, label, self.bag_id())

    def learn(self, label: str, known: Knowledge) -> bool:
        """Learn a domain; see `DetectorModel.learn`."""
        if self.mixture is None:
            return False
        self.set_mixture(with_knowledge(self.mixture, label, known, self.bag_id()))
        return True

    def forget(self, labels: Sequence[str], label: str) -> bool:
        """Forget a domain; see `DetectorModel.forget`. The bag keeps its classes, which only count
        together.
        """
        if self.mixture is None:
            return False
        self.set_mixture(self.mixture.without_domain(label))
        return True

    def rename(self, old: str, new: str) -> None:
        """Rename a domain; see `DetectorModel.rename`."""
        if self.mixture is not None:
            self.set_mixture(self.mixture.renamed(old, new))

    def _saved(self, lent: Collection[str]) -> Mixture | None:
        """Return the mixture without domains that are not saved."""
        mixture = self.mixture
        if mixture is not None:
            for label in lent:
                mixture = mixture.without_domain(label)
        return mixture

    def _tensors(self, lent: Collection[str] = ()) -> dict[str, Tensor]:
        saved = self._saved(lent)
        fitted = {} if saved is None else saved.tensors()
        arrays = {f"mixture.{name}": torch.from_numpy(own) for name, own in fitted.items()}
        return {**self.module.tensors(), **arrays}

    def _shape(self) -> dict[str, Any]:
        return {"pieces": self.topic_pieces, "layers": self.n_layers}

    def _about(self, lent: Collection[str] = ()) -> dict[str, Any]:
        saved = self._saved(lent)
        fitted = None if saved is None else saved.texts()
        return {"n_classes": len(self.module.bias), **self._shape(), "mixture": fitted}

    def _read(
        self, folder: Path, labels: Sequence[str]
    ) -> tuple[dict[str, Any], Callable[[], None]]:
        core, fingerprint = self.listener.core, self.listener.fingerprint()
        tensors, mixture, manifest = read_mixture(
            folder, labels, core, fingerprint, shape=self._shape()
        )
        return manifest, partial(self.build, len(tensors["bias"]), tensors, mixture)


def init(model: MixtureModel, X: Any = None, Y: Any = None) -> None:
    """Set the classes of the bag by the width of Y.

    X (list[Doc]): Not used. Y (n, classes): Its width counts.
    """
    if Y is not None and not model.shims:
        model.build(Y.shape[1], None, None)


def forward(
    model: MixtureModel, docs: list[Doc], is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], list[Doc]]]:
    """Score groups.

    docs (list[Doc]): n docs, each a group.
    RETURNS (n, classes): Scores; in training, and where nothing was fitted, the bag's
        probabilities. The callback takes the gradient of the cross-entropy by the bag's logits.
    """
    module = model.module if is_train else model.module.view()
    if not is_train and module.mixture is not None:
        scores = module.mixture.predict(*model.read_groups(docs, module))
        return scores, lambda d_scores: docs
    pieces = model.pieces(docs)
    if is_train and model.dropout:
        pieces = [[one for one in own if model._rng.random() >= model.dropout] for own in pieces]
    n_classes = -1 if module.mixture is not None and module.mixture.elsewhere else None
    with torch.set_grad_enabled(is_train):
        logits = module(pieces)[:, :n_classes]

    def backprop(d_logits: Floats2d) -> list[Doc]:
        torch.autograd.backward(logits, torch.from_numpy(d_logits).to(logits))
        return docs

    return logits.detach().softmax(-1).cpu().numpy(), backprop


def _words(docs: Iterable[Doc]) -> list[list[str]]:
    """Return the first MOST_WORDS words of each doc."""
    return [[word.text for word in doc[:MOST_WORDS]] for doc in docs]
