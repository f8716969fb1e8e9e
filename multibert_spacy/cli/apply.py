"""The `apply` command tags files of texts, on one machine or many."""

from typing import Annotated

import typer

from .group import Model, multibert, printer, readable_errors

__all__ = ["apply_command"]


@multibert.command("apply")
def apply_command(
    model: Model,
    input: Annotated[
        str, typer.Argument(help="JSONL, CSV, Parquet: a file, a folder or a glob; or a URL")
    ],
    output: Annotated[str, typer.Argument(help="Folder that is empty or new; or a URL")],
    engine: Annotated[str, typer.Option(help="local, ray or spark")] = "local",
    workers: Annotated[int, typer.Option(help="Pipelines at once")] = 1,
    text: Annotated[str, typer.Option(help="Column of the texts")] = "text",
    id: Annotated[str | None, typer.Option(help="Column of the ids; 'id' if there is one")] = None,
    thread: Annotated[
        str | None,
        typer.Option(help="Column of the threads, neighbouring rows; 'thread' if there is one"),
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="Column of given domains; 'domain' if there is one")
    ] = None,
    group_by: Annotated[
        str | None, typer.Option(help="Column of threads whose rows lie anywhere: sorts first")
    ] = None,
    format: Annotated[str, typer.Option(help="parquet or jsonl")] = "parquet",
    no_text: Annotated[bool, typer.Option("--no-text", help="Leave the texts out")] = False,
    part_size: Annotated[int, typer.Option(help="Texts of an output file")] = 4096,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a killed run")] = False,
) -> None:
    """Tag files of texts: a folder of Parquet or JSONL comes out."""
    from ..domains.progress import progress_bar
    from ..scale import apply

    msg = printer()
    with readable_errors():
        if group_by is not None:
            msg.info(f"The texts are sorted by {group_by} first, on this machine's disk")
        with progress_bar(unit=" texts") as bar:

            def progress(done: int, total: int) -> None:
                if bar.total is None:
                    bar.reset(total)
                    bar.initial = bar.n = bar.last_print_n = done
                bar.update(done - bar.n)

            counts = apply(
                *(model, input, output),
                engine=engine,
                workers=workers,
                text=text,
                id=id,
                thread=thread,
                domain=domain,
                group_by=group_by,
                format=format,
                no_text=no_text,
                part_size=part_size,
                resume=resume,
                progress=progress,
            )
        said = f"{counts['rows']} rows with {counts['entities']} entities in {output}"
        msg.good(said)
        if counts["errors"]:
            where = f"{output.rstrip('/')}/errors.jsonl"
            msg.warn(f"{counts['errors']} of {counts['texts']} texts have none: {where}")
        msg.table(
            [(name, n) for name, n in counts["domains"].items()],
            header=("domain", "rows"),
            aligns=("l", "r"),
        )
