"""The tagger as a thinc model: what the `multibert_ner` component holds."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from thinc.api import Model

from ..errors import AdapterError, DomainError
from ..types import Floats2d, WindowBatch
from .adapters import AdapterSettings
from .core import Core
from .listener import CoreListener, ModuleShim
from .storage import check_head, read_folder, write_folder
from .tagger import Head, TaggerModule
from .tagger_view import TaggerView

__all__ = ["TaggerModel"]

Logits = list[Floats2d]


class TaggerModel(Model[WindowBatch, Logits]):
    """Rows of pieces -> for each row, logits of its kept words."""

    def __init__(
        self,
        settings: AdapterSettings,
        listener: CoreListener,
        dropout: float,
        core_dropout: float = 0.0,
    ) -> None:
        """settings (AdapterSettings): Of the adapters made by `add_domain`.
        listener (CoreListener): Where the core comes from.
        dropout, core_dropout (float): See `TaggerModule`.
        """
        self.module = TaggerModule(settings, dropout, core_dropout)
        self.listener = listener
        super().__init__(
            "multibert_tagger", forward, layers=[listener], shims=[ModuleShim(self.module)]
        )

    @property
    def core(self) -> Core:
        """The core that is lent to this model."""
        return self.listener.core

    def add_domain(
        self,
        domain: str,
        *,
        head: str,
        labels: Sequence[str] = (),
        copy_from: str | None = None,
        start: Path | None = None,
        pieces: Sequence[int] = (),
        pairs: NDArray[np.int64] | None = None,
    ) -> None:
        """Add a domain with an adapter of its own.

        domain (str): Its name.
        head (str): Its head; made with `labels` if there is none of that name.
        copy_from (str): Another domain, whose adapter is copied. None starts a new adapter.
        start (Path): A domain's folder, whose adapter the new one starts as: one that was trained
            for another head (its head is not read). Its rank and sites hold, not the settings'.
        pieces (Sequence[int]): Text for a prefix's start values.
        pairs (k, k): Counts of tag pairs, for a new head's start values; see `Head`.
        RAISES (DomainError): If a new head has no labels, or a known one other labels, or if
            there is no domain to copy.
        RAISES (AdapterError): If the folder is damaged, or of another kind of adapter.
        """
        module = self.module
        known = module.heads.get(head)
        if known is not None and labels and tuple(labels) != known.labels:
            raise DomainError(
                f"The head {head!r} has the labels {', '.join(known.labels)}; "
                f"domain {domain!r} with the labels {', '.join(labels)} needs another head"
            )
        if known is None and not labels:
            raise DomainError(f"The new head {head!r} of domain {domain!r} has no labels")
        if start is not None:
            adapter, _, _ = read_folder(start, self.core, self.listener.fingerprint)
            if adapter.settings.kind != module.settings.kind:
                raise AdapterError(
                    f"{start} holds a {adapter.settings.kind}, not a {module.settings.kind}"
                )
        elif copy_from is None:
            adapter = module.settings.build(self.core, pieces)
        else:
            source = module.adapter_of(copy_from)
            adapter = type(source)(*_build_args(source, self.core))
            adapter.load_state_dict(source.state_dict())
        adapter = adapter.to(self.core.device)
        with module.changing():
            if known is None:
                module.add_head(head, Head(labels, self.core.width, pairs).to(self.core.device))
            module.add_domain(domain, head, adapter)

    def write_domain(self, domain: str, folder: Path) -> None:
        """Write one domain's folder. RAISES (DomainError): If there is no such domain."""
        head = self.module.head_name(domain)
        meta = {"domain": domain, "head": head, "labels": list(self.module.labels_of(domain))}
        tensors = self.module.heads[head].tensors()
        write_folder(
            folder, self.module.adapter_of(domain), tensors, meta, self.listener.fingerprint
        )

    def read_domain(self, folder: Path, domain: str | None = None) -> str:
        """Add a domain from its folder.

        folder (Path): What `write_domain` wrote.
        domain (str): A name to give it; None keeps its own.
        RETURNS (str): Its name.
        RAISES (AdapterError): If the folder is damaged, or made for another core, or if its head
            has the name but not the labels and weights of a head that is here.
        """
        adapter, tensors, manifest = read_folder(folder, self.core, self.listener.fingerprint)
        labels, name = manifest["labels"], manifest.get("head")
        n_tags = 2 * len(labels) + 1
        chain = {"transitions": (n_tags, n_tags)} if "transitions" in tensors else {}
        check_head(folder, tensors, n_tags, self.core, extra=chain)
        head = Head(labels, self.core.width)
        head.load(tensors)
        domain = domain or manifest.get("domain")
        if not isinstance(domain, str) or not isinstance(name, str):
            raise AdapterError(f"{folder}/multibert.json must name a domain and a head")
        head, adapter = head.to(self.core.device), adapter.to(self.core.device)
        with self.module.changing():
            name = self._own_head(name, domain, head)
            self.module.add_head(name, head)
            self.module.add_domain(domain, name, adapter)
        return domain

    def _own_head(self, name: str, domain: str, head: Head) -> str:
        """The name under which a head is kept: its own unless another domain has a different head
        of that name, else one with the domain's name (a head that was tuned with its domain).
        """
        module = self.module
        taken = {module.head_name(other) for other in module.domains if other != domain}
        while name in taken and not _equal(module.heads[name], head):
            name = f"{name}/{domain}"
        return name

    def transitions_of(self, domain: str) -> Floats2d:
        """See `TaggerModule.transitions_of`."""
        return self.module.transitions_of(domain)

    def view(self) -> TaggerView:
        """RETURNS (TaggerView): What there is now."""
        return TaggerView(self.module.view(), self.core)

    def learn_transitions(self, domain: str, gradient: Floats2d) -> None:
        """Add to the gradient of the transitions of the domain's head, unless it is frozen.

        gradient (k, k): As the linear layer's it comes from the loss, which knows all words of a
            doc, where the model knows rows.
        """
        transitions = self.module.heads[self.module.head_name(domain)].transitions
        if transitions.requires_grad:
            new = torch.from_numpy(gradient).to(transitions)
            transitions.grad = new if transitions.grad is None else transitions.grad + new

    def batches(
        self, lengths: Sequence[int], domains: Sequence[str], budget: int, *, is_train: bool
    ) -> list[list[int]]:
        """domains (Sequence[str]): Of each row, which exist. See `AdaptedModule.batches`."""
        module = self.module if is_train else self.module.view()
        index = module.index_of(domains)
        return module.batches(self.core, lengths, index, budget, is_train=is_train)

    def set_trainable(self, domains: Iterable[str], *, heads: bool) -> None:
        """See `TaggerModule.set_trainable`."""
        self.module.set_trainable(domains, heads=heads)

    def weights_changed(self) -> None:
        """See `TaggerModule.weights_changed`."""
        self.module.weights_changed()


def _build_args(adapter: Any, core: Core) -> tuple[Any, ...]:
    """Arguments for another adapter of the same shape."""
    return () if adapter.settings.kind == "none" else (adapter.settings, core)


def _equal(a: Head, b: Head) -> bool:
    theirs = b.state_dict()
    return a.labels == b.labels and all(
        torch.equal(v.cpu(), theirs[k].cpu()) for k, v in a.state_dict().items()
    )


def forward(
    model: Model[WindowBatch, Logits], batch: WindowBatch, is_train: bool
) -> tuple[Logits, Callable[[Logits], WindowBatch]]:
    """batch (WindowBatch): b rows.
    RETURNS (list): For each row, logits (kept words, k of its head) float32; words without pieces
        are a certain O. The callback takes the gradients in the same shapes.
    """
    module: TaggerModule = model.shims[0]._model
    core = model.layers[0].core
    with torch.set_grad_enabled(is_train):
        outputs = module(core, batch, is_train=is_train)
    logits = module.scatter(batch, outputs)

    def backprop(d_logits: Logits) -> WindowBatch:
        tensors, gradients = [], []
        for members, output in outputs:
            parts = [
                torch.from_numpy(d_logits[i][batch.firsts[i] >= 0]).to(output) for i in members
            ]
            if output.requires_grad:
                tensors.append(output)
                gradients.append(torch.cat(parts))
        if tensors:
            torch.autograd.backward(tensors, gradients)
        return batch

    return logits, backprop
