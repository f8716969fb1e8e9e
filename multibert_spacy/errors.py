"""Errors of multibert_spacy.

    MultibertError (ValueError)
    ├── DomainError    a domain, head or label that the pipeline does not have
    ├── AdapterError   an adapter folder that is missing, damaged or made for another core
    ├── CoreError      a core that is missing, damaged, or of an unsupported architecture
    ├── ConfigError    a setting outside its legal range
    ├── EngineError    an engine that computes something else than torch
    └── CorpusError    an input file that is not in its publisher's format

Every message holds the offending value, what would be legal, and the next step. All derive from
ValueError, which is what spaCy's own components raise.
"""

from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "AdapterError",
    "ConfigError",
    "CoreError",
    "CorpusError",
    "DomainError",
    "EngineError",
    "MultibertError",
]


class MultibertError(ValueError):
    """Base class of all errors raised on purpose by this package."""


class DomainError(MultibertError):
    """An unknown domain, head or label."""

    @classmethod
    def unknown(cls, domain: object, known: Iterable[str], *, component: str) -> "DomainError":
        names = ", ".join(sorted(known)) or "(none yet)"
        begin = f"Unknown domain {domain!r} in component '{component}'. It has: {names}. "
        if domain is None:
            return cls(
                f"{begin}A doc's domain is given (doc._.domain, or the context of "
                'nlp.pipe([(text, {"domain": …})], as_tuples=True)), or found by a '
                f"'domain_detector' in front of '{component}', or it is its default_domain."
            )
        return cls(f"{begin}Set doc._.domain to one of these, or add an adapter for {domain!r}.")


class AdapterError(MultibertError):
    """An adapter that cannot be read, or that belongs to another core."""


class CoreError(MultibertError):
    """A core that cannot be read or is not supported."""


class ConfigError(MultibertError):
    """A setting outside its legal range."""


class EngineError(MultibertError):
    """An engine whose results are not torch's: on this processor, or of this graph."""


class CorpusError(MultibertError):
    """A corpus file that breaks its format; names the file, the line and what was expected."""

    @classmethod
    def at(cls, path: str | Path, line: int, expected: str, found: str) -> "CorpusError":
        return cls(f"{path}, line {line}: expected {expected}, found {found}")
