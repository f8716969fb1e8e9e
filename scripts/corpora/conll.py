"""Column files: one token a line, a blank line between sentences, more of them between posts.

Decisions on what such files hold beside well-behaved tokens:
- Only LF (or CRLF) ends a line. `str.splitlines` would also cut at U+2028 or U+0085 inside a
  token, and `str.split()` at a no-break space, so neither is used.
- A token that is empty or only white space has no text a model could see, and spaCy refuses
  entities that begin or end with it: it is dropped and counted. Its neighbours' tags stay; an
  I- that lost its B- starts the entity.
- White space around a token is removed (counted); inside a token it is kept (counted).
- A control character (NUL and its like), a byte order mark anywhere and what Unicode calls no
  character is no part of a word: files that were joined or badly converted have them. It is
  removed (counted), or else the word would be another than the same word elsewhere.
- A token of invisible characters or marks only (ZWNJ, directional marks, a lone hamza) is not
  white space for Python or spaCy: it keeps its place and its tag (counted).
- A line of spaces, tabs or byte order marks only is a blank line.
- A file of more than 16 MiB is none of these corpora (the largest has 2), and is refused before
  it is read: lines as Python's strings take fifty times as much.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from multibert_spacy.errors import CorpusError

from .bio import parse_tag, repair_bio
from .sentence import Sentence, Tally

LARGEST = 2**24
"""Bytes of an input file."""

BOM = "\ufeff"
BLANK = "empty or white space (dropped)"
TRIMMED = "white space around it (removed)"
CONTROL = "control characters or byte order marks (removed)"
INNER_SPACE = "white space inside (kept)"
INVISIBLE = "invisible characters or marks only (kept)"


def check_size(path: str, n_bytes: int) -> None:
    """Refuse an input that is too large to be one of the corpora, before it is read."""
    if n_bytes > LARGEST:
        raise CorpusError(
            f"{path}: expected a file of at most {LARGEST:,} bytes, found {n_bytes:,}: this is no "
            "file of the corpus"
        )


@dataclass(frozen=True, slots=True)
class Source:
    """One input file in memory."""

    path: str
    data: bytes

    @classmethod
    def from_path(cls, path: Path) -> "Source":
        """Read a file, if there is one, and none larger than any corpus has."""
        if not path.is_file():
            raise CorpusError(f"{path}: expected a file of the corpus here, found none")
        check_size(str(path), path.stat().st_size)
        return cls(str(path), path.read_bytes())

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Layout:
    """How a corpus writes a line.

    columns (tuple[str, ...]): Names of the columns; the first is the token, the last the tag, and
        the second the part of speech if it is called POS.
    types (Mapping[str, str]): The publisher's types in lower case to the project's.
    post_gap (int | None): This many blank lines or more begin a new post; None without posts.
    """

    columns: tuple[str, ...]
    separator: str
    types: Mapping[str, str]
    post_gap: int | None = None

    @property
    def expected(self) -> str:
        """The line as error messages show it."""
        separator = "<TAB>" if self.separator == "\t" else self.separator
        return f"'{separator.join(self.columns)}'"


def _decode(source: Source) -> str:
    """Bytes to text without BOM; an undecodable byte is reported with its line. Any further BOM
    is one character among others.
    """
    data = source.data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        found = f"the byte 0x{data[err.start]:02x} ({err.reason})"
        raise CorpusError.at(source.path, line, "UTF-8", found) from None


def _blocks(text: str) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Runs of non-blank lines, each with the number of blank lines before it."""
    block: list[tuple[int, str]] = []
    gap = before = 0
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip(f" \t{BOM}"):
            if block:
                yield before, block
                block = []
            gap += 1
            continue
        if not block:
            before, gap = gap, 0
        block.append((number, line))
    if block:
        yield before, block


def _read_line(source: Source, number: int, line: str, layout: Layout) -> tuple[str, str, str]:
    """One line to token, part of speech ("" without such a column) and translated tag."""
    cells = line.split(layout.separator)
    shown = repr(line if len(line) <= 60 else f"{line[:60]}…")
    if len(cells) != len(layout.columns):
        columns = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        raise CorpusError.at(source.path, number, layout.expected, f"{columns}: {shown}")
    if not cells[-1].strip():
        raise CorpusError.at(source.path, number, layout.expected, f"no tag: {shown}")
    tag = parse_tag(cells[-1].strip(), layout.types)
    if tag is None:
        legal = "O, or B- or I- with one of " + " ".join(sorted(layout.types))
        raise CorpusError.at(source.path, number, legal, f"the tag {cells[-1].strip()!r}")
    return cells[0], cells[1].strip() if "POS" in layout.columns else "", tag


def _is_control(char: str) -> bool:
    """Whether a character has no place in a word. Separators that end no line here (NEL, vertical
    tab, form feed) are white space, which is another matter. U+001C to U+001F are called so by
    Python alone.
    """
    space = char.isspace() and not "\x1c" <= char <= "\x1f"
    code = ord(char)  # of the 66 that Unicode promises never to assign?
    never = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return char == BOM or (unicodedata.category(char) == "Cc" and not space) or never


def _clean(raw: str) -> tuple[str, list[str]]:
    """The token as it is kept ('' to drop it) and what was odd about it."""
    shown = "".join(char for char in raw if not _is_control(char))
    token = shown.strip()
    odd = [] if shown == raw else [CONTROL]
    if not token:
        return "", [*odd, BLANK]
    if token != shown:
        odd.append(TRIMMED)
    if any(char.isspace() for char in token):
        odd.append(INNER_SPACE)
    if all(unicodedata.category(char) in ("Cf", "Mn") for char in token):
        odd.append(INVISIBLE)
    return token, odd


def read_sentences(
    source: Source, layout: Layout, *, domain: str
) -> tuple[list[Sentence], Tally, Tally]:
    """Read one column file.

    domain (str): Domain of all its sentences; posts are named `domain/1`, `domain/2`, ...
    RETURNS (tuple[list[Sentence], Tally, Tally]): The sentences in file order; repaired tags and
        odd tokens by (domain, kind).
    RAISES (CorpusError): If the file is empty or breaks the layout.
    """
    sentences: list[Sentence] = []
    repaired: Tally = Counter()
    odd_tokens: Tally = Counter()
    post = 1
    for gap, lines in _blocks(_decode(source)):
        if layout.post_gap is not None and sentences and gap >= layout.post_gap:
            post += 1
        words: list[str] = []
        tags: list[str] = []
        parts: list[str] = []
        for number, line in lines:
            raw, part, tag = _read_line(source, number, line, layout)
            token, odd = _clean(raw)
            odd_tokens.update((domain, kind) for kind in odd)
            if token:
                words.append(token)
                tags.append(tag)
                parts.append(part)
        if not words:
            continue
        legal, kinds = repair_bio(tags)
        repaired.update({(domain, kind): n for kind, n in kinds.items()})
        thread = None if layout.post_gap is None else f"{domain}/{post}"
        pos = tuple(parts) if any(parts) else ()
        sentences.append(Sentence(tuple(words), legal, domain, thread, pos))
    if not sentences:
        raise CorpusError.at(source.path, 1, "at least one sentence", "an empty file")
    return sentences, repaired, odd_tokens
