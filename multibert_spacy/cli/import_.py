"""`import`: a folder of one domain, ours or PEFT's, becomes a domain of a pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from .group import Model, Out, changed_pipeline, multibert, names_in, printer

__all__ = ["import_command"]


@multibert.command("import")
def import_command(
    model: Model,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The domain's folder", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="The new domain", show_default=False)],
    out: Out,
    head_from: Annotated[
        str | None, typer.Option(help="A domain whose head it shares; of a PEFT folder")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="What its classifier finds: PER,LOC or O,B-PER,I-PER,…")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What belongs to it")] = None,
    trust_core: Annotated[
        bool, typer.Option("--trust-core", help="It was made for this core, unproven")
    ] = False,
) -> None:
    """Write a pipeline with a domain out of a folder that `export` or PEFT wrote."""
    from ..domains.foreign import import_domain

    with changed_pipeline(model, out) as nlp:
        import_domain(
            *(nlp, folder, name),
            head_from=head_from,
            labels=names_in(labels),
            description=description,
            trust_core=trust_core,
        )
    printer().good(f"{out} has the domain {name!r}")
