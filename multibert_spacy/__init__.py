"""Persian entity recognition as a spaCy pipeline, with one frozen transformer and one tiny adapter
per domain.

Importing this package registers `doc._.domain`, `doc._.domain_score`, `doc._.thread` and
`ent._.score`, and lets `spacy.explain` know the labels. What is not in `__all__`, not registered
with spaCy and not documented is private, and may change.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    AdapterError,
    ConfigError,
    CoreError,
    CorpusError,
    DomainError,
    EngineError,
    MultibertError,
)
from .glossary import install_glossary as _install_glossary
from .text.threads import install_extensions as _install_extensions

if TYPE_CHECKING:
    from .domains.add import add_domain
    from .domains.folders import load_domain, save_domain
    from .domains.foreign import import_domain
    from .domains.publish import package_domain
    from .domains.remove import remove_domain
    from .domains.rename import rename_domain
    from .domains.suggest import suggest
    from .pipeline.domain_detector import DomainDetector
    from .pipeline.frozen_transformer import FrozenTransformer
    from .pipeline.multibert_ner import MultibertNER
    from .pipeline.multibert_tagger import MultibertTagger
    from .pipeline.multibert_textcat import MultibertTextcat

__version__ = "0.1.0"
__all__ = [
    "AdapterError",
    "ConfigError",
    "CoreError",
    "CorpusError",
    "DomainDetector",
    "DomainError",
    "EngineError",
    "FrozenTransformer",
    "MultibertError",
    "MultibertNER",
    "MultibertTagger",
    "MultibertTextcat",
    "__version__",
    "add_domain",
    "import_domain",
    "load_domain",
    "package_domain",
    "remove_domain",
    "rename_domain",
    "save_domain",
    "suggest",
]

_LAZY = {
    "DomainDetector": ".pipeline.domain_detector",
    "FrozenTransformer": ".pipeline.frozen_transformer",
    "MultibertNER": ".pipeline.multibert_ner",
    "MultibertTagger": ".pipeline.multibert_tagger",
    "MultibertTextcat": ".pipeline.multibert_textcat",
    "add_domain": ".domains.add",
    "import_domain": ".domains.foreign",
    "load_domain": ".domains.folders",
    "package_domain": ".domains.publish",
    "remove_domain": ".domains.remove",
    "rename_domain": ".domains.rename",
    "save_domain": ".domains.folders",
    "suggest": ".domains.suggest",
}
"""What is imported when it is first asked for, since it imports torch."""


def __getattr__(name: str) -> Any:
    if name == "scale":
        return importlib.import_module(".scale", __name__)
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_install_extensions()
_install_glossary()
