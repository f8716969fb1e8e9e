"""Which kinds of encoders there are."""

from typing import Any

from ...errors import CoreError
from .albert import ALBERT
from .bert import BERT
from .distilbert import DISTILBERT
from .electra import ELECTRA
from .family import Family
from .modernbert import MODERNBERT
from .roberta import ROBERTA, XLM_ROBERTA

__all__ = ["FAMILIES", "family_of"]

FAMILIES: dict[str, Family] = {
    family.kind: family
    for family in (BERT, ROBERTA, XLM_ROBERTA, DISTILBERT, ELECTRA, ALBERT, MODERNBERT)
}
"""By the `model_type` of their settings."""


def family_of(config: Any) -> Family:
    """Find the kind of a core.

    config (PretrainedConfig): Of the core.
    RETURNS (Family): Its kind.
    RAISES (CoreError): If there is none, or the core has a setting that its kind does not know.
    """
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise CoreError(
            f"The core '{config._name_or_path}' is of type '{config.model_type}'; supported are "
            f"{', '.join(FAMILIES)}. docs/cores.md says how one more is added: a file in "
            "multibert_spacy/core/families"
        )
    family.check(config)
    return family
