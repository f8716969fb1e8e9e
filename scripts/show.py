"""Tag threads of texts and show them: a table in the terminal, displaCy as HTML."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from spacy import displacy
from spacy.language import Language
from spacy.tokens import Doc

from multibert_spacy.colors import COLORS

console = Console()


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


def show(nlp: Language, path: Path, html: Path | None = None) -> list[Doc]:
    """Tag and show.

    nlp (Language): The pipeline.
    path (Path): See `read_threads`.
    html (Path): Where to write displaCy's page.
    RETURNS (list[Doc]): The docs.
    """
    table = Table("thread", "domain", "text", "entities", show_lines=True)
    docs = []
    for doc, context in nlp.pipe(read_threads(path), as_tuples=True):
        scores = doc.spans["multibert_ner"].attrs["scores"]
        found = [f"{e.text} {e.label_} {s:.2f}" for e, s in zip(doc.ents, scores, strict=True)]
        thread = str(context.get("thread", ""))
        table.add_row(thread, doc._.domain or "", coloured(doc), "\n".join(found))
        docs.append(doc)
    console.print(table)
    if html is not None:
        for doc in docs:
            doc.user_data["title"] = f"{doc._.thread or ''} · {doc._.domain}"
        html.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\[W006\]")  # a text without entities
            page = displacy.render(docs, style="ent", page=True, jupyter=False)
        html.write_text(page, encoding="utf8")
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
    show(spacy.load(model), threads, html)


if __name__ == "__main__":
    typer.run(main)
