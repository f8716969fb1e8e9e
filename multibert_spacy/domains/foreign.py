"""An adapter that somebody trained with PEFT becomes a domain.

What a PEFT folder lacks has to come from elsewhere. Its core is bound by the hash of that core's
folder where it names one of ours, and else by the user's word. Its head is the classifier that it
was saved with, or a domain's that is there. Without either nothing could be tagged, and that is an
error: training a head for it is what `add_domain` does.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from spacy.language import Language

from ..adapters.foreign import ForeignAdapter, read_foreign
from ..adapters.kinds import PrefixAdapter
from ..errors import AdapterError, ConfigError
from ..names import check_description, check_labels, check_new_name
from ..networks.tagger import Head
from ..networks.trained_folders import ReadDomain
from ..serialization.manifest import MANIFEST
from ..text.spans import bio_tags
from .components import check_known, follow, let_side_tasks_read, tagger_of
from .folders import find_folder, load_domain

__all__ = ["import_domain"]

logger = logging.getLogger(__name__)


def import_domain(
    nlp: Language,
    folder: str | Path,
    name: str,
    *,
    head_from: str | None = None,
    labels: Sequence[str] | None = None,
    description: str | None = None,
    trust_core: bool = False,
) -> None:
    """Add a domain out of a folder that PEFT or `save_domain` wrote. Of one that PEFT wrote the
    detector knows nothing: the domain is used where a doc is given it.

    nlp (Language): The pipeline, changed in place.
    folder (Path): LoRA or a prefix for the pipeline's core, for feature extraction or token
        classification, in safetensors. For one of `save_domain`'s see `load_domain`.
    name (str): The new domain's.
    head_from (str): A domain whose head it shares.
    labels (Sequence[str]): What the folder's classifier finds, in the order of its outputs: its
        labels where these are O, then B- and I- of each, else all of its tags (O, B-PER, …).
        None takes those of a `config.json` in the folder.
    description (str): What belongs to the domain.
    trust_core (bool): Whether a folder that does not prove its core was made for this one.
    RAISES (AdapterError): If the folder is damaged, of another kind, task or core, if its core is
        not proven, or if it has no head.
    RAISES (DomainError): If there is a domain of the name, or none to take a head from.
    RAISES (ConfigError): If the labels do not fit, or a name or the description is illegal.
    """
    folder = find_folder(folder)
    if (folder / MANIFEST).is_file():
        if head_from is not None or labels is not None:
            raise ConfigError(f"{folder} has a head and labels of its own: name none")
        load_domain(nlp, folder, name)
        return
    if head_from is not None and labels is not None:
        raise ConfigError(
            f"head_from = {head_from!r:.100} has labels of its own: name it (--head-from), or the "
            "labels of the folder's classifier (labels, --labels), not both"
        )
    tagger = tagger_of(nlp)
    check_new_name(name, tagger.domains)
    check_description(description or "")
    before = tagger.domains
    found = read_foreign(folder, tagger.model.core)
    tagger.model.check_kind(folder, found.adapter)
    _check_core(folder, found, tagger.model.listener.fingerprint(), trust=trust_core)
    if head_from is not None:
        module = check_known(nlp, head_from).model.module
        head_name = module.head_name(head_from)
        head = module.heads[head_name]
    else:
        head_name, head = name, _head(folder, found, labels)
    tagger.model.take_domain(ReadDomain(name, head_name, head, found.adapter, description or ""))
    let_side_tasks_read(nlp, name, head_from)
    follow(nlp, before, {})
    if isinstance(found.adapter, PrefixAdapter):
        logger.warning(
            "%r was trained by PEFT with positions that begin behind its prefix; here they begin "
            "at the first piece, so that it finds somewhat other entities",
            name,
        )


def _check_core(folder: Path, found: ForeignAdapter, core: str, *, trust: bool) -> None:
    """Check that an adapter is known to be made for a core.

    RAISES (AdapterError): If it is not.
    """
    if found.core is not None and found.core != core:
        raise AdapterError(
            f"The adapter in {folder} was made for another core: {found.base} is "
            f"{found.core[:12]}…, this pipeline has {core[:12]}…"
        )
    if found.core is None and not trust:
        raise AdapterError(
            f"{folder} does not prove which core it was made for (it says {found.base!r:.200}). "
            f"If it was this pipeline's ({core[:12]}…), say so with trust_core (--trust-core)"
        )


def _head(folder: Path, found: ForeignAdapter, labels: Sequence[str] | None) -> Head:
    """Read the folder's classifier, its outputs in the order of our tags.

    RAISES (AdapterError): If there is none, or nobody says what it finds.
    RAISES (ConfigError): If the labels do not fit it.
    """
    if found.weight is None or found.bias is None:
        raise AdapterError(
            f"{folder} has no classifier: name a domain whose head fits with head_from "
            "(--head-from), or train one with add_domain"
        )
    n_outputs = len(found.weight)
    told = list(found.tags or ()) if labels is None else list(check_labels(labels))
    if not told:
        raise AdapterError(
            f"{folder} does not say what its {n_outputs} outputs are: name its tags in their "
            "order (labels, --labels O,B-PER,I-PER,…)"
        )
    tags = told if "O" in told else bio_tags(told)
    own = list(dict.fromkeys(tag[2:] for tag in tags if tag != "O"))
    if sorted(tags) != sorted(bio_tags(own)) or len(tags) != n_outputs:
        raise ConfigError(
            f"The classifier in {folder} has {n_outputs} outputs, which {', '.join(told)} are "
            "not: it has to be O, and B- and I- of each label"
        )
    at = [tags.index(tag) for tag in bio_tags(own)]
    head = Head(own, found.weight.shape[1], standardised=False)
    head.load({"weight": found.weight[at], "bias": found.bias[at]})
    return head
