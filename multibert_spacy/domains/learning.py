"""How a detector learns a further domain, of that domain's texts alone.

What it needs of the others travels with it: `networks/mixture.py` has their means, the spread that
all share, and descriptions. Of the new domain it takes means over groups of several sizes, each
size counting the same, as for those that it was fitted on.
"""

import logging
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from ..networks.mixture_model import MixtureModel
from ..pipeline.domain_detector import DomainDetector, join_docs
from ..training.callbacks import GROUPS
from .components import detectors_of

__all__ = ["able_detectors", "learn_domain"]

logger = logging.getLogger(__name__)


def able_detectors(nlp: Language) -> list[DomainDetector]:
    """The detectors that can learn a further domain. Of the others a log message says that they
    cannot, before anything is trained.

    RETURNS (list): Disabled ones, too.
    """
    able = []
    for detector in detectors_of(nlp):
        model: Any = detector.model
        if isinstance(model, MixtureModel) and model.shims and model.mixture is not None:
            able.append(detector)
        else:
            logger.warning(
                "The detector '%s' cannot learn a further domain, which will be used only where "
                "it is given. A fitted multibert_spacy.DomainMixture.v1 can; this is %r",
                detector.name,
                model.name,
            )
    return able


def learn_domain(
    detector: DomainDetector,
    label: str,
    docs: Sequence[Doc],
    description: str | None,
    *,
    seed: int = 0,
) -> None:
    """Choose among a further domain from now on.

    detector (DomainDetector): See `able_detectors`.
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
    embeddings, outputs = map(np.stack, zip(*means, strict=True))
    mixture = model.mixture.with_domain(label, description or "", described, embeddings, outputs)
    model.set_mixture(mixture)
    detector.cfg["labels"] = mixture.labels
