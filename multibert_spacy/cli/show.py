"""The `show` command tags threads of texts and shows them, in the terminal or as a page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ..domains.progress import progress_bar
from ..errors import CorpusError
from .drawing import coloured, heading, read_threads, render
from .group import Model, console, load_pipeline, multibert, readable_errors

__all__ = ["show", "show_command"]


@multibert.command("show")
def show_command(
    model: Model,
    file: Annotated[Path, typer.Argument(help="JSONL with text and, if known, thread, domain")],
    html: Annotated[Path | None, typer.Option(help="Write displaCy's page here")] = None,
) -> None:
    """Tag threads and show their entities by colour."""
    with readable_errors():
        threads = list(read_threads(file))
        if not threads:
            raise CorpusError(f"{file} holds no text: expected an object with a text per line")
        show(load_pipeline(model), threads, html)


def show(
    nlp: Any, threads: Iterable[tuple[str, dict[str, Any]]], html: Path | None = None
) -> list[Any]:
    """Tag and show.

    nlp (Language): The pipeline.
    threads (Iterable): See `read_threads`.
    html (Path): Where to write displaCy's page.
    RETURNS (list[Doc]): The docs.
    """
    table = Table("thread · domain (score)", "text", "entities", show_lines=True)
    docs = []
    threads = list(threads)
    tagged = nlp.pipe(threads, as_tuples=True)
    for doc, _ in progress_bar(
        iterable=tagged, total=len(threads), unit=" texts", delay=1, leave=False
    ):
        found = [f"{ent.text} {ent.label_} {ent._.score:.2f}" for ent in doc.ents]
        table.add_row(heading(doc), coloured(doc), "\n".join(found))
        docs.append(doc)
    out = console()
    out.print(table)
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(render(docs), encoding="utf8")
        out.print(f"{html}: the same with displaCy, right to left")
    return docs
