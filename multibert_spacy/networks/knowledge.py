"""What a detector knows of one domain, apart from all others: how it travels with the domain.

A mixture's covariances, centre and bag are of all its domains together. Of a domain it has a
description, that one's embedding, the mean embedding of its texts and the mean of what the bag
gives for them. The first three mean the same in every detector on the core. The last has the
classes of one bag, so that its hash is noted: another detector knows the domain by its topic
alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..adapters.peft_format import check_tensors, read_tensors
from ..adapters.storage import check_saved_description
from ..errors import AdapterError
from ..serialization.manifest import MANIFEST
from ..types import Floats2d
from .mixture import Mixture

__all__ = ["KNOWLEDGE", "WEIGHTS", "Knowledge", "knowledge_of", "read_knowledge", "with_knowledge"]

KNOWLEDGE = "detector"
"""Where in a domain's manifest the rest stands."""
WEIGHTS = "detector.safetensors"
LARGEST = 2**20
"""Bytes of the file; ours have three thousand."""


@dataclass(frozen=True)
class Knowledge:
    """What is known of a domain.

    description (str): What belongs to it; "" if nobody said.
    column (int), bag (str): Which class of the bag it is, -1 for none, and that bag's hash.
    described (h,): The description's embedding.
    topic (h,): Mean embedding of its groups.
    outputs (m,): The mean of what the bag gives for them.
    written (h + 1,): Its row of the regression on what was written, beside that bag.
    """

    description: str
    column: int
    bag: str
    described: Floats2d
    topic: Floats2d
    outputs: Floats2d
    written: Floats2d

    def tensors(self) -> dict[str, Tensor]:
        """Return what is stored in a file beside the adapter."""
        arrays = {
            "described": self.described,
            "topic": self.topic,
            "outputs": self.outputs,
            "written": self.written,
        }
        return {name: torch.from_numpy(np.ascontiguousarray(own)) for name, own in arrays.items()}

    def about(self) -> dict[str, Any]:
        """Return what stands in the manifest."""
        return {
            "description": self.description,
            "column": self.column,
            "bag": self.bag,
            "classes": len(self.outputs),
        }


def knowledge_of(mixture: Mixture, label: str, bag: str) -> Knowledge:
    """Take out what a mixture knows of one domain.

    mixture (Mixture): With the domain. bag (str): The hash of its bag.
    RETURNS (Knowledge): What it knows of the domain.
    """
    i = mixture.labels.index(label)
    return Knowledge(
        description=mixture.descriptions[i],
        column=mixture.columns[i],
        bag=bag,
        described=mixture.described[i],
        topic=mixture.topics[i],
        outputs=mixture.means[i],
        written=mixture.written[i],
    )


def with_knowledge(mixture: Mixture, label: str, known: Knowledge, bag: str) -> Mixture:
    """The inverse: a mixture that knows a domain which was another's.

    bag (str): The hash of the mixture's bag. If the knowledge is of another, the domain lies where
        those that the bag was trained on lie on average, and is left to its topic.
    RETURNS (Mixture): With the domain last, under this name.
    """
    same = known.bag == bag and known.outputs.shape == mixture.means.shape[1:]
    own = mixture.trained
    outputs = known.outputs if same else mixture.means[own if own.any() else ~own].mean(0)
    return mixture.with_domain(
        *(label, known.description, known.described, known.topic[None], outputs[None]),
        column=known.column if same else -1,
        written=known.written if same else None,
    )


def read_knowledge(folder: Path, manifest: Mapping[str, Any], width: int) -> Knowledge | None:
    """Read what came with a domain's folder, whoever wrote it.

    folder (Path): A domain's, whose files have been checked.
    manifest (Mapping): Its manifest.
    width (int): Of the core.
    RETURNS (Knowledge): None if nothing came with it.
    RAISES (AdapterError): If it is damaged.
    """
    about = manifest.get(KNOWLEDGE)
    if about is None:
        return None
    kinds = {"description": str, "column": int, "bag": str, "classes": int}
    if (
        not isinstance(about, dict)
        or WEIGHTS not in manifest["files"]
        or not all(type(about.get(name)) is kind for name, kind in kinds.items())
        or not -1 <= about["column"] < about["classes"]
    ):
        raise AdapterError(
            f"{folder / MANIFEST} is damaged: {KNOWLEDGE!r} is not what was written"
        )
    check_saved_description(folder / MANIFEST, about["description"])
    tensors = read_tensors(folder / WEIGHTS, largest=LARGEST)
    shapes = {
        "described": (width,),
        "topic": (width,),
        "outputs": (about["classes"],),
        "written": (width + 1,),
    }
    check_tensors(folder / WEIGHTS, tensors, shapes)
    arrays = {name: tensors[name].float().numpy() for name in shapes}
    return Knowledge(about["description"], about["column"], about["bag"], **arrays)
