"""The core's second identity: all that changes a result and is no weight.

An adapter is bound to the weights by their hash. But the same weights with another number of
heads, another activation, another normaliser or another order of the vocabulary give other
results. Here each of these has an entry: small ones as they are, so that an error can name them,
large ones as a hash.

What stands here should be the same after saving and loading, and with another version of the
libraries. So the config's entries are chosen by name; of the tokenizer only what makes pieces of
words counts (not its padding, its truncation, or the special pieces around a text, which `Core`
adds itself), and what is empty or off is left out, since a later version will call it by its name.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .families.kinds import family_of

__all__ = ["core_settings", "differences"]

CONFIG = (
    *("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "hidden_act", "layer_norm_eps", "position_embedding_type"),
    *("max_position_embeddings", "type_vocab_size", "vocab_size", "pad_token_id"),
)
TOKENIZER = ("normalizer", "pre_tokenizer", "model", "added_tokens")
PROBES = ("سلام", "می‌روم", "كتابي", "۱۲۳", "Straße", "naïve", "İstanbul", "!؟", "😀", "a\u0301")
"""Words for a tokenizer that can only be asked."""


def core_settings(config: Any, tokenizer: Any, specials: Mapping[str, int]) -> dict[str, Any]:
    """All that changes a result and is not a weight.

    config (PretrainedConfig): Of the core.
    tokenizer (PreTrainedTokenizerBase): Its tokenizer.
    specials (Mapping): Name -> id of the pieces that are put around a text.
    RETURNS (dict): JSON.
    """
    names = (*CONFIG, *family_of(config).settings)
    found = {name: getattr(config, name, None) for name in names}
    found["position_embedding_type"] = found["position_embedding_type"] or "absolute"
    settings = {name: _plain(value) for name, value in found.items() if value is not None}
    settings.update({f"{name}_piece": int(own) for name, own in specials.items()})
    settings["special_tokens"] = _hash(sorted(map(str, tokenizer.all_special_tokens)))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        words = {word: list(tokenizer.encode(word, add_special_tokens=False)) for word in PROBES}
        settings["vocabulary"] = _hash(dict(tokenizer.get_vocab()))
        settings["tokenizer"] = _hash([type(tokenizer).__name__, words])
    else:
        state = json.loads(backend.to_str())
        settings.update({name: _hash(_tidy(state.get(name))) for name in TOKENIZER})
    return settings


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return for each entry that differs, what is said of it in an error."""
    return [
        f"{name} ({str(there.get(name))[:24]}, here {str(here.get(name))[:24]})"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else str(value)


def _tidy(value: Any) -> Any:
    """What is empty or off left out, at every depth. A vocabulary is a list of 30,000 lists of a
    piece and a number, for which no call is made.
    """
    if isinstance(value, dict):
        tidy = {key: _tidy(own) for key, own in value.items()}
        return {key: own for key, own in tidy.items() if not _is_off(own)}
    if isinstance(value, list):
        return [_tidy(own) if isinstance(own, (dict, list)) else own for own in value]
    return value


def _is_off(value: Any) -> bool:
    """Not of a number: 0 is a piece's id."""
    return value is None or value is False or (isinstance(value, str | list | dict) and not value)


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
