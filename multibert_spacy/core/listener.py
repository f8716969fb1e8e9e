"""How a model gets hold of the core, and how its own weights reach thinc's optimizer."""

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

from thinc.api import Model, PyTorchShim, xp2torch

from ..errors import AdapterError, CoreError
from .encoder import Core
from .settings import differences

__all__ = ["CoreListener", "CoreOwner", "ModuleShim"]


class CoreOwner(Protocol):
    """What owns the core: the `frozen_transformer` component."""

    name: str
    trainable: bool
    adapted: bool
    stock_listeners: list[Any]

    @property
    def core(self) -> Core: ...

    def fingerprint(self) -> str: ...


class CoreListener(Model[Any, Any]):
    """A layer without weights that stands for the upstream core.

    `Language._link_components` calls `find_listeners` of the owner, which calls `receive`: the way
    in which spaCy's Tok2Vec and Transformer share weights. Unlike theirs, this listener is not
    handed activations (each component runs the core with adapters of its own) but the core.
    """

    def __init__(self, upstream: str = "*") -> None:
        """Listen for a core.

        upstream (str): Name of the component that owns the core; "*" is any.
        """
        super().__init__("multibert_core_listener", _no_forward)
        self.upstream = upstream
        self._owner: CoreOwner | None = None
        self._made_for: tuple[str, dict[str, Any]] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "CoreListener":
        return self  # the core is shared by design

    def receive(self, owner: CoreOwner) -> None:
        """Called by the owner when the pipeline is linked. A component that is sourced by another
        pipeline changes owners: that the new one has the same core is checked at first use.
        """
        if self._owner is not None and self._owner is not owner:
            with contextlib.suppress(CoreError):  # it has no core, so nothing was made for it
                self._made_for = self._owner.fingerprint(), self._owner.core.settings
        self._owner = owner

    def lose(self) -> None:
        """Called when the component comes into a pipeline that has no such owner."""
        if self._owner is not None:
            with contextlib.suppress(CoreError):
                self._made_for = self._owner.fingerprint(), self._owner.core.settings
        self._owner = None

    @property
    def feeding(self) -> CoreOwner | None:
        """The owner, if it wants this model's hidden states for its listeners."""
        owner = self._owner
        return owner if owner is not None and owner.adapted else None

    def owner(self) -> CoreOwner:
        """The component that lends the core.

        RAISES (CoreError): If there is no frozen_transformer upstream.
        RAISES (AdapterError): If it has another core than the one this model was made for.
        """
        if self._owner is None:
            raise CoreError(
                f"No core: put a 'frozen_transformer' component (named {self.upstream!r}) "
                "into the pipeline before this one, and leave it enabled. A new one: nlp.add_pipe("
                '"frozen_transformer", name="transformer", config={"model": {"name": …}}, '
                "first=True). That of the pipeline which this component was sourced from: "
                'nlp.add_pipe("transformer", source=…, first=True)'
            )
        if self._made_for is not None:
            weights, settings = self._made_for
            found = differences(settings, self._owner.core.settings)
            if weights != self._owner.fingerprint() or found:
                raise AdapterError(
                    f"The sourced component was made for another core: {weights[:12]}…, "
                    f"'{self._owner.name}' has {self._owner.fingerprint()[:12]}…"
                    f"{''.join(f', {what}' for what in found)}. Source the frozen_transformer too"
                )
            self._made_for = None
        return self._owner

    @property
    def core(self) -> Core:
        """The core that is lent. It raises what `owner` raises."""
        return self.owner().core

    def fingerprint(self) -> str:
        """The identity of the core's weights. It raises what `owner` raises."""
        return self.owner().fingerprint()

    @property
    def lends_trainable(self) -> bool:
        """Whether there is a core, and it is trained."""
        return self._owner is not None and self._owner.trainable


def _no_forward(model: Model[Any, Any], X: Any, is_train: bool) -> Any:
    raise CoreError("CoreListener lends the core; it has no forward pass of its own")


class ModuleShim(PyTorchShim):
    """An `AdaptedModule`, which has to know when its weights change."""

    def finish_update(self, optimizer: Any) -> None:
        """Weights without a gradient do not move: thinc leaves zeros behind, with which Adam's
        momentum, weight decay and averages would go on in the next step.
        """
        learnt = [p for p in self._model.parameters() if p.grad is not None]
        if not learnt:
            return
        with self._model.changing():
            for p in learnt:
                p.data = p.data.clone()  # the optimizer writes into what views share
            super().finish_update(optimizer)
            for p in learnt:
                p.grad = None

    @contextlib.contextmanager
    def use_params(self, params: Any) -> Iterator[None]:
        """Use other weights for a while, such as the optimizer's averages. thinc's own version
        looks for keys that its optimizer does not write, and so changes nothing.
        """
        own = [
            (p, p.data, params[self.id, name])
            for name, p in self._model.named_parameters()
            if (self.id, name) in params
        ]
        with self._model.changing():
            for p, _, other in own:
                p.data = xp2torch(other, device=p.device)
        try:
            yield
        finally:
            with self._model.changing():
                for p, before, _ in own:
                    p.data = before
