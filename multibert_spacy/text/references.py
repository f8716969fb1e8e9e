"""HTML character references, read as what they stand for: `&zwnj;`, `&#1593;`, `&#x631;`.

Texts from the web hold them as they came, and not seldom twice escaped (`&amp;zwnj;`). A reference
ends with its semicolon here, since `&copy` in an address is none; apart from the few names that
are seen in Persian texts without one, or in capitals, where no letter, digit or `=` follows.
"""

import html
import re
from html.entities import html5

__all__ = ["has_references", "read_references", "references"]

_REFERENCE = re.compile(r"&(?:#[0-9]{1,16}|#[xX][0-9a-fA-F]{1,16}|[A-Za-z][A-Za-z0-9]{1,31});\Z")
_OPEN = re.compile(
    r"&(?:(nbsp|zwnj|zwj|rlm|lrm|shy|amp|lt|gt|quot)|#([0-9]{3,7})|#x([0-9a-f]{2,6}))"
    r"(?:;|(?![A-Za-z0-9=#;]))",
    flags=re.IGNORECASE | re.ASCII,
)
"""Without a semicolon, or in capitals. Of numbers only those from 128 on: what is read completes
no other reference then, so that reading again changes nothing.
"""
_LONGEST = 34
_NOTHING = "\x00"
"""For a reference to what is no character: as invisible."""


def references(text: str) -> tuple[str, list[int]]:
    """Read each reference, and go on until none is left, in one pass.

    What is read may complete another one, as in `&amp;nbsp;`.

    text (str): Any text.
    RETURNS (tuple): The text with references read, and for each of its characters where in the
        given one it begins; one more entry for the end.
    """
    chars: list[str] = []
    starts: list[int] = []
    place = 0
    for part in text.split(";"):
        end = min(place + len(part) + 1, len(text))
        chars.extend(text[place:end])
        starts.extend(range(place, end))
        place = end
        while chars and chars[-1] == ";":
            match = _REFERENCE.search("".join(chars[-_LONGEST:]))
            if match is None or (match[0][1] != "#" and match[0][1:] not in html5):
                break
            value = html.unescape(match[0]) or _NOTHING
            first = len(chars) - len(match[0])
            chars[first:] = value
            starts[first:] = [starts[first]] * len(value)
    return _read_open("".join(chars), [*starts, len(text)])


def _read_open(text: str, starts: list[int]) -> tuple[str, list[int]]:
    """Read the references that have no semicolon.

    text (str), starts (list): As `references` returns them.
    RETURNS (tuple): The same with these references read, too.
    """
    parts: list[str] = []
    places: list[int] = []
    done = 0
    for match in _OPEN.finditer(text):
        name, decimal, digits = match.groups()
        code = 0 if name else int(decimal or digits, 10 if decimal else 16)
        if not name and not 127 < code < 0x110000:
            continue
        value = html.unescape(f"&{name.lower()};" if name else f"&#{code};") or _NOTHING
        parts += [text[done : match.start()], value]
        places += starts[done : match.start()] + [starts[match.start()]] * len(value)
        done = match.end()
    if not done:
        return text, starts
    return "".join([*parts, text[done:]]), places + starts[done:]


def has_references(text: str) -> bool:
    """Return whether there may be a reference in a text."""
    return "&" in text and (";" in text or _OPEN.search(text) is not None)


def read_references(text: str) -> str:
    """Return a text with its references read; reading it again changes nothing."""
    return references(text)[0] if has_references(text) else text
