"""Regular expressions of strangers: which of them are compiled, and for how long they may run.

A PEFT config may name modules by a pattern. `regex` stops one that runs too long, but nothing
stops compiling: 23 characters, `(?:(?:x{999}){99}){99}`, take 3 GB. So only those are compiled
whose compiled form is about as long as they are: without counts behind a group, with small counts
behind a single character, and short. What is left out (flags, references, recursion, names) no
list of modules needs.
"""

import re
import time
from functools import lru_cache

import regex

__all__ = ["PatternError", "Patterns"]

MOST_CHARACTERS = 2000
DEEPEST = 20
"""Groups inside groups."""
_TOKEN = re.compile(
    r"""
    (?P<open> \( (?: \?: | \?= | \?! )? )
    | \) (?P<close> [*+?]? [?+]? )
    | \|
    | (?: \\[.dDwWsSbB\-_/()\[\]|*+?^$\\]
        | \[ \^? (?: [^\[\]\\{}] | \\[.dDwWsS\-\]\[^\\] )+ \]
        | [^\\()\[\]{}|*+?] )
      (?: [*+?] [?+]? | \{ \d{1,2} (?: , \d{0,2} )? \} [?+]? )?
    """,
    re.VERBOSE,
)


class PatternError(ValueError):
    """A pattern that is not compiled, or cannot be."""


class Patterns:
    """Patterns of one file, which share a limit of time."""

    def __init__(self, seconds: float) -> None:
        """Begin to match patterns.

        seconds (float): That all of them may take together.
        """
        self._end = time.monotonic() + seconds

    def matches(self, pattern: str, text: str) -> bool:
        """Return whether the whole text is matched.

        RAISES (PatternError): If the pattern is not compiled.
        RAISES (TimeoutError): If the time is up.
        """
        return _compile(pattern).fullmatch(text, timeout=self._left()) is not None

    def begins(self, pattern: str, layer: int, text: str) -> bool:
        """Whether a text begins like a pattern, as PEFT finds a layer.

        RETURNS (bool): Whether the text begins with any modules, the
        pattern and a layer's number.
        """
        _compile(pattern)  # on its own, so that it cannot end a group that is not its own
        whole = _compile(rf"(?:.*?\.)?{pattern}\.{layer}\.")
        return whole.match(text, timeout=self._left()) is not None

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@lru_cache(maxsize=256)
def _compile(pattern: str) -> "regex.Pattern[str]":
    """Compile a pattern.

    RAISES (PatternError): If it is too long, too deep, or holds what is left out.
    """
    if not isinstance(pattern, str) or len(pattern) > MOST_CHARACTERS:
        raise PatternError(f"a pattern may have {MOST_CHARACTERS} characters: {pattern!r:.80}")
    at = depth = 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise PatternError(
                f"the pattern {pattern!r:.200} is not compiled, because of {pattern[at:][:12]!r}: "
                "it may hold characters, classes, groups, '|', '*', '+', '?', and counts up to 99 "
                "behind a single character. List the modules by their names instead"
            )
        depth += bool(token["open"]) - (token["close"] is not None)
        if depth > DEEPEST:
            raise PatternError(
                f"the pattern {pattern!r:.80} has more than {DEEPEST} groups inside"
            )
        at = token.end()
    try:
        return regex.compile(pattern)
    except regex.error as e:
        raise PatternError(f"the pattern {pattern!r:.200} is none: {e}") from e
