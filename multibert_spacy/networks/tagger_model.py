"""The tagger as a thinc model: what the components with an adapter per domain hold."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Model, torch2xp, xp2torch
from torch import Tensor

from ..adapters.kinds import Adapter, AdapterSettings, PrefixSettings
from ..adapters.storage import SETTINGS, read_folder, say_unproven, write_files, write_folder
from ..core.dtypes import check_finite_tensors
from ..core.encoder import Core
from ..core.listener import CoreListener, ModuleShim
from ..errors import AdapterError, DomainError
from ..names import check_description, check_head_name, check_labels, check_name
from ..serialization.files import inside
from ..types import Floats2d, WindowBatch
from .knowledge import KNOWLEDGE, WEIGHTS, Knowledge, read_knowledge
from .tagger import Head, TaggerModule
from .tasks import ENTITIES, Task
from .trained_folders import STANDARDISED, TASK, ReadDomain, read_domain

__all__ = ["TaggerModel", "TaggerView"]

Logits = list[Floats2d]
DROPOUT = "dropout_rate"
"""What thinc's `set_dropout_rate` sets; 0 leaves the rate at the module's."""


class TaggerModel(Model[WindowBatch, Logits]):
    """Rows of pieces -> for each row, logits of its kept words that have pieces."""

    def __init__(
        self,
        settings: AdapterSettings,
        listener: CoreListener,
        dropout: float,
        core_dropout: float = 0.0,
    ) -> None:
        """Make a model.

        settings (AdapterSettings): Of the adapters made by `add_domain`.
        listener (CoreListener): Where the core comes from.
        dropout, core_dropout (float): See `TaggerModule`.

        read_docs (Callable), settable: Makes rows of docs, for a caller that has docs.
        descriptions (dict), settable: Domain -> what belongs to it, as far as anybody said.
        """
        self.descriptions: dict[str, str] = {}
        self.module = TaggerModule(settings, dropout, core_dropout)
        self.listener = listener
        self.read_docs: Callable[[Sequence[Doc]], WindowBatch] | None = None
        super().__init__(
            "multibert_tagger",
            forward,
            layers=[listener],
            shims=[ModuleShim(self.module)],
            attrs={DROPOUT: 0.0},
        )

    @property
    def core(self) -> Core:
        """The core that is lent to this model."""
        return self.listener.core

    def set_task(self, task: Task) -> None:
        """Say what the heads are for, before there are any."""
        self.module.task = task

    def add_domain(
        self,
        domain: str,
        *,
        head: str,
        labels: Sequence[str] = (),
        copy_from: str | None = None,
        copy_of: Adapter | None = None,
        start: Path | None = None,
        pieces: Sequence[int] = (),
        pairs: NDArray[np.int64] | None = None,
    ) -> None:
        """Add a domain with an adapter of its own.

        domain (str): Its name.
        head (str): Its head; made with `labels` if there is none of that name.
        copy_from (str): Another domain, whose adapter is copied. None starts a new adapter.
        copy_of (Adapter): An adapter of another component, which is copied.
        start (Path): A domain's folder, whose adapter the new one starts as: one that was trained
            for another head (its head is not read). Its rank and sites hold, not the settings'.
        pieces (Sequence[int]): Text for a prefix's start values.
        pairs (k, k): Counts of tag pairs, for a new head's start values; see `Head`.
        RAISES (DomainError): If a new head has no labels, or a known one other labels, or if
            there is no domain to copy.
        RAISES (ConfigError): If a name or a label could not be saved and read again.
        RAISES (AdapterError): If the folder is damaged, or of another kind of adapter.
        """
        check_name(domain)
        check_head_name(head)
        check_labels(labels)
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
            adapter, _, _ = read_folder(start, self.core, self.listener.fingerprint())
            if adapter.settings.kind != module.settings.kind:
                raise AdapterError(
                    f"{start} holds a {adapter.settings.kind}, not a {module.settings.kind}"
                )
        elif copy_of is not None:
            adapter = self.mean_adapter([copy_of])
        elif copy_from is None:
            adapter = module.settings.build(self.core, pieces)
        else:
            adapter = self.mean_adapter([module.adapter_of(copy_from)])
        adapter = adapter.to(self.core.device)
        with module.changing():
            if known is None:
                made = Head(labels, self.core.width, pairs, task=module.task)
                module.add_head(head, made.to(self.core.device))
            module.add_domain(domain, head, adapter)

    def share_adapter(self, weights: Mapping[str, float] | None = None) -> None:
        """Give all domains one adapter: the mean of each head's mean, so that a head with many
        domains weighs no more than one with few. Adapters of training runs from one start value
        mix well (Wortsman et al. 2022, "Model soups").

        weights (Mapping): Head -> how much its mean counts, 0 if it is not there; None are equal.
        RAISES (DomainError): If there is no such head.
        RAISES (AdapterError): If they are of different kinds or shapes.
        """
        module = self.module
        by_head: dict[str, list[Adapter]] = {}
        for domain in module.domains:
            by_head.setdefault(module.head_name(domain), []).append(module.adapter_of(domain))
        weights = dict.fromkeys(by_head, 1.0) if weights is None else weights
        if unknown := sorted(set(weights) - set(by_head)):
            raise DomainError(f"Unknown head {unknown[0]!r}; there are: {', '.join(by_head)}")
        heads = [_mean([own.state_dict() for own in by_head[name]]) for name in weights]
        shared = self._like(next(iter(by_head.values()))[0])
        shared.load_state_dict(_mean(heads, list(weights.values())))
        module.share_adapter(shared)

    def mean_adapter(self, adapters: Sequence[Adapter]) -> Adapter:
        """A new adapter, the mean of others; of one it is a copy.

        adapters (Sequence[Adapter]): At least one; they are not changed.
        RETURNS (Adapter): In fp32, where the core is.
        RAISES (AdapterError): If they are of different kinds or shapes.
        """
        adapter = self._like(adapters[0])
        adapter.load_state_dict(_mean([own.state_dict() for own in adapters]))
        return adapter

    def _like(self, adapter: Adapter) -> Adapter:
        """Return another adapter of the same shape."""
        args = () if adapter.settings.kind == "none" else (adapter.settings, self.core)
        made: Adapter = type(adapter)(*args).to(self.core.device)
        return made

    def check_savable(self) -> None:
        """Check that all weights are finite, and all descriptions can be written.

        RAISES (ConfigError): If a weight is not a finite number, or a description is illegal.
        """
        module = self.module
        for description in self.descriptions.values():
            check_description(description)
        for domain in module.domains:
            head = module.heads[module.head_name(domain)]
            tensors = {**module.adapter_of(domain).export(), **head.tensors()}
            check_finite_tensors(domain, tensors)

    def write_domain(
        self,
        domain: str,
        folder: Path,
        known: Knowledge | None = None,
        *,
        about: Mapping[str, Any] = MappingProxyType({}),
        texts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write one domain's folder, which can then be read anywhere.

        domain (str): Which.
        folder (Path): Where to; see `write_folder`.
        known (Knowledge): What a detector knows of it, which then goes along.
        about (Mapping): JSON values for the manifest.
        texts (Mapping): Name of a file for people -> what it says.
        RAISES (DomainError): If there is no such domain.
        RAISES (ConfigError): If its weights are not finite numbers.
        """
        adapter, head, meta, core = self._saved(domain)
        meta |= dict(about)
        beside: dict[str, dict[str, Tensor]] = {}
        if known is not None:
            meta[KNOWLEDGE], beside[WEIGHTS] = known.about(), known.tensors()
        write_folder(folder, adapter, head, meta, core, more=beside, texts=texts)

    def write_domains(
        self, folder: Path, *, once: bool = False, without: Collection[str] = ()
    ) -> None:
        """Write the folders of all domains.

        folder (Path): Of a draft, in which there is none of them.
        without (Collection[str]): Domains that are not written.
        once (bool): Equal adapters once: the others name the first, without which they cannot be
            read. Else each folder has all of its files, and can be copied or removed alone.
        RAISES (ConfigError): If a weight is not a finite number.
        """
        beside: dict[str, str] | None = {} if once else None
        for domain in self.module.domains:
            if domain not in without:
                write_files(inside(folder, domain), *self._saved(domain), beside=beside)

    def _saved(self, domain: str) -> tuple[Adapter, dict[str, Tensor], dict[str, Any], str]:
        """Return what `write_files` takes."""
        head = self.module.head_name(domain)
        labels = list(self.module.labels_of(domain))
        meta: dict[str, Any] = {"domain": domain, "head": head, "labels": labels}
        if self.module.task != ENTITIES:
            meta[TASK] = self.module.task.name
        meta[SETTINGS] = self.core.settings
        if domain in self.descriptions:
            meta["description"] = self.descriptions[domain]
        if not self.module.heads[head].standardised:
            meta[STANDARDISED] = False
        tensors = self.module.heads[head].tensors()
        return self.module.adapter_of(domain), tensors, meta, self.listener.fingerprint()

    def read_domain(self, folder: Path, domain: str | None = None) -> str:
        """Add a domain from its folder.

        folder (Path): What `write_domain` wrote.
        domain (str): A name to give it; None keeps its own.
        RETURNS (str): Its name.
        RAISES (MultibertError): See `trained_folders.read_domain`.
        """
        own, _ = self.open_domain(folder, domain)
        self.take_domain(own)
        return own.name

    def open_domain(
        self, folder: Path, domain: str | None = None
    ) -> tuple[ReadDomain, Knowledge | None]:
        """Read a domain's folder, and change nothing yet.

        folder (Path), domain (str): See `read_domain`.
        RETURNS (tuple): What `take_domain` takes, and what a detector knew of it.
        RAISES (MultibertError): See `trained_folders.read_domain`.
        """
        folder = Path(folder)
        fingerprint, task = self.listener.fingerprint(), self.module.task
        own, manifest = read_domain(folder, domain, self.core, fingerprint, task)
        known = read_knowledge(folder, manifest, self.core.width)
        self.check_kind(folder, own.adapter)
        say_unproven(folder.parent, {own.name: manifest})
        return own, known

    def check_kind(self, folder: Path, adapter: Adapter) -> None:
        """Check that an adapter can be in a batch with those that are there.

        folder (Path): Where it is from. adapter (Adapter): A further one.
        RAISES (AdapterError): If it is of another kind, or a prefix of another length.
        """
        for other in self.module.adapters[:1]:
            (mine, own), (theirs, beside) = map(_shape_of, (adapter, other))
            if (mine, own) != (theirs, beside):
                raise AdapterError(
                    f"{folder} holds a {mine}{own}, and the domains of this pipeline have a "
                    f"{theirs}{beside} each: one component has adapters of one kind and length"
                )

    def remember(self) -> Callable[[], None]:
        """Return what puts back what is there now, with descriptions; see
        `TaggerModule.remember`.
        """
        module, descriptions = self.module.remember(), dict(self.descriptions)

        def put_back() -> None:
            module()
            self.descriptions = descriptions

        return put_back

    def rename_domain(self, old: str, new: str) -> None:
        """Rename a domain; see `TaggerModule.rename_domain`. Its description goes along."""
        self.module.rename_domain(old, new)
        if old in self.descriptions:
            self.descriptions[new] = self.descriptions.pop(old)

    def remove_domain(self, domain: str) -> None:
        """Remove a domain; see `TaggerModule.remove_domain`. Its description goes along."""
        self.module.remove_domain(domain)
        self.descriptions.pop(domain, None)

    def read_domains(
        self, folder: Path, names: Sequence[str], check: Callable[[], None] = lambda: None
    ) -> None:
        """Replace all domains by those in a folder, or none, if one of them cannot be read.

        folder (Path): With a folder for each.
        names (Sequence[str]): The folders' names, which become the domains'.
        check (Callable): Called when all have been read, before they are taken.
        RAISES (AdapterError): See `read_domain`.
        """
        core, fingerprint, task = self.core, self.listener.fingerprint(), self.module.task
        found = [read_domain(folder / name, name, core, fingerprint, task) for name in names]
        check()
        say_unproven(folder, {own.name: manifest for own, manifest in found})
        with self.module.changing():  # other threads go on with the old ones till then
            for domain in self.module.domains:
                self.module.remove_domain(domain)
            for own, _ in found:
                self.take_domain(own)

    def take_domain(self, own: ReadDomain) -> None:
        """Add or replace a domain that was read. Its head is frozen until `set_trainable`."""
        own.head.requires_grad_(False)
        head, adapter = own.head.to(self.core.device), own.adapter.to(self.core.device)
        with self.module.changing():
            name = self._own_head(own.head_name, own.name, head)
            self.module.add_head(name, head)
            self.module.add_domain(own.name, name, adapter)
        self.descriptions.pop(own.name, None)
        if own.description:
            self.descriptions[own.name] = own.description

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
        """Return the transitions of a domain's head; see `TaggerModule.transitions_of`."""
        return self.module.transitions_of(domain)

    def view(self) -> "TaggerView":
        """Return a view of what there is now."""
        return TaggerView(self.module.view(), self.core)

    def learn_transitions(self, domain: str, gradient: Floats2d) -> None:
        """Add to the gradient of the transitions of the domain's head, unless it is frozen.

        gradient (k, k): As the linear layer's it comes from the loss, which knows all words of a
            doc, where the model knows rows.
        """
        transitions = self.module.heads[self.module.head_name(domain)].transitions
        if transitions is not None and transitions.requires_grad:
            new = torch.from_numpy(gradient).to(transitions)
            transitions.grad = new if transitions.grad is None else transitions.grad + new

    def batches(
        self, lengths: Sequence[int], domains: Sequence[str], budget: int, *, is_train: bool
    ) -> list[list[int]]:
        """Cut rows into batches.

        domains (Sequence[str]): Of each row, which exist. See `AdaptedModule.batches`.
        """
        module = self.module if is_train else self.module.view()
        index = module.index_of(domains)
        return module.batches(self.core, lengths, index, budget, is_train=is_train)

    def set_trainable(self, domains: Iterable[str], *, heads: bool, adapters: bool = True) -> None:
        """Choose what is trained; see `TaggerModule.set_trainable`."""
        self.module.set_trainable(domains, heads=heads, adapters=adapters)

    def weights_changed(self) -> None:
        """Say that weights were changed; see `TaggerModule.weights_changed`."""
        self.module.weights_changed()


class TaggerView:
    """The domains of a tagger at one moment. Docs that are tagged together use one, so that their
    batches, heads, labels and transitions belong together, whatever another thread adds,
    replaces, removes or trains meanwhile.
    """

    def __init__(self, module: TaggerModule, core: Core) -> None:
        """Make a view of a module's view, and of what runs it."""
        self.core = core
        self.domains = module.domains
        self.head_name = module.head_name
        self.labels_of = module.labels_of
        self.transitions_of = module.transitions_of
        self.adapter_key = module.adapter_key
        self._module = module

    def batches(
        self,
        lengths: Sequence[int],
        domains: Sequence[str],
        budget: int,
        *,
        is_train: bool = False,
    ) -> list[list[int]]:
        """Cut rows into batches.

        As `TaggerModel.batches`; never in training.
        """
        index = self._module.index_of(domains)
        return self._module.batches(self.core, lengths, index, budget)

    @torch.no_grad()
    def read(self, batch: WindowBatch, *, states: bool = False) -> list[tuple[Floats2d, Any]]:
        """Run the network on a batch.

        batch (WindowBatch): b rows of any domains.
        states (bool): Whether the hidden states are wanted.
        RETURNS (list): For each row its logits (kept words that have pieces, k), and what the
            heads read: the core's output with the row's adapter, (t, h) float32 with t its pieces
            and the two special ones; or None.
        """
        hidden = self._module.hidden_of(self.core, batch)
        logits = self._module.scatter(batch, self._module.logits_of(hidden, batch))
        if not states:
            return [(own, None) for own in logits]
        parts = zip(logits, hidden, batch.lengths.tolist(), strict=True)
        return [(own, torch2xp(rows[:n].float())) for own, rows, n in parts]

    @torch.no_grad()
    def label(self, states: Sequence[Any], domains: Sequence[str]) -> list[Floats2d]:
        """Apply the heads to hidden states that were read before.

        states (Sequence): For each row those of its kept words (w, h) float32.
        domains (Sequence[str]): Of each row.
        RETURNS (list): For each row the logits (w, k) of its head.
        """
        heads = [self._module.heads[self.head_name(domain)] for domain in domains]
        inputs = (xp2torch(own).to(self.core.device) for own in states)
        return [head(own).cpu().numpy() for head, own in zip(heads, inputs, strict=True)]


def _mean(
    states: Sequence[dict[str, Tensor]], weights: Sequence[float] | None = None
) -> dict[str, Tensor]:
    """Return the mean of each tensor.

    weights (Sequence[float]): Of each state, made to sum to 1; None are equal.
    RAISES (AdapterError): If names or shapes differ.
    """
    shapes = [{name: own.shape for name, own in state.items()} for state in states]
    if any(own != shapes[0] for own in shapes):
        raise AdapterError("Adapters of different kinds or shapes have no mean")
    share = torch.tensor(weights or [1.0] * len(states))
    share = share / share.sum()
    return {
        name: torch.stack([w * s[name].float() for w, s in zip(share, states, strict=True)]).sum(0)
        for name in states[0]
    }


def _equal(a: Head, b: Head) -> bool:
    theirs = b.state_dict()
    alike = (a.labels, a.standardised) == (b.labels, b.standardised)
    return alike and all(torch.equal(v.cpu(), theirs[k].cpu()) for k, v in a.state_dict().items())


def _shape_of(adapter: Adapter) -> tuple[str, str]:
    """Return an adapter's kind, and its length where that has to be the same for all."""
    settings = adapter.settings
    if isinstance(settings, PrefixSettings):
        return settings.kind, f" of {settings.n_virtual}"
    return settings.kind, ""


def forward(
    model: TaggerModel, batch: WindowBatch, is_train: bool
) -> tuple[Logits, Callable[[Logits], WindowBatch]]:
    """Tag rows.

    batch (WindowBatch): b rows.
    RETURNS (list): For each row, logits (kept words that have pieces, k of its head) float32. The
        callback takes the gradients in the same shapes.
    """
    if model.read_docs is not None and not isinstance(batch, WindowBatch):
        batch = model.read_docs(batch)
    module: TaggerModule = model.shims[0]._model
    core = model.layers[0].core
    with torch.set_grad_enabled(is_train):
        outputs = module(core, batch, is_train=is_train, dropout=model.attrs[DROPOUT])
    logits = module.scatter(batch, outputs)

    def backprop(d_logits: Logits) -> WindowBatch:
        tensors, gradients = [], []
        for members, output in outputs:
            parts = [torch.from_numpy(d_logits[i]).to(output) for i in members]
            if output.requires_grad:
                tensors.append(output)
                gradients.append(torch.cat(parts))
        if tensors:
            torch.autograd.backward(tensors, gradients)
        return batch

    return logits, backprop
