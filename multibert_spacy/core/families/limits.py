"""What the settings of a core may be: transformers takes any, and fails somewhere inside."""

import math
from collections.abc import Iterable
from typing import Any

from ...errors import CoreError

__all__ = ["check_counts", "check_encoder", "check_positive"]

LARGEST = 2**24
MOST_LAYERS = 1000
COUNTS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
POSITIONS = "max_position_embeddings"


def check_encoder(config: Any, first_position: int) -> None:
    """Check what all kinds of encoders have in common.

    config (PretrainedConfig): Of the core.
    first_position (int): Index of the first position's embedding.
    RAISES (CoreError): If it is none that reads in both directions, or its sizes are impossible.
    """
    check_counts(config, (*COUNTS, POSITIONS))
    n_layers, width, heads = config.num_hidden_layers, config.hidden_size, "num_attention_heads"
    if n_layers > MOST_LAYERS:
        raise _refused(config, "num_hidden_layers", f"at most {MOST_LAYERS}")
    if width % config.num_attention_heads:
        raise _refused(config, heads, f"a divisor of hidden_size, {width}")
    if config.max_position_embeddings <= first_position + 2:
        raise _refused(config, POSITIONS, f"more than {first_position + 2}")
    for name in ("is_decoder", "add_cross_attention", "pruned_heads"):
        if getattr(config, name, None):
            raise _refused(config, name, "off: encoders are supported, as they were trained")


def check_counts(config: Any, names: Iterable[str]) -> None:
    """Check settings that count something.

    RAISES (CoreError): If one is no whole number from 1 on that memory could hold.
    """
    for name in names:
        value = getattr(config, name, None)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST:
            raise _refused(config, name, f"a whole number from 1 to {LARGEST}")


def check_positive(config: Any, names: Iterable[str]) -> None:
    """Check settings that measure something.

    RAISES (CoreError): If one is no finite number above 0.
    """
    for name in names:
        value: Any = getattr(config, name, None)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            raise _refused(config, name, "a finite number above 0")


def _refused(config: Any, name: str, legal: str) -> CoreError:
    return CoreError(
        f"This {config.model_type} core has {name} = {getattr(config, name, None)!r:.80} in its "
        f"config.json; it must be {legal}"
    )
