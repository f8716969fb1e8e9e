"""Persian entity recognition with one frozen transformer and one tiny adapter per domain."""

from importlib import import_module as _import_module
from typing import Any as _Any

from .glossary import install_glossary as _install_glossary
from .text import threads as _threads  # noqa: F401  (registers doc._.domain and doc._.thread)

__version__ = "0.1.0"
__all__ = ["__version__"]

_install_glossary()


def __getattr__(name: str) -> _Any:
    """`multibert_spacy.scale` is imported when it is asked for: whoever tags does not need it."""
    if name == "scale":
        return _import_module(".scale", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
