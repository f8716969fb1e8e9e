"""The tagger's network: a bank of adapters on the core, and a head per label scheme, which is a
linear layer and, for entities, the transitions of a chain.

As in the paper, a head is trained together with the shared adapter of its domains and frozen when
a domain's own adapter is tuned. Heads of different sizes in one batch cost one small matmul each.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..adapters.kinds import Adapter, AdapterSettings
from ..core.dtypes import hash_tensors
from ..core.encoder import Core
from ..core.precision import upload
from ..engines.adapted_module import AdaptedModule
from ..errors import DomainError
from ..names import check_head_name, check_labels, check_name
from ..text.spans import bio_tags
from ..types import Floats2d, WindowBatch
from .tasks import ENTITIES, Task

__all__ = ["Head", "TaggerModule"]

START_SHARE = 0.25
"""Of a tag pair's log-odds, where a new head's transitions start; chosen on dev."""
MOST_ODDS = 4.0


class Head(nn.Module):
    """A label scheme: hidden states (w, h) -> logits (w, k).

    For entities k = 2 * len(labels) + 1, and it has the transitions (k, k) between the tags of
    neighbouring words (see `text/crf.py`). For all else k is len(labels), and it has none.

    The hidden states are standardised first (a layer norm without weights), so that one learning
    rate fits cores of any scale: those of e5 are ten times as small as BERT's.
    """

    def __init__(
        self,
        labels: Sequence[str],
        width: int,
        pairs: NDArray[np.int64] | None = None,
        *,
        standardised: bool = True,
        task: Task = ENTITIES,
    ) -> None:
        """Make a head whose bias and transitions start from how often tags follow each other.

        Otherwise the adapter would learn the prior of the tags first, and on a small corpus might
        predict no entity at all. The transitions start as a quarter of the pairs' log-odds, since
        they hardly learn from zero.

        labels (Sequence[str]): The labels.
        width (int): Width of the core.
        pairs (k, k): How often the column's tag follows the row's in the training part; (1, k) how
            often each label is there, for a head without transitions. None leaves everything at
            zero.
        standardised (bool): Whether it has the layer norm; a classifier that somebody trained
            without one has none.
        task (Task): What it is for.
        RAISES (ConfigError): If a label could not be saved and read again.
        """
        super().__init__()
        self.standardised = standardised
        self.labels = check_labels(labels)
        n_tags = task.n_outputs(len(self.labels))
        self.linear = nn.Linear(width, n_tags)
        self.transitions: nn.Parameter | None = None
        if task.chained:
            self.transitions = nn.Parameter(torch.zeros(n_tags, n_tags))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        if pairs is not None:
            smoothed = torch.from_numpy(pairs).float()
            prior = smoothed.sum(0) + 1
            prior = prior / prior.sum()
            self.linear.bias.data.copy_(prior.log())
            if self.transitions is None:
                return
            following = smoothed + prior  # one more pair, spread as the prior is
            following = following / following.sum(1, keepdim=True)
            odds = (following / prior).log().clamp(-MOST_ODDS, MOST_ODDS)
            self.transitions.data.copy_(START_SHARE * odds)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that are stored: weight (k, h), bias (k,), transitions (k, k)."""
        own: dict[str, Tensor] = self.linear.state_dict()
        return own if self.transitions is None else {**own, "transitions": self.transitions}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights.

        tensors (Mapping): What `tensors` returned; no transitions are all zero.
        RAISES (RuntimeError): If names or shapes differ.
        """
        own = dict(tensors)
        names = {}
        if self.transitions is not None:
            names["transitions"] = own.pop("transitions", torch.zeros_like(self.transitions))
        names.update((f"linear.{name}", tensor) for name, tensor in own.items())
        self.load_state_dict(names)

    def take_over(self, old: "Head", sources: Mapping[str, str]) -> None:
        """Begin with what another head for entities knows; tags that are in none stay as they are.

        old (Head): Of the same width.
        sources (Mapping): Label -> the other head's label that it begins as.
        """
        index = {tag: i for i, tag in enumerate(bio_tags(self.labels))}
        theirs = {tag: i for i, tag in enumerate(bio_tags(old.labels))}
        taken = {index["O"]: theirs["O"]}
        for label, source in sources.items():
            taken |= {index[f"{p}-{label}"]: theirs[f"{p}-{source}"] for p in "BI"}
        into, of = torch.tensor(list(taken)), torch.tensor(list(taken.values()))
        with torch.no_grad():
            self.linear.weight[into] = old.linear.weight[of].to(self.linear.weight)
            self.linear.bias[into] = old.linear.bias[of].to(self.linear.bias)
            moves, known = self.tensors()["transitions"], old.tensors()["transitions"]
            moves[into[:, None], into] = known[of][:, of].to(moves)

    def forward(self, x: Tensor) -> Tensor:
        if self.standardised:
            x = F.layer_norm(x, x.shape[-1:])
        logits: Tensor = self.linear(x)
        return logits


@dataclass(frozen=True)
class _Domain:
    head: str
    adapter: Adapter


class TaggerModule(AdaptedModule):
    """Domains, their adapters and heads, all of one task. Knows nothing of docs."""

    def __init__(
        self, settings: AdapterSettings, dropout: float, core_dropout: float = 0.0
    ) -> None:
        """Make a tagger without heads and domains.

        settings (AdapterSettings): Of adapters made here; read ones bring their own.
        dropout (float): On the hidden states in front of the head, and in a core that is trained.
        core_dropout (float): In a frozen core, while an adapter is trained.

        task (Task), settable: What its heads are for.
        """
        super().__init__()
        self.task = ENTITIES
        self._keys: dict[int, str] = {}  # filled in views alone, whose adapters stay
        self.settings = settings
        self.dropout = nn.Dropout(dropout)
        self.core_dropout = core_dropout
        self.heads: dict[str, Head] = {}
        self._domains: dict[str, _Domain] = {}

    @property
    def domains(self) -> tuple[str, ...]:
        """Names, in the order in which they were added."""
        with self.unchanged():
            return tuple(self._domains)

    def head_name(self, domain: str) -> str:
        """The name of a domain's head.

        RAISES (DomainError): If there is no such domain.
        """
        return self._get(domain).head

    def labels_of(self, domain: str) -> tuple[str, ...]:
        """The labels of a domain.

        RAISES (DomainError): If there is no such domain.
        """
        return self._head_of(domain).labels

    def adapter_of(self, domain: str) -> Adapter:
        """A domain's adapter.

        RAISES (DomainError): If there is no such domain.
        """
        return self._get(domain).adapter

    def _get(self, domain: str) -> _Domain:
        with self.unchanged():
            if domain not in self._domains:
                raise DomainError.unknown(domain, self._domains, component=self.task.component)
            return self._domains[domain]

    def _head_of(self, domain: str) -> Head:
        with self.unchanged():
            return self.heads[self._get(domain).head]

    def adapter_key(self, domain: str) -> str:
        """Return what identifies a domain's adapter in a view: equal for adapters of equal values.

        RAISES (DomainError): If there is no such domain.
        """
        adapter = self.adapter_of(domain)
        if id(adapter) not in self._keys:
            weights = hash_tensors(adapter.state_dict())
            self._keys[id(adapter)] = f"{adapter.settings!r} {weights}"
        return self._keys[id(adapter)]

    def transitions_of(self, domain: str) -> Floats2d:
        """Return the transitions (k, k) of the domain's head, which has some.

        RAISES (DomainError): If there is no such domain.
        """
        own = self._head_of(domain).tensors()["transitions"]
        transitions: Floats2d = own.detach().cpu().numpy()
        return transitions

    def add_head(self, name: str, head: Head) -> None:
        """Add or replace a head, inside the same `changing` as the domain that it is for.

        RAISES (ConfigError): If its name is not valid text.
        """
        check_head_name(name)
        with self.changing():
            self.heads = {**self.heads, name: head}  # others may be going through the old ones
            self._register()

    def add_domain(self, domain: str, head: str, adapter: Adapter) -> None:
        """Add or replace a domain. The head of a replaced one goes if no other domain uses it.

        domain (str): Its name, which will be a folder's.
        head (str): A head that exists.
        RAISES (DomainError): If it does not.
        RAISES (ConfigError): If the name cannot be a folder's.
        """
        check_name(domain)
        with self.changing():
            if head not in self.heads:
                raise DomainError(f"Unknown head {head!r}; there are: {', '.join(self.heads)}")
            old = self._domains.get(domain)
            self._domains = {**self._domains, domain: _Domain(head, adapter)}
            self._drop_unused(old)
            self._register()

    def remove_domain(self, domain: str) -> None:
        """Remove a domain, and its head if no other domain uses it."""
        with self.changing():
            old = self._get(domain)
            self._domains = {n: own for n, own in self._domains.items() if n != domain}
            self._drop_unused(old)
            self._register()

    def rename_domain(self, old: str, new: str) -> None:
        """Call a domain otherwise; its place among the others, adapter and head stay.

        old (str): A domain. new (str): A name that none has.
        RAISES (DomainError): If there is no such domain, or one of the new name.
        RAISES (ConfigError): If the name cannot be a folder's.
        """
        check_name(new)
        with self.changing():
            self._get(old)
            if new in self._domains:
                raise DomainError(f"There is a domain {new!r} already")
            self._domains = {new if n == old else n: own for n, own in self._domains.items()}
            self._register()

    def remember(self) -> Callable[[], None]:
        """Return a function that puts domains and heads back which are there now."""
        heads, domains = self.heads, self._domains

        def put_back() -> None:
            with self.changing():
                self.heads, self._domains = heads, domains
                self._register()

        return put_back

    def share_adapter(self, adapter: Adapter) -> None:
        """Give all domains one adapter, which is then trained on all of them together.

        adapter (Adapter): Theirs from now on.
        """
        with self.changing():
            self._domains = {n: _Domain(own.head, adapter) for n, own in self._domains.items()}
            self._register()

    def _drop_unused(self, old: _Domain | None) -> None:
        if old is not None and all(d.head != old.head for d in self._domains.values()):
            self.heads = {name: own for name, own in self.heads.items() if name != old.head}

    def _register(self) -> None:
        """Make adapters and heads known to torch, under names that stay when others come and go.

        The optimizer's state hangs on the names, and they hold only what torch allows: no dot.
        """
        modules: dict[str, nn.Module] = {f"head {n}": head for n, head in self.heads.items()}
        modules.update((f"domain {n}", d.adapter) for n, d in self._domains.items())
        self._registered = nn.ModuleDict({n.encode().hex(): m for n, m in modules.items()})

    def set_trainable(self, domains: Iterable[str], *, heads: bool, adapters: bool = True) -> None:
        """Choose what is trained of these domains: their heads, their adapters. All else is
        frozen.
        """
        for p in self.parameters():
            p.requires_grad_(False)
            p.grad = None  # a gradient of zero is still an update: Adam's momentum, weight decay
        for domain in domains:
            for p in self.adapter_of(domain).parameters():
                p.requires_grad_(adapters)
            if heads:
                for p in self.heads[self.head_name(domain)].parameters():
                    p.requires_grad_(True)

    @property
    def adapters(self) -> list[Adapter]:
        """In the order of `domains`, one that several of them share once."""
        return list({id(own.adapter): own.adapter for own in self._domains.values()}.values())

    def forward(
        self, core: Core, batch: WindowBatch, *, is_train: bool = False, dropout: float = 0.0
    ) -> list[tuple[list[int], Tensor]]:
        """Logits of the kept words that have pieces.

        batch (WindowBatch): b rows of any domains; while training, of domains of one adapter.
        is_train (bool): Whether it is training; what predicts is a view.
        dropout (float): While training; 0 is the module's own.
        RETURNS (list): See `logits_of`.
        RAISES (DomainError): If a domain is unknown.
        """
        if not (is_train or self._is_view):
            return self.view().forward(core, batch)
        dropout = (dropout or self.dropout.p) if is_train else 0.0
        own = dropout if core.trainable else self.core_dropout
        hidden = self.hidden_of(core, batch, dropout=own, is_train=is_train)
        return self.logits_of(hidden, batch, dropout=dropout)

    def hidden_of(
        self, core: Core, batch: WindowBatch, *, dropout: float = 0.0, is_train: bool = False
    ) -> Tensor:
        """The core's output with each row's adapter.

        dropout (float): In the core, while training.
        RETURNS (b, t, h): See `AdaptedModule.hidden`.
        """
        index = self.index_of(batch.domains)
        ids, lengths = upload(batch.ids, core.device), upload(batch.lengths, core.device)
        return self.hidden(core, ids, lengths, index, dropout=dropout, is_train=is_train)

    def logits_of(
        self, hidden: Tensor, batch: WindowBatch, *, dropout: float = 0.0
    ) -> list[tuple[list[int], Tensor]]:
        """Apply the heads to hidden states.

        hidden (b, t, h): Of the batch.
        dropout (float): In front of the heads; 0 is off.
        RETURNS (list): For each head in the batch: its rows, and the logits (w, k) of their words,
            row after row.
        """
        by_head: dict[str, list[int]] = {}
        for i, name in enumerate(batch.domains):
            by_head.setdefault(self.head_name(name), []).append(i)
        outputs = []
        for name, members in by_head.items():
            where = [(i, first) for i in members for first in batch.firsts[i]]
            at = torch.tensor(where, dtype=torch.long, device=hidden.device).view(-1, 2)
            picked = hidden[at[:, 0], at[:, 1]].float()
            picked = F.dropout(picked, dropout, training=dropout > 0)
            outputs.append((members, self.heads[name](picked)))
        return outputs

    def index_of(self, domains: Sequence[str]) -> list[int]:
        """Find the adapters of domains.

        RETURNS (list[int]): Where they stand in `adapters`.
        RAISES (DomainError): If there is no such domain.
        """
        own = self._domains
        place = {id(adapter): i for i, adapter in enumerate(self.adapters)}
        for name in domains:
            if name not in own:
                raise DomainError.unknown(name, own, component=self.task.component)
        return [place[id(own[name].adapter)] for name in domains]

    def scatter(
        self, batch: WindowBatch, outputs: Sequence[tuple[list[int], Tensor]]
    ) -> list[Floats2d]:
        """Sort the logits by row.

        RETURNS (list): For each row, logits (kept words that have pieces, k of its head) as
            float32.
        """
        logits: list[Floats2d] = [None] * len(batch.domains)  # type: ignore[list-item]
        for members, output in outputs:
            values = output.detach().float().cpu().numpy()
            start = 0
            for i in members:
                end = start + len(batch.firsts[i])
                logits[i] = values[start:end]
                start = end
        return logits
