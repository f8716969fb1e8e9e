"""Gradients that are not there: what learns nothing in an update must not move.

thinc and torch leave a gradient of zeros behind each step, and a step with one is a step all the
same: momentum, weight decay and averages go on. An update that fails half-way leaves one that the
next update would take for its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from thinc.api import Model

from .listener import CoreListener

__all__ = ["FAILED", "drop_gradients", "has_gradient", "none_on_error"]

FAILED = "failed_updates"


def _parameters(model: Model[Any, Any]) -> Iterator[Any]:
    """Yield the parameters of all PyTorch modules in a model, a trainable core included."""
    for node in model.walk():
        for shim in node.shims:
            yield from getattr(shim, "_model", shim).parameters()
        if isinstance(node, CoreListener) and node.lends_trainable:
            yield from node.core.model.parameters()


def has_gradient(model: Model[Any, Any]) -> bool:
    """Return whether any gradient of the model is other than zero."""
    own = (
        node.get_grad(name).any()
        for node in model.walk()
        for name in node.param_names
        if node.has_grad(name)
    )
    return any(own) or any(p.grad is not None and p.grad.any() for p in _parameters(model))


def drop_gradients(model: Model[Any, Any]) -> None:
    """Remove all gradients of a model.

    model (Model): Of any kind. Afterwards it is as if it had not been run.
    """
    for p in _parameters(model):
        p.grad = None
    for node in model.walk():
        for name in node.param_names:
            if node.has_grad(name):
                node.set_grad(name, node.ops.xp.zeros_like(node.get_grad(name)))  # it may be NaN


@contextmanager
def none_on_error(model: Model[Any, Any]) -> Iterator[None]:
    """Around an update: one that fails leaves no gradient of the model behind, and is counted in
    its `attrs`, since what a component before it has learnt from the same batch has to go as well.
    """
    try:
        yield
    except BaseException:
        drop_gradients(model)
        model.attrs[FAILED] = model.attrs.get(FAILED, 0) + 1
        raise
