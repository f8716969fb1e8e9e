"""Persian entity recognition with one frozen transformer and one tiny adapter per domain."""

from .glossary import install_glossary as _install_glossary
from .text import threads as _threads  # noqa: F401  (registers doc._.domain and doc._.thread)

__version__ = "0.1.0"
__all__ = ["__version__"]

_install_glossary()
