"""Take a domain out of a pipeline."""

from spacy.language import Language

from ..errors import DomainError
from ..pipeline.undo import all_or_nothing
from .components import (
    check_known,
    detectors_of,
    follow,
    no_longer_lent,
    set_setting,
    settings_that_name,
    side_tasks_of,
)

__all__ = ["remove_domain"]


def remove_domain(nlp: Language, name: str, *, fallback: str | None = None) -> None:
    """Remove a domain from a loaded pipeline: its adapter, its head if no other domain uses it,
    what the detector knows of it, and the same in components of other tasks that have it. All
    other domains are bit for bit as before.

    nlp (Language): The pipeline, changed in place.
    name (str): A domain. One of an add-on is removed from `addons` too.
    fallback (str): The domain that takes its place where a setting names it: a detector's
        or another task's `fallback_domain`, a `default_domain`.
    RAISES (DomainError): If there is no such domain, if it is the last one of the pipeline or of
        another task's component, or if a setting names it and there is no fallback.
    """
    tagger = check_known(nlp, name)
    before = tagger.domains
    if len(before) == 1:
        raise DomainError(f"{name!r} is the last domain of the pipeline: add another one first")
    side_tasks = side_tasks_of(nlp, name)
    for proc in side_tasks:
        if len(proc.domains) == 1:
            raise DomainError(
                f"{name!r} is the last domain of '{proc.name}', which cannot be without one: give "
                f"it another one first, or load the pipeline without it, spacy.load(…, "
                f"exclude=[{proc.name!r}])"
            )
    named = settings_that_name(nlp, name)
    if named and fallback is None:
        component, key = named[0]
        others = ", ".join(sorted(set(before) - {name}))
        raise DomainError(
            f"{name!r} is the {key} of '{component}': name the domain that takes its place with "
            f"fallback (on the command line --fallback), one of: {others}"
        )
    if fallback is not None:
        check_known(nlp, fallback)
        if fallback == name:
            raise DomainError(f"{name!r} cannot take its own place as fallback")
    for proc in side_tasks:
        setting = next((key for component, key in named if component == proc.name), None)
        if setting is not None and fallback not in proc.domains:
            others = ", ".join(sorted(set(proc.domains) - {name}))
            raise DomainError(
                f"{name!r} is the {setting} of '{proc.name}', which has no domain {fallback!r}: "
                f"name one of: {others}"
            )
    with all_or_nothing(nlp):
        for component, key in named:
            set_setting(nlp, component, key, fallback)
        for detector in detectors_of(nlp):
            detector.forget(name)
        for model in (tagger.model, *(proc.model for proc in side_tasks)):
            model.remove_domain(name)
        no_longer_lent(nlp, name)
        follow(nlp, before, {name: None})
