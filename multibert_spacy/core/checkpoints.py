"""A core by way of transformers, which is more generous than an adapter can bear: what a file of
weights lacks it fills with random numbers, and whatever the settings say it tries to make.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from spacy_transformers.data_classes import HFObjects
from spacy_transformers.layers.transformer_model import huggingface_from_pretrained
from transformers import MODEL_MAPPING, AutoModel, PretrainedConfig

from ..errors import CoreError
from .families.kinds import family_of

__all__ = ["fetch_core", "read_model", "strip_pooler"]

POOLER = "pooler"
MOST_SHOWN = 3


def fetch_core(name: str, tokenizer: dict[str, Any], settings: dict[str, Any]) -> HFObjects:
    """Read a core as spacy-transformers does.

    name (str): A folder, or a name on the hub.
    tokenizer (dict), settings (dict): What the pipeline's config says of tokenizer and model.
    RAISES (CoreError): As `read_model`.
    """
    whole = SimpleNamespace(from_pretrained=read_model)
    return huggingface_from_pretrained(name, tokenizer, settings, model_cls=whole)


def read_model(place: str, *, config: PretrainedConfig, **options: Any) -> Any:
    """Make the model that settings describe, with weights that are whole.

    place (str): A folder, or a name on the hub.
    config (PretrainedConfig): Its settings.
    options: What else `from_pretrained` takes.
    RETURNS (PreTrainedModel): Without its pooler.
    RAISES (CoreError): If the settings are of no core that is supported, or a tensor is missing.
    """
    family_of(config)
    model, found = _model_class(config).from_pretrained(
        place, config=config, output_loading_info=True, **options
    )
    _check_whole(place, found["missing_keys"])
    strip_pooler(model)
    return model


def strip_pooler(model: Any) -> None:
    """Remove the pooler, which neither component uses and many cores lack."""
    if getattr(model, POOLER, None) is not None:
        setattr(model, POOLER, None)


def _model_class(config: PretrainedConfig) -> Any:
    """Return what `AutoModel` would choose. It imports the names of all models first, which was
    half of the time of loading a pipeline.
    """
    found = MODEL_MAPPING[type(config)]
    return found if isinstance(found, type) else AutoModel


def _check_whole(place: str, missing: Iterable[str]) -> None:
    """Check that no tensor is missing but the pooler's: its values would be others each time the
    core is loaded.

    RAISES (CoreError): If one is.
    """
    lacks = sorted(name for name in missing if name.split(".")[0] != POOLER)
    if lacks:
        more = f" and {len(lacks) - MOST_SHOWN} more" if len(lacks) > MOST_SHOWN else ""
        raise CoreError(
            f"The weights of the core {place!r} lack {', '.join(lacks[:MOST_SHOWN])}{more}, which "
            "its config.json asks for: the file is cut or of another model. Get the core anew"
        )
