"""Pack keys that say which docs belong together: any hashable, in a form that msgpack holds.

spaCy packs `doc.user_data` with msgpack for `to_bytes`, `DocBin` and `n_process`, which knows no
dates, no sets, and returns a tuple as a list. A key of Python's common kinds comes back as what it
was. Of any other the text is left: of which type it was, and its `repr`, so that keys that were
equal still are. A tag is a dict, which no key can be.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import srsly

from ..errors import ConfigError

__all__ = ["is_missing", "pack_key", "unpack_key"]

_MICROSECOND = timedelta(microseconds=1)
_KINDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "timedelta": (
        timedelta,
        lambda value: str(value // _MICROSECOND),
        lambda text: int(text) * _MICROSECOND,
    ),
    "uuid": (UUID, str, UUID),
    "decimal": (Decimal, str, Decimal),
    "fraction": (Fraction, str, Fraction),
    "complex": (complex, repr, complex),
    "int": (int, hex, lambda text: int(text, 16)),  # of more than 64 bits
    "str": (
        str,  # with lone surrogates
        lambda value: value.encode("utf8", "surrogatepass").hex(),
        lambda text: bytes.fromhex(text).decode("utf8", "surrogatepass"),
    ),
}
"""Type, to text, from text; a subclass stands before its class."""
_SET = "frozenset"


class _Opaque(str):
    """Type and repr of a key of any other type, with the key itself as long as it is here."""

    original: Any

    def __new__(cls, value: Any) -> "_Opaque":
        kind = type(value)
        self = super().__new__(cls, f"{kind.__module__}.{kind.__qualname__}: {value!r}")
        self.original = value
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Opaque":
        return self  # keys are immutable, and a copy may be unequal

    def __reduce__(self) -> tuple[Any, ...]:
        return _Opaque, (self.original,)


def is_missing(value: object) -> bool:
    """Return whether a value means "not given".

    value (object): What a table, a scraper or a user wrote.
    RETURNS (bool): Whether it stands for nothing: None, an empty string, NaN, NaT or NA.
    """
    if value is None or isinstance(value, str):
        return not value
    try:
        return bool(value != value)
    except Exception:  # pandas' NA has no truth value, nor has an array, which is something
        return type(value).__name__ == "NAType"


def pack_key(value: Any) -> Any:
    """Give a key a form that can be stored.

    value (Any): A key.
    RETURNS (Any): What `unpack_key` makes the same of, before and after msgpack.
    RAISES (ConfigError): If it is not hashable.
    """
    if type(value) is str and value.isascii():
        return value
    try:
        hash(value)
    except TypeError as e:
        raise ConfigError(
            f"doc._.thread and doc._.domain must be hashable, got {value!r}: "
            "take a string, a number or a tuple"
        ) from e
    if isinstance(value, tuple):
        return tuple(map(pack_key, value))
    if isinstance(value, frozenset):
        return {_SET: sorted(map(pack_key, value), key=repr)}
    if _is_packable(value):
        return value
    for name, (kind, write, read) in _KINDS.items():
        if isinstance(value, kind):
            try:
                text = write(value)
                if read(text) == value:
                    return {name: text}
            except Exception:  # a subclass with rules of its own
                continue
    return _Opaque(value)


def _is_packable(value: Any) -> bool:
    """Return whether msgpack gives the same value back."""
    try:
        return bool(srsly.msgpack_loads(srsly.msgpack_dumps(value)) == value)
    except Exception:  # each kind of value has an error of its own
        return False


def unpack_key(form: Any) -> Any:
    """Read the stored form of a key.

    form (Any): What `pack_key` returned, possibly after msgpack.
    RETURNS (Any): The key.
    """
    if isinstance(form, _Opaque):
        return form.original
    if isinstance(form, tuple | list):
        return tuple(map(unpack_key, form))
    if isinstance(form, dict) and len(form) == 1:
        ((name, content),) = form.items()
        try:
            if name == _SET:
                return frozenset(map(unpack_key, content))
            return _KINDS[name][2](content)
        except Exception:  # no form of ours: it stays what it is
            return form
    return form
