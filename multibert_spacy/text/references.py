"""HTML character references, read as what they stand for: `&zwnj;`, `&#1593;`, `&#x631;`.

Texts from the web hold them as they came, and not seldom twice escaped (`&amp;zwnj;`). A reference
ends with its semicolon here: without it `&copy` in an address would be one.
"""

import html
import re
from html.entities import html5

__all__ = ["read_references", "references"]

_REFERENCE = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});\Z")
_LONGEST = 34
_NOTHING = "\x00"
"""For a reference to what is no character: as invisible."""


def references(text: str) -> tuple[str, list[int]]:
    """Read each reference, and go on until none is left, in one pass: what is read may complete
    another one, as in `&amp;nbsp;`.

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
    return "".join(chars), [*starts, len(text)]


def read_references(text: str) -> str:
    """RETURNS (str): The text with its references read; reading it again changes nothing."""
    return references(text)[0] if "&" in text and ";" in text else text
