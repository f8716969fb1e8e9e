"""Domains that come from outside of a pipeline: out of a folder, or of an installed add-on.

An add-on is a package that holds one domain's folder and says so by an entry point:

    [multibert_domains]
    legal = fa_multibert_legal

None of its code is run: the entry point names a module, and the folder `domain` beside that
module's file is read as a stranger's folder is.
"""

import logging
from collections.abc import Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spacy.language import Language

from ..errors import ConfigError, DomainError
from ..names import check_name, check_new_name
from .undo import all_or_nothing

__all__ = [
    "ADDONS",
    "DOMAIN",
    "addon_folder",
    "find_addon",
    "installed_addons",
    "join_domain",
    "pipes_of",
]

logger = logging.getLogger(__name__)

ADDONS = "multibert_domains"
"""The group of entry points."""
DOMAIN = "domain"
"""The folder in an add-on's package."""


def installed_addons() -> dict[str, str]:
    """Return domain -> package of all add-ons that are installed. One whose entry point is none is
    left out, with a log message, and costs the others nothing.
    """
    found = {}
    for entry in sorted(entry_points(group=ADDONS)):
        try:
            check_name(entry.name)
            package = entry.value.strip()
            if not package.isidentifier():
                raise ConfigError(f"{package!r:.120} is no package")
        except ConfigError as e:
            whose = entry.dist.name if entry.dist is not None else "a distribution"
            logger.warning(
                "The add-on %r of %s is left out, its entry point in %s is damaged: %s",
                *(entry.name[:120], whose, ADDONS, e),
            )
        else:
            found[entry.name] = package
    return found


def addon_folder(name: str) -> Path | None:
    """The folder of an installed add-on.

    name (str): Of its domain (`legal`) or its package (`fa_multibert_legal`).
    RETURNS (Path): None if no such add-on is installed.
    """
    for domain, package in installed_addons().items():
        if name in (domain, package):
            try:
                spec = find_spec(package)
            except (ImportError, ValueError):  # `__main__`, or one that somebody half removed
                spec = None
            if spec is not None and spec.has_location and spec.origin is not None:
                return Path(spec.origin).parent / DOMAIN
    return None


def pipes_of(nlp: Language, factory: str) -> list[tuple[str, Any]]:
    """Return names and components of a factory, disabled ones too: they may come back."""
    return [
        (name, proc) for name, proc in nlp.components if nlp.get_pipe_meta(name).factory == factory
    ]


def join_domain(
    nlp: Language, tagger: Any, folder: Path, name: str | None = None, *, detect: bool = True
) -> str:
    """Add a domain to a tagger, and to the detectors of its pipeline, or to none of them.

    nlp (Language): The pipeline.
    tagger (MultibertNER): One of its components.
    folder (Path): What `TaggerModel.write_domain` wrote.
    name (str): The domain's name here; None keeps its own.
    detect (bool): Whether the detectors are to choose it.
    RETURNS (str): Its name.
    RAISES (DomainError): If there is a domain of that name.
    RAISES (AdapterError): If the folder is missing, damaged, or made for another core.
    RAISES (ConfigError): If the name is illegal.
    """
    own, known = tagger.model.open_domain(folder, name)
    check_new_name(own.name, tagger.domains)
    with all_or_nothing(nlp):
        tagger.model.take_domain(own)
        if detect:
            _teach([proc for _, proc in pipes_of(nlp, "domain_detector")], own.name, known)
    return str(own.name)


def _teach(detectors: Sequence[Any], name: str, known: Any) -> None:
    for detector in detectors:
        detector.forget(name)  # of a tagger's folder that was deleted by hand
        if known is None or not detector.learn(name, known):
            why = (
                "nothing about its texts came with it"
                if known is None
                else "its network can only be trained on the texts of all"
            )
            logger.warning(
                "'%s' does not know the domain %r, and will not choose it: %s. Docs that are "
                "given it (doc._.domain) have it",
                *(detector.name, name, why),
            )


def find_addon(name: str, component: str) -> Path:
    """The folder of an add-on that a config names.

    name (str): See `addon_folder`. component (str): Whose config it is.
    RAISES (DomainError): If it is not installed.
    """
    folder = addon_folder(name)
    if folder is None:
        known = ", ".join(installed_addons()) or "none"
        package = name if name.startswith("fa_multibert_") else f"fa_multibert_{name}"
        raise DomainError(
            f"The add-on {name!r} of component '{component}' is not installed (installed: "
            f"{known}). pip install its package ({package}), or take it out of [components."
            f"{component}] addons"
        )
    return folder
