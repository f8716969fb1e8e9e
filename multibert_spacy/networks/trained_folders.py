"""What a folder of a domain, or of the detector's classifier, holds: read and checked before
anything of a model is changed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..adapters.kinds import Adapter
from ..adapters.peft_format import check_tensors
from ..adapters.storage import check_head, check_saved_description, read_folder
from ..core.encoder import Core
from ..errors import AdapterError, ConfigError
from ..names import check_head_name, check_name
from ..serialization.manifest import MANIFEST
from .mixture import Mixture, Weights, array_shapes
from .tagger import Head
from .tasks import ENTITIES, TASKS, Task

__all__ = ["STANDARDISED", "TASK", "ReadDomain", "read_classifier", "read_domain", "read_mixture"]


MOST_CLASSES = 10_000
STANDARDISED = "head_standardised"
"""Where in a manifest it stands, if it is not so; see `Head`."""
TASK = "task"
"""Where in a manifest it stands, if it is not entities."""


class ReadDomain(NamedTuple):
    """A domain that was read and is not yet one of a model's."""

    name: str
    head_name: str
    head: Head
    adapter: Adapter
    description: str


def read_domain(
    folder: Path, domain: str | None, core: Core, fingerprint: str, task: Task = ENTITIES
) -> tuple[ReadDomain, dict[str, Any]]:
    """Read the folder of a domain.

    folder (Path): What `TaggerModel.write_domain` wrote.
    domain (str): A name to give it; None keeps its own.
    core (Core), fingerprint (str), task (Task): What it should be made for.
    RETURNS (tuple): What it holds, and its manifest.
    RAISES (AdapterError): If it is damaged, made for another core or another task, or names its
        domain or head what none can be called.
    RAISES (ConfigError): If the name given is none for a folder.
    """
    if domain is not None:
        check_name(domain)
    adapter, tensors, manifest = read_folder(folder, core, fingerprint)
    _check_task(folder, manifest.get(TASK, ENTITIES.name), task)
    labels, name = manifest["labels"], manifest.get("head")
    n_tags = task.n_outputs(len(labels))
    has_chain = task.chained and "transitions" in tensors
    chain = {"transitions": (n_tags, n_tags)} if has_chain else {}
    check_head(folder, tensors, n_tags, core, extra=chain)
    domain = manifest.get("domain") if domain is None else domain
    if not isinstance(domain, str) or not isinstance(name, str):
        raise AdapterError(f"{folder / MANIFEST} must name a domain and a head")
    try:
        check_name(domain)
        check_head_name(name)
    except ConfigError as e:
        raise AdapterError(f"{folder / MANIFEST} must name a domain and a head: {e}") from e
    standardised = manifest.get(STANDARDISED, True)
    if not isinstance(standardised, bool):
        raise AdapterError(f"{folder / MANIFEST} is damaged: {STANDARDISED} is true or false")
    head = Head(labels, core.width, standardised=standardised, task=task)
    head.load(tensors)
    description = manifest.get("description", "")
    check_saved_description(folder / MANIFEST, description)
    return ReadDomain(domain, name, head, adapter, description), manifest


def _check_task(folder: Path, name: object, task: Task) -> None:
    """Check what a domain's head is for.

    name (str): What the manifest says.
    task (Task): What it should be for.
    RAISES (AdapterError): If it is for something else.
    """
    if name == task.name:
        return
    there = TASKS.get(name) if isinstance(name, str) else None
    whose = "no component of this version" if there is None else there.component
    raise AdapterError(
        f"{folder} has a head for the task {name!r:.40}, which is read by {whose}; "
        f"{task.component} reads heads for the task {task.name!r}. Name a folder of such a domain"
    )


def _check_made_for(
    folder: Path,
    manifest: Mapping[str, Any],
    labels: Sequence[str],
    shape: Mapping[str, Any],
    *,
    unsaid: Any,
) -> None:
    """Check what a detector's folder is for.

    unsaid (Any): What a setting is that the manifest does not have.
    RAISES (AdapterError): If it is for other labels, or for another shape.
    """
    if list(labels) != manifest["labels"]:
        raise AdapterError(f"{folder} is for the domains {manifest['labels']}, not {labels}")
    for name, own in shape.items():
        there = manifest.get(name, unsaid)
        if there != own:
            raise AdapterError(f"{folder} is for {name} = {there!r}, not {own!r}")


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
    _check_made_for(folder, manifest, labels, shape, unsaid=0)
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
) -> tuple[dict[str, Tensor], Mixture | None, dict[str, Any]]:
    """Read the folder of a mixture.

    folder (Path): What `MixtureModel.write` wrote.
    labels (Sequence[str]): Those that it should be for.
    core (Core), fingerprint (str): What it should be made for.
    shape (Mapping): Settings without which its weights mean something else.
    RETURNS (tuple): The bag's tensors, what was fitted (None if nothing was), the manifest.
    RAISES (AdapterError): If the folder is damaged or of another core, label set or shape.
    """
    _, tensors, manifest = read_folder(folder, core, fingerprint)
    _check_made_for(folder, manifest, labels, shape, unsaid=None)
    n_classes, about = manifest.get("n_classes"), manifest.get("mixture")
    if not isinstance(n_classes, int) or not 0 < n_classes <= MOST_CLASSES:
        raise AdapterError(f"{folder / MANIFEST} is damaged: n_classes is {n_classes!r:.40}")
    shapes: dict[str, tuple[int, ...]] = {
        "bag": (core.n_pieces, n_classes),
        "bias": (n_classes,),
    }
    if about is None:
        check_tensors(folder / "head.safetensors", tensors, shapes)
        return tensors, None, manifest
    known, columns, elsewhere, others, weights = (
        about.get(name) if isinstance(about, dict) else None
        for name in ("descriptions", "columns", "elsewhere", "others", "weights")
    )
    if (
        not isinstance(known, dict)
        or not isinstance(others, list)
        or not isinstance(weights, dict)
        or not isinstance(elsewhere, bool)
        or not isinstance(columns, list)
        or len(columns) != len(labels)
        or not all(type(own) is int and -1 <= own < n_classes - elsewhere for own in columns)
        or list(known) != list(labels)
        or not all(isinstance(text, str) for text in (*others, *known.values()))
        or not all(isinstance(value, int | float) for value in weights.values())
        or not weights.keys() <= Weights.__dataclass_fields__.keys()
    ):
        raise AdapterError(f"{folder / MANIFEST} is damaged: 'mixture' is not what was written")
    for text in (*others, *known.values()):
        check_saved_description(folder / MANIFEST, text)
    own_shapes = array_shapes(len(labels), len(others), core.width, n_classes)
    shapes |= {f"mixture.{name}": size for name, size in own_shapes.items()}
    check_tensors(folder / "head.safetensors", tensors, shapes)
    mixture = Mixture(
        labels=tuple(labels),
        descriptions=tuple(known.values()),
        columns=tuple(columns),
        elsewhere=elsewhere,
        others=tuple(others),
        weights=Weights(**weights),
        **{name: tensors.pop(f"mixture.{name}").float().numpy() for name in own_shapes},
    )
    return tensors, mixture, manifest
