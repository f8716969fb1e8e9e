"""What a folder of a domain, or of the detector's classifier, holds: read and checked before
anything of a model is changed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..adapters.kinds import Adapter
from ..adapters.storage import check_head, read_folder, read_manifest
from ..core.encoder import Core
from ..errors import AdapterError, ConfigError
from ..names import check_head_name, check_name
from ..serialization.manifest import MANIFEST
from .mixture import Mixture, Weights
from .tagger import Head

__all__ = ["ReadDomain", "read_classifier", "read_domain", "read_mixture"]


class ReadDomain(NamedTuple):
    """A domain that was read and is not yet one of a model's."""

    name: str
    head_name: str
    head: Head
    adapter: Adapter


def read_domain(
    folder: Path, domain: str | None, core: Core, fingerprint: str
) -> tuple[ReadDomain, dict[str, Any]]:
    """Read the folder of a domain.

    folder (Path): What `TaggerModel.write_domain` wrote.
    domain (str): A name to give it; None keeps its own.
    core (Core), fingerprint (str): What it should be made for.
    RETURNS (tuple): What it holds, and its manifest.
    RAISES (AdapterError): If it is damaged, made for another core, or names its domain or head
        what none can be called.
    RAISES (ConfigError): If the name given is none for a folder.
    """
    if domain is not None:
        check_name(domain)
    adapter, tensors, manifest = read_folder(folder, core, fingerprint)
    labels, name = manifest["labels"], manifest.get("head")
    n_tags = 2 * len(labels) + 1
    chain = {"transitions": (n_tags, n_tags)} if "transitions" in tensors else {}
    check_head(folder, tensors, n_tags, core, extra=chain)
    domain = manifest.get("domain") if domain is None else domain
    if not isinstance(domain, str) or not isinstance(name, str):
        raise AdapterError(f"{folder / MANIFEST} must name a domain and a head")
    try:
        check_name(domain)
        check_head_name(name)
    except ConfigError as e:
        raise AdapterError(f"{folder / MANIFEST} must name a domain and a head: {e}") from e
    head = Head(labels, core.width)
    head.load(tensors)
    return ReadDomain(domain, name, head, adapter), manifest


def read_classifier(
    folder: Path,
    labels: Sequence[str],
    core: Core,
    fingerprint: str,
    *,
    shape: Mapping[str, Any],
) -> tuple[Adapter, dict[str, Tensor], dict[str, Any]]:
    """Read the folder of a classifier.

    folder (Path): What `ClassifierModel.write` wrote.
    labels (Sequence[str]): Those that it should be for.
    core (Core), fingerprint (str): What it should be made for.
    shape (Mapping): Settings without which its weights mean something else.
    RETURNS (tuple): Adapter, tensors beside it, manifest.
    RAISES (AdapterError): If the folder is damaged or of another core, label set or shape.
    """
    adapter, tensors, manifest = read_folder(folder, core, fingerprint)
    _check_shape(folder, manifest, labels, shape)
    extra = {"bag": (core.n_pieces, len(labels))} if shape.get("bag") else {}
    check_head(folder, tensors, len(labels), core, extra=extra)
    return adapter, tensors, manifest


def read_mixture(
    folder: Path,
    labels: Sequence[str],
    core: Core,
    fingerprint: str,
    *,
    shape: Mapping[str, Any],
    topic_layers: int,
) -> tuple[Adapter, dict[str, Tensor], Mixture | None, dict[str, Any]]:
    """Read the folder of a mixture, or of a classifier that is none yet.

    topic_layers (int): Layers of the core that its embeddings should be of.
    RETURNS (tuple): Adapter, the classifier's tensors, the mixture, the manifest. The rest is as
        in `read_classifier`.
    """
    about = read_manifest(folder).get("mixture")
    if about is None:
        adapter, tensors, manifest = read_classifier(
            folder, labels, core, fingerprint, shape=shape
        )
        return adapter, tensors, None, manifest
    adapter, found, manifest = read_folder(folder, core, fingerprint)
    _check_shape(folder, manifest, labels, shape)
    n_classes, others = manifest.get("n_classes"), about.get("others")
    known = about.get("descriptions")
    if (
        not isinstance(n_classes, int)
        or not isinstance(others, list)
        or not isinstance(known, dict)
        or list(known) != list(labels)
        or not all(isinstance(text, str) for text in (*others, *known.values()))
    ):
        raise AdapterError(f"{folder / MANIFEST} is damaged: 'mixture' does not fit its labels")
    if about.get("layers") != topic_layers:
        raise AdapterError(
            f"{folder} is for topic_layers = {about.get('layers')!r}, not {topic_layers!r}"
        )
    width, k, m = core.width, len(labels), core.width + n_classes
    shapes: dict[str, tuple[int, ...]] = {
        "centre": (width,),
        "origin": (width,),
        "described": (k, width),
        "other": (len(others), width),
        "topics": (k, width),
        "topic_spread": (width, width),
        "means": (k, m),
        "spread": (m, m),
    }
    extra = {f"mixture.{name}": sizes for name, sizes in shapes.items()}
    if shape.get("bag"):
        extra["bag"] = (core.n_pieces, n_classes)
    check_head(folder, found, n_classes, core, extra=extra)
    try:
        weights = Weights(**{name: float(own) for name, own in about["weights"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise AdapterError(f"{folder / MANIFEST} is damaged: 'weights' of its mixture: {e}") from e
    arrays = {name: found.pop(f"mixture.{name}").float().numpy() for name in shapes}
    mixture = Mixture(
        labels=tuple(labels),
        descriptions=tuple(known.values()),
        others=tuple(others),
        weights=weights,
        **arrays,
    )
    return adapter, found, mixture, manifest


def _check_shape(
    folder: Path, manifest: Mapping[str, Any], labels: Sequence[str], shape: Mapping[str, Any]
) -> None:
    """RAISES (AdapterError): If a folder is for other labels, or of another shape."""
    if list(labels) != manifest["labels"]:
        raise AdapterError(f"{folder} is for the domains {manifest['labels']}, not {labels}")
    for name, own in shape.items():
        there = manifest.get(name, 0)
        if there != own:
            raise AdapterError(f"{folder} is for {name} = {there!r}, not {own!r}")
