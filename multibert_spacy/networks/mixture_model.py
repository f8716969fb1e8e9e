"""The detector's network as a mixture of two experts: see `mixture.py` for what they say, here is
what they read.

The classifier reads the first pieces of a group as it is typed, with an adapter on few layers. For
the sentence embedding the bare core reads a few passages of it, the words alone, with all layers:
more pieces cost more and know no more (64 of them 32 of 36 threads, 256 of them 32 as well).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from torch import Tensor

from ..adapters.kinds import Adapter, AdapterSettings, NoAdapter
from ..adapters.storage import SETTINGS, say_unproven, write_files, write_folder
from ..core.dtypes import check_finite_tensors
from ..core.listener import CoreListener
from ..core.precision import upload
from ..engines.adapted_module import AdaptedModule
from ..engines.threads import run_batches
from ..errors import ConfigError
from ..text.align import pack_rows
from ..text.content import content_words, spread
from ..types import Floats2d
from .classifier import MOST_WORDS, ClassifierModel, ClassifierModule, forward, mean_of_rows
from .mixture import Mixture, Weights, fit_mixture
from .trained_folders import read_mixture

__all__ = ["MixtureModel"]

CHUNK = 12
"""Pieces of a passage."""


class BareCore(AdaptedModule):
    """The core without an adapter."""

    def __init__(self, layers: int) -> None:
        super().__init__(layers or None)
        self._adapter = NoAdapter()

    @property
    def adapters(self) -> list[Adapter]:
        return [self._adapter]


class MixtureModel(ClassifierModel):
    """Docs -> scores of domains, which sum to at most 1. Until `fit` was called, and in training,
    it is the classifier.
    """

    def __init__(
        self,
        settings: AdapterSettings,
        listener: CoreListener,
        normalizer: Callable[[str], str],
        *,
        topic_pieces: int,
        topic_layers: int,
        **classifier: Any,
    ) -> None:
        """See `build_domain_mixture_v1`."""
        if topic_pieces < CHUNK:
            raise ConfigError(f"topic_pieces must be at least {CHUNK}, got {topic_pieces}")
        if topic_layers < 0:
            raise ConfigError(f"topic_layers must be 0 (all) or more, got {topic_layers}")
        super().__init__(settings, listener, normalizer, **classifier)
        self._func = forward_mixture
        self.topic_pieces = topic_pieces
        self.topic_layers = topic_layers
        self._bare = BareCore(topic_layers)

    @property
    def mixture(self) -> Mixture | None:
        """What it knows of its domains; None before `fit`."""
        return self.module.mixture

    def topic_row(self, words: Iterable[str]) -> list[int]:
        """RETURNS (list[int]): The pieces of a text that its embedding is read from."""
        core = self.listener.core
        limit = min(self.topic_pieces, core.max_pieces) - 2
        return spread(core.pieces(content_words(words)), limit, CHUNK)

    def embed(self, texts: Sequence[Iterable[str]]) -> Floats2d:
        """texts (Sequence): n times the words of a text.
        RETURNS (n, h): Sentence embeddings, of length 1; 0 for a text without a letter.
        """
        core = self.listener.core
        rows = [self.topic_row(words) for words in texts]
        found = np.zeros((len(rows), core.width), dtype=np.float32)
        filled = [i for i, row in enumerate(rows) if row]
        lengths = [len(rows[i]) + 2 for i in filled]
        batches = self._bare.batches(core, lengths, [0] * len(filled), self.batch_pieces)

        def run(index: list[int]) -> Tensor:
            own = [rows[filled[i]] for i in index]
            batch = pack_rows(own, [], [], bos=core.bos, eos=core.eos, pad=core.pad)
            ids, sizes = upload(batch.ids, core.device), upload(batch.lengths, core.device)
            with torch.no_grad():
                hidden = self._bare.hidden(core, ids, sizes, [0] * len(ids))
            return mean_of_rows(hidden, sizes)

        for index, pooled in zip(batches, run_batches(run, batches, core.engine), strict=True):
            pooled = torch.nn.functional.normalize(pooled, dim=-1)
            found[[filled[i] for i in index]] = pooled.cpu().numpy()
        return found

    def outputs(self, module: ClassifierModule, docs: Sequence[Doc]) -> Floats2d:
        """RETURNS (n, h + classes): Of each doc the classifier's pooled state and its logits."""
        core = self.listener.core
        groups = self.pieces(docs)
        rows = self.rows(groups)
        lengths = [len(row) + 2 for row in rows]
        width = core.width + module.linear.out_features
        found = np.zeros((len(docs), width), dtype=np.float32)
        batches = module.batches(core, lengths, [0] * len(rows), self.batch_pieces)

        def run(index: list[int]) -> Tensor:
            packed = [rows[i] for i in index]
            batch = pack_rows(packed, [], [], bos=core.bos, eos=core.eos, pad=core.pad)
            with torch.no_grad():
                pooled, logits = module.outputs(core, batch, [groups[i] for i in index])
            return torch.cat([pooled, logits - logits.mean(1, keepdim=True)], dim=1)

        for index, both in zip(batches, run_batches(run, batches, core.engine), strict=True):
            found[index] = both.cpu().numpy()
        return found

    def features(self, docs: Sequence[Doc]) -> tuple[Floats2d, Floats2d]:
        """RETURNS (tuple): What the experts read: embeddings (n, h), outputs (n, m)."""
        texts = [[word.text for word in doc[:MOST_WORDS]] for doc in docs]
        return self.embed(texts), self.outputs(self.module.view(), docs)

    def fit(
        self,
        labels: Sequence[str],
        groups: Sequence[tuple[str, int, Doc]],
        descriptions: Mapping[str, str],
        others: Sequence[str],
        weights: Weights,
    ) -> None:
        """Learn means, covariances and descriptions; the weights of the network stay.

        labels (Sequence[str]): The domains.
        groups (Sequence[tuple]): Domain, number of texts, and a doc with their words, of groups
            that the classifier was not trained on.
        descriptions (Mapping): Domain -> what belongs to it.
        others (Sequence[str]): Descriptions of topics that belong to none.
        """
        embeddings, outputs = self.features([doc for _, _, doc in groups])
        names = [label for label in labels if descriptions.get(label)]
        described = self.describe([descriptions[name] for name in names])
        mixture = fit_mixture(
            labels,
            [(name, size) for name, size, _ in groups],
            embeddings,
            outputs,
            {n: (descriptions[n], own) for n, own in zip(names, described, strict=True)},
            dict(zip(others, self.describe(others), strict=True)),
            weights,
        )
        self.set_mixture(mixture)

    def describe(self, descriptions: Sequence[str]) -> Floats2d:
        """RETURNS (n, h): Their embeddings."""
        return self.embed([text.split() for text in descriptions])

    def set_mixture(self, mixture: Mixture) -> None:
        """mixture (Mixture): Takes the place of what is there, for all threads at once."""
        with self.module.changing():
            self.module.mixture = mixture
        self._dims["nO"] = len(mixture.labels)

    def check_savable(self) -> None:
        """RAISES (ConfigError): If a weight is no finite number."""
        super().check_savable()
        if self.shims and self.mixture is not None:
            check_finite_tensors("domain_detector", _torch(self.mixture))

    def write(self, folder: Path, labels: Sequence[str], *, new: bool = False) -> None:
        """See `ClassifierModel.write`; what the mixture knows is written with it."""
        if self.mixture is None:
            super().write(folder, labels, new=new)
            return
        tensors = {**self.module.tensors(), **_torch(self.mixture)}
        meta = {
            "labels": list(labels),
            "n_classes": self.module.linear.out_features,
            **self._shape(),
            "mixture": {**self.mixture.texts(), "layers": self.topic_layers},
            SETTINGS: self.listener.core.settings,
        }
        write = write_files if new else write_folder
        write(folder, self.module.adapter, tensors, meta, self.listener.fingerprint())

    def read(
        self,
        folder: Path,
        labels: Sequence[str],
        *,
        check: Callable[[], None] = lambda: None,
        graph: Path | None = None,
    ) -> None:
        """See `ClassifierModel.read`."""
        core, fingerprint = self.listener.core, self.listener.fingerprint()
        adapter, tensors, mixture, manifest = read_mixture(
            folder,
            labels,
            core,
            fingerprint,
            shape=self._shape(),
            topic_layers=self.topic_layers,
        )
        check()
        say_unproven(folder.parent, {folder.name: manifest})
        self.graph = graph or self.graph
        if self.graph is not None:
            self._bare.graph = self.graph.with_name(f"{self.graph.name}_topics")
        module = self._make(len(tensors["bias"]), adapter, tensors)
        module.mixture = mixture
        self._install(module)
        if mixture is not None:
            self._dims["nO"] = len(labels)


def _torch(mixture: Mixture) -> dict[str, Tensor]:
    return {f"mixture.{k}": torch.from_numpy(v) for k, v in mixture.tensors().items()}


def forward_mixture(
    model: MixtureModel, docs: list[Doc], is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], list[Doc]]]:
    """docs (list[Doc]): n docs, each a group. RETURNS (n, k): Scores. See `classifier.forward`."""
    module = model.module.view()
    if is_train or module.mixture is None:
        return forward(model, docs, is_train)
    texts = [[word.text for word in doc[:MOST_WORDS]] for doc in docs]
    scores = module.mixture.predict(model.embed(texts), model.outputs(module, docs))

    def backprop(d_scores: Floats2d) -> list[Doc]:
        raise ConfigError("A mixture predicts; what is trained is its classifier")

    return scores, backprop
