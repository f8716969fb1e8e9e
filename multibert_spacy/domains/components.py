"""Which components of a pipeline a domain is in, and what else names it.

A domain stands in a tagger, in the components of other tasks, in the detectors, in the settings of
all of these and in the meta. The functions of this room change all of them, or raise before they
have changed any.
"""

import copy
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spacy.language import Language

from ..errors import ConfigError, DomainError
from ..names import nearest
from ..pipeline.addons import pipes_of

if TYPE_CHECKING:
    from ..pipeline.domain_detector import DomainDetector
    from ..pipeline.multibert_ner import MultibertNER
    from ..pipeline.side_task import SideTask

__all__ = [
    "check_known",
    "check_ours",
    "detectors_of",
    "follow",
    "let_side_tasks_read",
    "no_longer_lent",
    "set_setting",
    "settings_that_name",
    "side_tasks_of",
    "tagger_of",
]

logger = logging.getLogger(__name__)

SIDE_TASKS = ("multibert_tagger", "multibert_textcat")
SETTINGS = (
    ("domain_detector", "fallback_domain"),
    ("multibert_ner", "default_domain"),
    *((task, key) for task in SIDE_TASKS for key in ("default_domain", "fallback_domain")),
)
"""Of which component, and its name."""
OURS = ("multibert_ner", *SIDE_TASKS, "domain_detector")
"""Factories, of which a pipeline has one or more."""
PER_DOMAIN = ("ents_per_domain", "ents_given_per_domain", "domain_per_type")
"""Where in a meta's performance there is a row for each domain."""


def tagger_of(nlp: Language) -> "MultibertNER":
    """Return the pipeline's tagger.

    RAISES (ConfigError): If it has none, or several: a domain that only one of them has would be
        an error in the others for each doc that is given it.
    """
    taggers = pipes_of(nlp, "multibert_ner")
    if not taggers:
        names = ", ".join(nlp.component_names) or "nothing"
        raise ConfigError(f"The pipeline has no multibert_ner, but {names}")
    if len(taggers) > 1:
        names = ", ".join(name for name, _ in taggers)
        raise ConfigError(
            f"The pipeline has several multibert_ner: {names}. Domains are looked up and changed "
            f"in a pipeline that has one: spacy.load(…, exclude=[{taggers[1][0]!r}])"
        )
    found: MultibertNER = taggers[0][1]
    return found


def detectors_of(nlp: Language) -> "list[DomainDetector]":
    """Return all detectors of the pipeline."""
    return [proc for _, proc in pipes_of(nlp, "domain_detector")]


def side_tasks_of(nlp: Language, domain: str | None = None) -> "list[SideTask]":
    """Return the components of other tasks than entities; with a domain, those that have it."""
    found = [proc for task in SIDE_TASKS for _, proc in pipes_of(nlp, task)]
    return [proc for proc in found if domain is None or domain in proc.domains]


def let_side_tasks_read(nlp: Language, name: str, like: str | None) -> None:
    """Let the components of other tasks read a domain that is new to the pipeline, with what they
    read another one with. A `fallback_domain` says already what reads it, and is left to do so.

    nlp (Language): The pipeline.
    name (str): The new domain.
    like (str): The domain whose adapter and head it gets a copy of. Where there is none such, a
        log message says that the component cannot read it.
    """
    for proc in side_tasks_of(nlp):
        if name in proc.domains or proc.fallback_domain is not None or not proc.domains:
            continue
        if like in proc.domains:
            module = proc.model.module
            adapter = copy.deepcopy(module.adapter_of(like))
            with module.changing():
                module.add_domain(name, module.head_name(like), adapter)
        else:
            logger.warning(
                "'%s' has no domain %r: docs that are given it are an error there, and a detector "
                "in front will not choose it. Set components.%s.fallback_domain to one of: %s",
                *(proc.name, name, proc.name, ", ".join(sorted(proc.domains))),
            )


def check_known(nlp: Language, name: str) -> "MultibertNER":
    """Check that there is a domain.

    nlp (Language): A pipeline. name (str): Of a domain.
    RETURNS (MultibertNER): The tagger that has it.
    RAISES (DomainError): If it has not.
    """
    tagger = tagger_of(nlp)
    if name not in tagger.domains:
        known = ", ".join(sorted(tagger.domains)) or "(none yet)"
        meant = nearest(name, tagger.domains)
        raise DomainError(f"Unknown domain {name!r}; the pipeline has: {known}.{meant}")
    return tagger


def check_ours(model: str, factories: Mapping[str, str]) -> None:
    """Check that a pipeline is one for this package.

    model (str): What the user called it.
    factories (Mapping): Name of each of its components -> its factory.
    RAISES (ConfigError): If none is of ours.
    """
    if not set(OURS) & set(factories.values()):
        raise ConfigError(
            f"{model} has no multibert_ner, nor another component of multibert_spacy, but "
            f"{', '.join(factories) or 'nothing'}"
        )


def settings_that_name(nlp: Language, domain: str) -> list[tuple[str, str]]:
    """Return component and key of each setting that a domain is the value of."""
    found = []
    for factory, key in SETTINGS:
        for name, proc in pipes_of(nlp, factory):
            value = proc.cfg[key] if key in proc.cfg else getattr(proc, key, None)
            if value == domain:
                found.append((name, key))
    return found


def set_setting(nlp: Language, component: str, key: str, value: Any) -> None:
    """Set it in the component and in the config, which overrules what a component saves.

    nlp (Language): The pipeline.
    component (str), key (str): Whose setting, and which.
    """
    proc: Any = nlp.get_pipe(component) if component in nlp.pipe_names else None
    proc = proc or dict(nlp.components)[component]
    if key in proc.cfg:
        proc.cfg[key] = value
    else:
        setattr(proc, key, value)
    if key in nlp._pipe_configs[component]:
        nlp._pipe_configs[component][key] = list(value) if isinstance(value, tuple) else value


def no_longer_lent(nlp: Language, domain: str) -> None:
    """Take a domain's add-on out of `addons`: it is gone, or the pipeline's own from now on.

    nlp (Language): The pipeline.
    domain (str): A domain, of an add-on or not.
    """
    for proc in (tagger_of(nlp), *side_tasks_of(nlp)):
        addon = proc.lent.get(domain)
        if addon is not None:
            proc.lent = {name: own for name, own in proc.lent.items() if name != domain}
            left = tuple(name for name in proc.addons if name != addon)
            set_setting(nlp, proc.name, "addons", left)


def follow(nlp: Language, before: "tuple[str, ...]", changed: dict[str, str | None]) -> None:
    """Let the meta follow a change of domains: scores by domain, and the list of them in the
    description. Scores over all domains stay; they say what the pipeline had that was scored.

    nlp (Language): The pipeline after it.
    before (tuple[str]): The domains before it.
    changed (dict): Domain -> its new name, or None if it is gone.
    """
    meta = nlp.meta
    for key in PER_DOMAIN:
        rows = meta.get("performance", {}).get(key)
        if isinstance(rows, dict):
            named = {changed.get(name, name): row for name, row in rows.items()}
            meta["performance"][key] = {name: own for name, own in named.items() if name}
    after = tagger_of(nlp).domains
    for old, new in (
        (f"Domains: {', '.join(sorted(before))}.", f"Domains: {', '.join(sorted(after))}."),
        (f"texts of {len(before)} domains", f"texts of {len(after)} domains"),
    ):
        meta["description"] = meta.get("description", "").replace(old, new)
