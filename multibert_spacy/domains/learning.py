"""How a detector learns a further domain, of that domain's texts alone.

What it needs of the others travels with it: `networks/mixture.py` has their means, the spread that
all share, and descriptions. Of the new domain it takes means over groups of several sizes, each
size counting the same, as for those that it was fitted on.
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import ConfigError
from ..networks.mixture_model import MixtureModel
from ..pipeline.domain_detector import DomainDetector, join_docs
from ..training.callbacks import GROUPS

__all__ = ["check_detector", "find_detectors", "learn_domain"]


def find_detectors(nlp: Language) -> list[DomainDetector]:
    """RETURNS (list): The detectors of a pipeline, disabled ones too."""
    return [proc for _, proc in nlp.components if isinstance(proc, DomainDetector)]


def check_detector(detector: DomainDetector) -> None:
    """Check, before anything is trained, that a detector can learn a further domain.

    RAISES (ConfigError): If it is of another kind, or was not fitted yet.
    """
    model: Any = detector.model
    if isinstance(model, MixtureModel) and model.shims and model.mixture is not None:
        return
    raise ConfigError(
        f"The detector '{detector.name}' cannot learn a further domain: that can a fitted "
        f"multibert_spacy.DomainMixture.v1, and this is {model.name!r}. Add the domain without "
        "it (detect=False, --no-detect), and it is used where it is given"
    )


def learn_domain(
    detector: DomainDetector,
    label: str,
    docs: Sequence[Doc],
    description: str | None,
    *,
    seed: int = 0,
) -> None:
    """Choose among a further domain from now on.

    detector (DomainDetector): See `check_detector`.
    label (str): The domain.
    docs (Sequence[Doc]): Its texts.
    description (str): What belongs to it.
    seed (int): Of the groups that are drawn.
    """
    model: Any = detector.model
    rng = random.Random(seed)
    means = []
    for size, n in GROUPS.items():
        groups = [
            join_docs(rng.sample(docs, min(size, len(docs))), detector.vocab) for _ in range(n)
        ]
        embeddings, outputs, _ = model.read_groups(groups, model.module.view())
        means.append((embeddings.mean(0), outputs.mean(0)))
    described = model.describe([description])[0] if description else None
    embeddings, outputs = (np.stack(own).astype(np.float16).astype(np.float32) for own in zip(*means, strict=True))
    mixture = model.mixture.with_domain(label, description or "", described, embeddings, outputs)
    model.set_mixture(mixture)
    detector.cfg["labels"] = mixture.labels
