"""Names that come from users and strangers: of domains, heads and labels.

A domain's name becomes a folder's, on any file system; heads' names and labels become text in
JSON, in torch's names of modules and in spaCy's strings. A name that is refused here would
otherwise train for an hour and fail when it is saved, or be saved and then not be found.
"""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

from .errors import ConfigError, DomainError

__all__ = [
    "check_description",
    "check_head_name",
    "check_labels",
    "check_name",
    "check_new_name",
    "nearest",
]

MOST_CHARACTERS = 100
MOST_BYTES = 200
"""Of a name in UTF-8. File systems take 255; the rest is for a draft's and an archive's ending."""
MOST_OF_A_HEAD = 1000
"""Characters of a head's name: one that was tuned with its domain has that one's added."""
MOST_OF_A_DESCRIPTION = 1000
"""Characters. The detector reads a few dozen pieces of them, and the descriptions of all domains
stand in one file.
"""
DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10))}
"""Names that Windows keeps, with any ending."""


def check_name(name: object) -> str:
    """Domain names are folder names.

    name (str): Of a domain.
    RETURNS (str): The same.
    RAISES (ConfigError): If it cannot be one on every file system.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(
            f"Illegal domain name {name!r:.120}: use letters, digits, '_', '-' and '.', at most "
            f"{MOST_CHARACTERS}, and begin with a letter, a digit or '_'"
        )
    n_bytes = len(name.encode("utf8"))
    if len(name) > MOST_CHARACTERS or n_bytes > MOST_BYTES:
        raise ConfigError(
            f"Illegal domain name {name[:40]!r}…: it has {len(name)} characters and {n_bytes} "
            f"bytes in UTF-8, at most {MOST_CHARACTERS} and {MOST_BYTES} make a folder's name"
        )
    composed = unicodedata.normalize("NFC", name)
    if composed != name:
        raise ConfigError(
            f"Illegal domain name {name!r}: some file systems write it {composed!r}, and then it "
            "is not found. Use that"
        )
    if name.endswith(".") or name.split(".")[0].lower() in DEVICES:
        raise ConfigError(
            f"Illegal domain name {name!r}: no folder can have it on Windows. Add a letter"
        )
    return name


def check_new_name(name: object, known: Iterable[str]) -> str:
    """Check the name of a domain that is to stand beside others.

    name (str): Of a domain.
    known (Iterable[str]): Names that others have.
    RETURNS (str): The same.
    RAISES (ConfigError): As `check_name`.
    RAISES (DomainError): If another has it, or one that Windows and macOS cannot tell from it.
    """
    name = check_name(name)
    for other in known:
        if other.casefold() == name.casefold():
            raise DomainError(
                f"There is a domain {other!r} already: give another name than {name!r}, or remove "
                "or rename that one first"
            )
    return name


def check_head_name(name: object) -> str:
    """Check a head's name.

    name (str): Of a head; no folder has it, but it stands in files.
    RETURNS (str): The same.
    RAISES (ConfigError): If it is no text, empty, or too long.
    """
    if not _is_text(name, MOST_OF_A_HEAD):
        raise ConfigError(
            f"Illegal head name {name!r:.120}: it must be printable text of 1 to "
            f"{MOST_OF_A_HEAD} characters that neither begins nor ends with white space"
        )
    return str(name)


def check_labels(labels: Iterable[object]) -> tuple[str, ...]:
    """Check labels.

    labels (Iterable[str]): Of a head, or of a detector.
    RETURNS (tuple): The same.
    RAISES (ConfigError): If one is no text (white space, control characters, half a surrogate
        pair), too long, or stands twice.
    """
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        raise ConfigError(f"labels must be a list of names, got {labels!r:.120}")
    labels = tuple(labels)
    for label in labels:
        if not _is_text(label, MOST_CHARACTERS):
            raise ConfigError(
                f"Illegal label {label!r:.120}: labels must be a list of names, printable text of "
                f"1 to {MOST_CHARACTERS} characters that neither begins nor ends with white space"
            )
    if len(set(labels)) < len(labels):
        raise ConfigError(f"A label stands twice in {list(labels)!r:.500}")
    return tuple(str(label) for label in labels)


def check_description(description: object) -> str:
    """Check what somebody says belongs to a domain.

    description (str): A sentence or two, in any letters; "" says nothing.
    RETURNS (str): The same.
    RAISES (ConfigError): If it is no text, too long to be stored with those of other domains, or
        holds half a surrogate pair or a control character other than a line break or tab.
    """
    if not isinstance(description, str):
        raise ConfigError(f"A description must be a text, got {description!r:.100}")
    if len(description) > MOST_OF_A_DESCRIPTION:
        raise ConfigError(
            f"A description of {len(description)} characters ({description[:40]!r}…): say in at "
            f"most {MOST_OF_A_DESCRIPTION} what belongs to the domain"
        )
    odd = [c for c in description if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t"]
    if odd:
        raise ConfigError(
            f"A description must be printable text; {description!r:.100} holds {odd[0]!r}"
        )
    return description


def nearest(name: object, known: Iterable[str]) -> str:
    """What somebody may have meant, as the end of a message; "" if nothing is like it."""
    found = get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


def _is_text(name: object, most: int) -> bool:
    """Return whether something is a name that can be printed, stored and found again."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= most
        and name == name.strip()
        and any(unicodedata.category(c)[0] not in "CZ" for c in name)
        and not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)
    )
