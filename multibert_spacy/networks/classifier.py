"""The detector's network: one adapter on the core, mean pooling, one linear layer; beside it, if
wanted, a bag of pieces.

The bag. A channel is known by its words as much as by what it says, and the more so the shorter
the text: a weight per piece and class sees all of a group for next to nothing, where the core sees
its first `max_pieces` at the price of a forward pass. It lets a detector with few layers and few
pieces be as good as one with many (see CONTRIBUTING.md).

Pooling. The mean over all pieces of the group, since the embedded core was trained with mean
pooling; the paper's ParsBERT was trained with its first piece, which `pooling = "first"` takes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from torch import Tensor, nn
from torch.nn import functional as F

from ..adapters.kinds import Adapter, AdapterSettings, LoraSettings
from ..core.encoder import Core, layer_of
from ..core.listener import CoreListener
from ..core.precision import upload
from ..engines.adapted_module import AdaptedModule
from ..engines.threads import run_batches
from ..errors import ConfigError
from ..text.align import pack_rows
from ..text.words import read_hashtags
from ..types import Floats2d, WindowBatch
from .detector_model import DetectorModel
from .trained_folders import read_classifier

__all__ = ["POOLINGS", "ClassifierModel", "ClassifierModule", "bag_logits", "mean_of_rows"]

POOLINGS = ("mean", "first")
DROPOUT = "dropout_rate"
"""What thinc's `set_dropout_rate` sets; 0 leaves the rate at the module's."""
MOST_WORDS = 2048
"""Of a group that are looked at."""
BAG_GAIN = 32.0
"""So that the bag, too, learns at the adapter's learning rate."""


class ClassifierModule(AdaptedModule):
    """Rows of pieces -> logits, one per class."""

    def __init__(
        self,
        adapter: Adapter,
        n_classes: int,
        width: int,
        *,
        pooling: str,
        dropout: float,
        layers: int,
        n_pieces: int = 0,
    ) -> None:
        """Make a classifier whose linear layer and bag start at zero.

        n_pieces (int): Pieces that the bag knows; 0 means no bag.
        """
        super().__init__(layers or None)
        self.adapter = adapter
        self.linear = nn.Linear(width, n_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.bag = nn.EmbeddingBag(n_pieces, n_classes, mode="sum") if n_pieces else None
        if self.bag is not None:
            nn.init.zeros_(self.bag.weight)
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)

    @property
    def adapters(self) -> list[Adapter]:
        """The only one."""
        return [self.adapter]

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that are stored beside the adapter.

        RETURNS (dict): weight (k, h), bias (k,) and, with a bag, bag (pieces, k).
        """
        bag = {} if self.bag is None else {"bag": self.bag.weight}
        return {**self.linear.state_dict(), **bag}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights.

        tensors (Mapping): What `tensors` returned.
        """
        own = dict(tensors)
        if self.bag is not None:
            self.bag.load_state_dict({"weight": own.pop("bag")})
        self.linear.load_state_dict(own)

    def forward(
        self,
        core: Core,
        batch: WindowBatch,
        groups: Sequence[Sequence[int]],
        *,
        is_train: bool = False,
        dropout: float = 0.0,
    ) -> Tensor:
        """Classify rows or docs.

        batch (WindowBatch): b rows; `firsts` and `domains` are not used.
        groups (Sequence): For each row all pieces of its group, for the bag.
        is_train (bool): Whether it is training; what predicts is a view.
        dropout (float): While training; 0 is the module's own.
        RETURNS (b, n_classes) float32.
        """
        if not (is_train or self._is_view):
            return self.view().forward(core, batch, groups)
        dropout = dropout or self.dropout.p
        own = dropout if core.trainable else 0.0
        ids, lengths = upload(batch.ids, core.device), upload(batch.lengths, core.device)
        index = [0] * len(ids)
        hidden = self.hidden(core, ids, lengths, index, dropout=own, is_train=is_train)
        if self.pooling == "first":
            pooled = hidden[:, 0].float()
        else:
            pooled = mean_of_rows(hidden, lengths)
        pooled = F.layer_norm(pooled, pooled.shape[-1:])
        pooled = F.dropout(pooled, dropout, training=is_train)
        logits: Tensor = self.linear(pooled)
        return logits if self.bag is None else logits + bag_logits(self.bag, groups)


def mean_of_rows(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean over the pieces of each row.

    hidden (b, t, h), lengths (b,): Hidden states, and the pieces of each row.
    RETURNS (b, h): The means, in float32.
    """
    seen = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    summed: Tensor = hidden.float().masked_fill(~seen[..., None], 0).sum(1)
    return summed / lengths[:, None]


def bag_logits(bag: nn.EmbeddingBag, groups: Sequence[Sequence[int]]) -> Tensor:
    """Return the logits of the bag, in which each piece of a group counts once.

    All of a group's pieces together are a vector of length BAG_GAIN.

    groups (Sequence): b lists of pieces.
    RETURNS (b, n_classes): The logits.
    """
    device = bag.weight.device
    kinds = [sorted(set(group)) for group in groups]
    sizes = torch.tensor([len(kind) for kind in kinds], device=device)
    flat = torch.tensor([piece for kind in kinds for piece in kind], device=device).long()
    summed: Tensor = bag(flat, sizes.cumsum(0) - sizes)
    return BAG_GAIN * summed / sizes.clamp(min=1).sqrt()[:, None]


class ClassifierModel(DetectorModel[ClassifierModule]):
    """Docs -> probabilities of classes: a text classifier in spaCy's sense."""

    def __init__(
        self,
        settings: AdapterSettings,
        listener: CoreListener,
        normalizer: Callable[[str], str],
        *,
        max_pieces: int,
        batch_pieces: int,
        pooling: str,
        dropout: float,
        layers: int = 0,
        bag: bool = False,
    ) -> None:
        """Keep the settings of a classifier until `build` makes its module.

        The arguments are those of `build_domain_classifier_v1`.

        graph (Path, settable before `build`): Where a graph of the core is kept.
        """
        if pooling not in POOLINGS:
            raise ConfigError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
        if max_pieces < 3:
            raise ConfigError(f"max_pieces must be at least 3, got {max_pieces}")
        if layers < 0:
            raise ConfigError(f"layers must be 0 (all) or more, got {layers}")
        self.settings = settings
        self.listener = listener
        self.normalizer = normalizer
        self.max_pieces = max_pieces
        self.batch_pieces = batch_pieces
        self.pooling = pooling
        self.dropout = dropout
        self.n_layers = layers
        self.bag = bag
        self.graph: Path | None = None
        super().__init__(
            "multibert_domain_classifier",
            forward,
            init=init,
            layers=[listener],
            dims={"nO": None},
            attrs={DROPOUT: 0.0},
        )

    def pieces(self, docs: Sequence[Doc]) -> list[list[int]]:
        """Return for each doc the pieces of its first MOST_WORDS words."""
        core = self.listener.core
        words = (read_hashtags(doc[:MOST_WORDS], signs=True) for doc in docs)
        forms = ([self.normalizer(word) for word in own] for own in words)
        return [list(chain.from_iterable(core.pieces(own))) for own in forms]

    def rows(self, groups: Sequence[list[int]]) -> list[list[int]]:
        """Return what the core reads of each group's pieces, without special ones."""
        limit = min(self.max_pieces, self.listener.core.max_pieces) - 2
        return [group[:limit] for group in groups]

    def build(
        self, n_classes: int, adapter: Adapter, tensors: Mapping[str, Tensor] | None = None
    ) -> None:
        """Set the network.

        n_classes (int): Its outputs.
        tensors (Mapping): Its weights beside the adapter's, loaded before it takes the place of
            the one that is there; None starts anew.
        """
        self._check_layers()
        core = self.listener.core
        module = ClassifierModule(
            adapter,
            n_classes,
            core.width,
            pooling=self.pooling,
            dropout=self.dropout,
            layers=self.n_layers,
            n_pieces=core.n_pieces if self.bag else 0,
        )
        if tensors is not None:
            module.load(tensors)
        self._install(module, n_classes)

    def forget(self, labels: Sequence[str], label: str) -> bool:
        """Lose a domain; what is left of its probability is the others'. See `DetectorModel`."""
        module = self.module
        kept = [i for i, other in enumerate(labels) if other != label]
        tensors = module.tensors()
        left = {name: own.detach()[..., kept].clone() for name, own in tensors.items()}
        left["weight"] = tensors["weight"].detach()[kept].clone()
        self.build(len(kept), module.adapter, left)
        return True

    def _tensors(self, lent: Collection[str] = ()) -> dict[str, Tensor]:
        return self.module.tensors()

    def _shape(self) -> dict[str, Any]:
        return {"pooling": self.pooling, "layers": self.n_layers, "bag": self.bag}

    def _read(
        self, folder: Path, labels: Sequence[str]
    ) -> tuple[dict[str, Any], Callable[[], None]]:
        core, fingerprint = self.listener.core, self.listener.fingerprint()
        adapter, tensors, manifest = read_classifier(
            folder, labels, core, fingerprint, shape=self._shape()
        )
        return manifest, partial(self.build, len(labels), adapter, tensors)


def init(model: ClassifierModel, X: Any = None, Y: Any = None) -> None:
    """Make the network if there is none.

    X (list[Doc]): Text for a prefix's start values. Y (n, classes): Its width counts.
    """
    if Y is None or model.shims:
        return
    core = model.listener.core
    pieces = [piece for row in model.rows(model.pieces(X or [])) for piece in row]
    settings = model.settings
    if isinstance(settings, LoraSettings) and model.n_layers:
        sites = settings.sites(core)
        below = tuple(site for site in sites if layer_of(site)[0] < model.n_layers)
        if not below:
            raise ConfigError(f"The adapter's first layer is not among the first {model.n_layers}")
        settings = replace(settings, target_modules=below, first_layer=0)
    model.build(Y.shape[1], settings.build(core, pieces))


def forward(
    model: ClassifierModel, docs: list[Doc], is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], list[Doc]]]:
    """Classify rows or docs.

    docs (list[Doc]): n docs, each a group.
    RETURNS (n, classes): Probabilities. The callback takes the gradient of the cross-entropy by
        the logits (probabilities minus truth), as spaCy's own text classifiers do.
    """
    core, dropout = model.listener.core, model.attrs[DROPOUT]
    module = model.module if is_train else model.module.view()
    groups = model.pieces(docs)
    rows = model.rows(groups)
    probs = np.zeros((len(docs), module.linear.out_features), dtype=np.float32)

    def run(index: list[int]) -> Tensor:
        packed = [rows[i] for i in index]
        batch = pack_rows(packed, [], [], bos=core.bos, eos=core.eos, pad=core.pad)
        with torch.set_grad_enabled(is_train):
            own = [groups[i] for i in index]
            logits: Tensor = module(core, batch, own, is_train=is_train, dropout=dropout)
        return logits

    lengths = [len(row) + 2 for row in rows]
    batches = module.batches(core, lengths, [0] * len(rows), model.batch_pieces, is_train=is_train)
    outputs = list(zip(batches, run_batches(run, batches, core.engine), strict=True))
    for index, logits in outputs:
        probs[index] = logits.detach().softmax(-1).cpu().numpy()

    def backprop(d_logits: Floats2d) -> list[Doc]:
        for index, logits in outputs:
            torch.autograd.backward(logits, torch.from_numpy(d_logits[index]).to(logits))
        return docs

    return probs, backprop
