"""Read what a plan needs to know of a pipeline without loading it: the workers load it."""

import inspect
from pathlib import Path
from typing import NamedTuple

from spacy import util
from spacy.language import Language

from ..domains.components import check_ours

__all__ = ["Known", "describe_model"]


class Known(NamedTuple):
    """The facts about a pipeline that a plan needs."""

    version: str
    """`fa_multibert-0.1.0`."""
    group_size: int
    """Neighbouring texts without a thread that it takes for a group."""
    max_length: int
    """Characters of a text at the most."""


def describe_model(model: str) -> Known:
    """Read what a pipeline's meta and config say.

    model (str): Installed package or folder.
    RETURNS (Known): The facts that a plan needs.
    RAISES (OSError): If there is no such pipeline.
    RAISES (ConfigError): If it has no component of ours.
    """
    if util.is_package(model):
        package = util.get_package_path(model)
        meta = util.load_meta(package / "meta.json")
        folder = package / f"{meta['lang']}_{meta['name']}-{meta['version']}"
    else:
        folder = Path(model)
        meta = util.load_meta(folder / "meta.json")
    components = util.load_config(folder / "config.cfg")["components"]
    check_ours(model, {name: own.get("factory", "") for name, own in components.items()})
    sizes = [own["group_size"] for own in components.values() if "group_size" in own]
    return Known(
        f"{meta['lang']}_{meta['name']}-{meta['version']}",
        max(sizes, default=1),
        inspect.signature(Language).parameters["max_length"].default,
    )
