"""Tag threads of texts and show them: a table in the terminal, displaCy as HTML.

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
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from spacy import displacy
from spacy.displacy.templates import TPL_ENT_RTL, TPL_FIGURE, TPL_PAGE
from spacy.language import Language
from spacy.tokens import Doc

from multibert_spacy.colors import COLORS

from .record import readable_errors

console = Console()

ISOLATED = 'style="display: inline-block; unicode-bidi: isolate; '
MARK = TPL_ENT_RTL.strip().replace('style="', ISOLATED)
"""Of the mark and of the label in it. Without the template's line breaks at both ends: they would
put a space between a name and the comma behind it.
"""


def read_threads(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read texts with their threads.

    path (Path): JSONL, one object per line with "text" and, if known, "thread" and "domain".
    YIELDS (tuple): Text and context, as `nlp.pipe(as_tuples=True)` takes them.
    RAISES (ValueError): If a line is no such object; names the line.
    """
    with path.open(encoding="utf8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                text = row.pop("text")
            except (ValueError, KeyError, AttributeError, TypeError) as e:
                raise ValueError(f'{path}, line {number}: expected an object with "text"') from e
            yield text, row


def coloured(doc: Doc) -> Text:
    """RETURNS (Text): The text with its entities in their colours."""
    text = Text(doc.text.replace("\n", " "))
    for ent in doc.ents:
        text.stylize(f"black on {COLORS.get(ent.label_, '#dddddd')}", ent.start_char, ent.end_char)
    return text


def heading(doc: Doc) -> str:
    """RETURNS (str): The doc's thread and domain, and how sure the detector is of that domain."""
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
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\[W006\]")  # a text without entities
            parsed = [{**displacy.parse_ents(doc), "title": None} for doc in own]
        parsed[0]["title"] = f"<bdi>{markup.escape(title)}</bdi>"  # displaCy does not escape it
        options = {"template": MARK}
        figure = displacy.render(parsed, style="ent", jupyter=False, manual=True, options=options)
        figures.append(TPL_FIGURE.format(content=figure))
    return TPL_PAGE.format(content="".join(figures), lang="fa", dir="rtl").strip()


def show(nlp: Language, path: Path, html: Path | None = None) -> list[Doc]:
    """Tag and show.

    nlp (Language): The pipeline.
    path (Path): See `read_threads`.
    html (Path): Where to write displaCy's page.
    RETURNS (list[Doc]): The docs.
    """
    table = Table("thread · domain (score)", "text", "entities", show_lines=True)
    docs = []
    for doc, _ in nlp.pipe(read_threads(path), as_tuples=True):
        scores = doc.spans["multibert_ner"].attrs["scores"]
        found = [f"{e.text} {e.label_} {s:.2f}" for e, s in zip(doc.ents, scores, strict=True)]
        table.add_row(heading(doc), coloured(doc), "\n".join(found))
        docs.append(doc)
    console.print(table)
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(render(docs), encoding="utf8")
        console.print(f"{html}: the same with displaCy, right to left")
    return docs


def main(
    model: Annotated[str, typer.Argument(help="Installed package or folder")] = "fa_multibert",
    threads: Annotated[Path, typer.Argument(help="JSONL with text and thread")] = Path(
        "example/threads.jsonl"
    ),
    html: Annotated[Path | None, typer.Option(help="Write displaCy's page here")] = None,
) -> None:
    """Tag threads and show their entities by colour."""
    with readable_errors(ValueError):
        if not show(spacy.load(model), threads, html):
            raise ValueError(f"{threads} holds no text: expected an object with a text per line")


if __name__ == "__main__":
    typer.run(main)
