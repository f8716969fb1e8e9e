"""One domain as a folder: saved out of a pipeline, loaded into another.

adapter_config.json, adapter_model.safetensors   PEFT's format
head.safetensors, multibert.json                 ours: see adapters/storage.py
detector.safetensors                             what the detector knows of it, if it does
README.md                                        a card; how to use it without this package
"""

from pathlib import Path
from typing import Any

from spacy.language import Language

from ..errors import DomainError
from ..pipeline.addons import addon_folder, installed_addons, join_domain
from ..serialization.manifest import MANIFEST
from .card import card_of
from .components import check_known, detectors_of, follow, let_side_tasks_read, tagger_of

__all__ = ["load_domain", "save_domain"]

ABOUT = ("license", "author", "url")
"""Of a pipeline's meta, what a domain's folder says as well."""


def save_domain(nlp: Language, name: str, folder: str | Path) -> None:
    """Write one domain into a folder, which `load_domain` and PEFT read anywhere the same core is.

    nlp (Language): A pipeline.
    name (str): A domain.
    folder (Path): A new folder, an empty one, or another domain's, which is replaced in one step.
    RAISES (DomainError): If there is no such domain.
    RAISES (AdapterError): If something else is there.
    """
    tagger = check_known(nlp, name)
    known = next(filter(None, (own.knowledge(name) for own in detectors_of(nlp))), None)
    about: dict[str, Any] = {key: nlp.meta[key] for key in ABOUT if nlp.meta.get(key)}
    card = {"README.md": card_of(nlp, name, about)}
    tagger.model.write_domain(name, Path(folder), known, about=about, texts=card)


def load_domain(
    nlp: Language, folder_or_package: str | Path, name: str | None = None, *, detect: bool = True
) -> str:
    """Add a domain out of a folder, or of an installed add-on, to a loaded pipeline. The detector
    follows where it can; a log message says where it cannot.

    nlp (Language): The pipeline, changed in place.
    folder_or_package (Path): What `save_domain` wrote, or an add-on: its package
        (`fa_multibert_legal`) or its domain (`legal`).
    name (str): What it is called here; None keeps its own name.
    detect (bool): Whether the detectors are to choose it.
    RETURNS (str): Its name.
    RAISES (DomainError): If there is a domain of that name, or neither folder nor add-on.
    RAISES (AdapterError): If the folder is damaged, or made for another core.
    RAISES (ConfigError): If the name is illegal.
    """
    tagger = tagger_of(nlp)
    before = tagger.domains
    own = join_domain(nlp, tagger, find_folder(folder_or_package), name, detect=detect)
    let_side_tasks_read(nlp, own, None)
    follow(nlp, before, {})
    return own


def find_folder(place: str | Path) -> Path:
    """Find the folder of a domain that somebody named, see `load_domain`.

    RAISES (DomainError): If there is neither folder nor add-on.
    """
    folder = Path(place)
    if folder.is_dir():
        return folder
    found = addon_folder(str(place))
    if found is None:
        known = ", ".join(installed_addons()) or "none"
        raise DomainError(
            f"{str(place)!r} is no folder with a {MANIFEST}, and no installed add-on (there are: "
            f"{known})"
        )
    return found
