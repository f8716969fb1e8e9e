"""Tagged threads as a picture: colours for the terminal, displaCy's page as HTML.

In displaCy's own markup an entity is torn in two where a number stands behind it: by Unicode's
bidirectional algorithm the Latin label and the digits after it are one run from left to right, of
which the label lies in the mark and the digits do not. Here each mark and each label is isolated,
so that what is in it is ordered alone, and a mark is a block of its own, which is not cut at the
end of a line either.
"""

import html as markup
import json
import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.text import Text
from spacy import displacy
from spacy.displacy.templates import TPL_ENT_RTL, TPL_FIGURE, TPL_PAGE
from spacy.tokens import Doc

from ..colors import COLORS
from ..errors import CorpusError

__all__ = ["MARK", "coloured", "draw", "heading", "read_lines", "read_threads", "render"]

ISOLATED = 'style="display: inline-block; unicode-bidi: isolate; '
MARK = TPL_ENT_RTL.strip().replace('style="', ISOLATED)
"""Of the mark and of the label in it. Without the template's line breaks at both ends: they would
put a space between a name and the comma behind it.
"""


def read_threads(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read a file of texts and their threads.

    path (Path): A JSONL file; see `read_lines`.
    YIELDS (tuple): Text and context.
    """
    with path.open(encoding="utf8") as lines:
        yield from read_lines(str(path), lines)


def read_lines(name: str, lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read texts with their threads.

    name (str): What errors call the file.
    lines (Iterable[str]): JSONL, one object per line with "text" and, if known, "thread" and
        "domain".
    YIELDS (tuple): Text and context, as `nlp.pipe(as_tuples=True)` takes them.
    RAISES (CorpusError): If a line is no such object; names the line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text = row.pop("text")
        except (ValueError, KeyError, AttributeError, TypeError) as e:
            expected = 'an object with "text"'
            raise CorpusError.at(name, number, expected, line.strip()[:80]) from e
        yield text, row


def coloured(doc: Doc) -> Text:
    """Return the text of a doc with its entities in their colours."""
    text = Text(doc.text.replace("\n", " "))
    for ent in doc.ents:
        text.stylize(f"black on {COLORS.get(ent.label_, '#dddddd')}", ent.start_char, ent.end_char)
    return text


def heading(doc: Doc) -> str:
    """Return a doc's thread and domain, with the detector's certainty of the domain."""
    own = doc._.domain_score if Doc.has_extension("domain_score") else doc.cats.get(doc._.domain)
    sure = "given" if own is None else f"{own:.2f}"
    thread = "" if doc._.thread is None else f"{doc._.thread} · "
    return f"{thread}{doc._.domain} ({sure})"


def render(docs: Iterable[Doc]) -> str:
    """Draw docs, a heading over each thread.

    docs (Iterable[Doc]): Tagged docs; neighbours of the same heading stand under one.
    RETURNS (str): displaCy's page, right to left, with each entity isolated from its neighbours.
    """
    figures = []
    for title, own in groupby(docs, heading):
        escaped = f"<bdi>{markup.escape(title)}</bdi>"  # displaCy does not escape it
        figures.append(TPL_FIGURE.format(content=draw(own, escaped)))
    page: str = TPL_PAGE.format(content="".join(figures), lang="fa", dir="rtl")
    return page.strip()


def draw(docs: Iterable[Doc], title: str | None = None) -> str:
    """Draw tagged docs as HTML.

    docs (Iterable[Doc]): Tagged docs, at least one.
    title (str): Markup that stands above them.
    RETURNS (str): Their markup.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\[W006\]")  # a text without entities
        parsed = [{**displacy.parse_ents(doc), "title": None} for doc in docs]
    parsed[0]["title"] = title
    options = {"template": MARK}
    drawn: str = displacy.render(parsed, style="ent", jupyter=False, manual=True, options=options)
    return drawn
