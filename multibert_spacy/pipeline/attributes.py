"""An attribute of words that a tagger may write: `tag`, `pos`, or one of the user's own."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.parts_of_speech import IDS
from spacy.tokens import Token
from spacy.training import Example

from ..errors import ConfigError

__all__ = ["aligned_values", "check_values", "install_attribute", "value_of", "write_value"]

CUSTOM = "_."
LEGAL = ("tag", "pos")


def install_attribute(name: str) -> None:
    """Check that an attribute can be written, and register one of the user's own if nobody has, so
    that a pipeline which was trained with it can be loaded anywhere.

    name (str): "tag", "pos", or "_.name" for `token._.name`.
    RAISES (ConfigError): If it is something else, or has a getter and no setter.
    """
    if name in LEGAL:
        return
    own = name.removeprefix(CUSTOM) if isinstance(name, str) else ""
    if own == name or not own.isidentifier():
        raise ConfigError(
            f'attribute = {name!r} cannot be written: it must be "tag", "pos", or '
            f'"{CUSTOM}name" for token._.name'
        )
    if not Token.has_extension(own):
        Token.set_extension(own, default=None)
    _, method, getter, setter = Token.get_extension(own)
    if method is not None or (getter is not None and setter is None):
        raise ConfigError(
            f"attribute = {name!r} cannot be written: token._.{own} is registered as a method or "
            "without a setter. Give another name"
        )


def check_values(name: str, labels: Sequence[str]) -> None:
    """Check that an attribute can have these values.

    RAISES (ConfigError): If it is `pos` and one is no part of speech of Universal Dependencies.
    """
    unknown = [label for label in labels if label not in IDS] if name == "pos" else []
    if unknown:
        raise ConfigError(
            f"token.pos_ cannot be {unknown[0]!r}: it is one of "
            f'{", ".join(filter(None, IDS))}. Set attribute = "tag" for other tags'
        )


def value_of(word: Token, name: str) -> str:
    """Return the attribute of a word, "" if it has none."""
    if name.startswith(CUSTOM):
        return word._.get(name.removeprefix(CUSTOM)) or ""
    value: str = word.tag_ if name == "tag" else word.pos_
    return value


def write_value(word: Token, name: str, value: str) -> None:
    """Write the attribute of a word."""
    if name.startswith(CUSTOM):
        word._.set(name.removeprefix(CUSTOM), value)
    else:
        setattr(word, f"{name}_", value)


def aligned_values(eg: Example, name: str, index: Callable[[str], int]) -> NDArray[np.int64]:
    """The gold attribute of each word of the predicted doc.

    name (str): The attribute.
    index (Callable): Number of a value.
    RETURNS (n,): -100 where there is none, or where gold words with several share a word.
    """
    gold = [value_of(word, name) for word in eg.reference]
    found = np.full(len(eg.predicted), -100, dtype=np.int64)
    for i in range(len(found)):
        values = {gold[j] for j in eg.alignment.x2y[i]}
        if len(values) == 1 and (value := values.pop()):
            found[i] = index(value)
    return found
