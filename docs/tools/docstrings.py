"""Docstrings of this package, which are spaCy's kind, taken apart.

What it does.

name (Type): What it is for,
    which may go on in a further line.
RETURNS (Type): What comes back.
RAISES (Error): When.
"""

import inspect
import re
from dataclasses import dataclass, field

__all__ = ["Docstring", "parse"]

_ITEM = re.compile(r"^(\w+(?:, \w+)*) \(([^)]+)\): ?(.*)$|^(\w+(?:, \w+)+): (.*)$")
_ENDS = re.compile(r"^(RETURNS|YIELDS|RAISES) \(([^)]+)\): ?(.*)$|^(RAISES) \(([^)]+)\) (.*)$")
_INLINE = re.compile(r"(?<=[.\n]) (?=(?:RETURNS|YIELDS|RAISES) \()")


@dataclass
class Docstring:
    """A docstring in its parts.

    text (str): Markdown, without the parts below.
    args (dict): Name -> type and meaning. ends (list): RETURNS, YIELDS or RAISES; type; meaning.
    """

    text: str
    args: dict[str, tuple[str, str]] = field(default_factory=dict)
    ends: list[tuple[str, str, str]] = field(default_factory=list)

    def google(self) -> str:
        """RETURNS (str): The same in Google's style, which mkdocstrings reads."""
        parts = [self.text]
        if self.args:
            lines = [
                f"    {name} ({kind}): {said}" if kind else f"    {name}: {said}"
                for name, (kind, said) in self.args.items()
            ]
            parts.append("\n".join(["Args:", *lines]))
        for word, title in (("RETURNS", "Returns"), ("YIELDS", "Yields"), ("RAISES", "Raises")):
            lines = [f"    {kind}: {said}" for key, kind, said in self.ends if key == word]
            if lines:
                parts.append("\n".join([f"{title}:", *lines]))
        return "\n\n".join(part for part in parts if part)


def parse(docstring: str | None) -> Docstring:
    """RETURNS (Docstring): A docstring in its parts. docstring (str): As it stands, or None."""
    text = _INLINE.sub("\n", inspect.cleandoc(docstring or ""))
    found = Docstring("")
    kept: list[str] = []
    last: list[str] | None = None
    items: list[tuple[str, str, list[str], bool]] = []
    for line in text.splitlines():
        if match := _ENDS.match(line):
            word, kind, said = (match[1], match[2], match[3]) if match[1] else match.group(4, 5, 6)
            last = [said]
            items.append((word, kind, last, True))
        elif match := _ITEM.match(line):
            last = [match[3] or match[5] or ""]
            items.append((match[1] or match[4], match[2] or "", last, False))
        elif last is not None and line.startswith("    "):
            last.append(line.strip())
        else:
            last = None
            kept.append(line)
    for name, kind, lines, is_end in items:
        said = " ".join(filter(None, lines))
        if is_end:
            found.ends.append((name, kind, said))
        else:
            found.args |= {own: (kind, said) for own in name.split(", ")}
    found.text = "\n".join(kept).strip()
    return found
