"""`suggest`: which texts of a file to mark names in next."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from wasabi import msg

from ..errors import CorpusError
from .group import Model, load_pipeline, multibert, readable_errors

__all__ = ["suggest_command"]


@multibert.command("suggest")
def suggest_command(
    model: Model,
    texts: Annotated[
        str, typer.Argument(help="JSONL, CSV, Parquet: a file, a folder or a glob; or a URL")
    ],
    n: Annotated[int, typer.Option("-n", "--number", help="How many texts")] = 20,
    domain: Annotated[
        str | None, typer.Option(help="As which all are tagged; else a row's own, or detected")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write them as JSONL; else they are printed")
    ] = None,
    text: Annotated[str, typer.Option(help="Column of the texts")] = "text",
    seed: Annotated[int, typer.Option(help="Of what is drawn")] = 0,
) -> None:
    """Choose texts to label: those of which the tagger is unsure, of all kinds."""
    from ..domains.suggest import suggest
    from ..scale.rows import BadRow, Columns, read_all

    bad: list[BadRow] = []
    with readable_errors():
        nlp = load_pipeline(model)

        def stream() -> Iterator[tuple[str, dict[str, Any]]]:
            for row in read_all(texts, Columns(text), max_length=nlp.max_length):
                if isinstance(row, BadRow):
                    bad.append(row)
                else:
                    yield row.text, {"thread": row.thread, "domain": row.domain}

        found = suggest(nlp, stream(), n, domain=domain, seed=seed)
        where = f"{bad[0].file}, line {bad[0].line}: {bad[0].error}" if bad else ""
        if bad and not found:
            raise CorpusError(f"{texts} has no text; {where}")
        rows = [
            {"rank": i, "score": round(own.score, 4), "domain": own.domain, "text": own.text}
            for i, own in enumerate(found, 1)
        ]
        srsly.write_jsonl("-" if output is None else output, rows)
    if output is not None:
        msg.good(f"{len(rows)} texts in {output}")
    if bad:
        msg.warn(f"{len(bad)} rows were left out; the first, {where}")
