"""How a model gets hold of the core, and how its own weights reach thinc's optimizer."""

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

from thinc.api import Model, PyTorchShim, xp2torch

from ..errors import AdapterError, CoreError
from .core import Core

__all__ = ["CoreListener", "CoreOwner", "ModuleShim"]


class CoreOwner(Protocol):
    """What owns the core: the `frozen_transformer` component."""

    name: str

    @property
    def core(self) -> Core: ...

    @property
    def fingerprint(self) -> str: ...


class CoreListener(Model[Any, Any]):
    """A layer without weights that stands for the upstream core.

    `Language._link_components` calls `find_listeners` of the owner, which calls `receive`: the way
    in which spaCy's Tok2Vec and Transformer share weights. Unlike theirs, this listener is not
    handed activations (each component runs the core with adapters of its own) but the core.
    """

    def __init__(self, upstream: str = "*") -> None:
        """upstream (str): Name of the component that owns the core; "*" is any."""
        super().__init__("multibert_core_listener", _no_forward)
        self.upstream = upstream
        self._owner: CoreOwner | None = None
        self._made_for: str | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "CoreListener":
        return self  # the core is shared by design

    def receive(self, owner: CoreOwner) -> None:
        """Called by the owner when the pipeline is linked. A component that is sourced by another
        pipeline changes owners: that the new one has the same core is checked at first use.
        """
        if self._owner is not None and self._owner is not owner:
            with contextlib.suppress(CoreError):  # it has no core, so nothing was made for it
                self._made_for = self._owner.fingerprint
        self._owner = owner

    @property
    def owner(self) -> CoreOwner:
        """RAISES (CoreError): If there is no frozen_transformer upstream.
        RAISES (AdapterError): If it has another core than the one this model was made for.
        """
        if self._owner is None:
            raise CoreError(
                f"No core: put a 'frozen_transformer' component (named {self.upstream!r}) "
                "into the pipeline before this one"
            )
        if self._made_for is not None:
            if self._made_for != self._owner.fingerprint:
                raise AdapterError(
                    f"The sourced component was made for another core: {self._made_for[:12]}…, "
                    f"'{self._owner.name}' has {self._owner.fingerprint[:12]}…. "
                    "Source the frozen_transformer too"
                )
            self._made_for = None
        return self._owner

    @property
    def core(self) -> Core:
        """The core."""
        return self.owner.core

    @property
    def fingerprint(self) -> str:
        """The core's identity."""
        return self.owner.fingerprint


def _no_forward(model: Model[Any, Any], X: Any, is_train: bool) -> Any:
    raise CoreError("CoreListener lends the core; it has no forward pass of its own")


class ModuleShim(PyTorchShim):
    """An `AdaptedModule`, which has to know when its weights change."""

    def finish_update(self, optimizer: Any) -> None:
        with self._model.changing():
            for p in self._model.parameters():
                if p.grad is not None:
                    p.data = p.data.clone()  # the optimizer writes into what views share
            super().finish_update(optimizer)

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
