"""Call a domain otherwise."""

from spacy.language import Language

from ..errors import DomainError
from ..names import check_new_name
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

__all__ = ["rename_domain"]


def rename_domain(nlp: Language, old: str, new: str) -> None:
    """Rename a domain of a loaded pipeline, in the tagger, the components of other tasks, the
    detectors, the settings that name it and the meta. No weight changes.

    nlp (Language): The pipeline, changed in place.
    old (str): A domain. One of an add-on is the pipeline's own afterwards, and saved with it.
    new (str): A name that none has.
    RAISES (DomainError): If there is no such domain, or one of the new name.
    RAISES (ConfigError): If the name cannot be a folder's.
    """
    tagger = check_known(nlp, old)
    before = tagger.domains
    check_new_name(new, [name for name in before if name != old])
    if new == old:
        return
    side_tasks = side_tasks_of(nlp, old)
    for proc in side_tasks:
        try:
            check_new_name(new, [name for name in proc.domains if name != old])
        except DomainError as e:
            raise DomainError(f"'{proc.name}': {e}") from e
    named = settings_that_name(nlp, old)
    with all_or_nothing(nlp):
        for detector in detectors_of(nlp):
            if new in detector.labels:  # of a tagger's folder that was deleted by hand
                detector.forget(new)
            detector.rename(old, new)
        no_longer_lent(nlp, old)
        for model in (tagger.model, *(proc.model for proc in side_tasks)):
            model.rename_domain(old, new)
        for component, key in named:
            set_setting(nlp, component, key, new)
        follow(nlp, before, {old: new})
