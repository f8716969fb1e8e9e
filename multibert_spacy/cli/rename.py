"""`rename`: a pipeline with another name for one of its domains."""

from typing import Annotated

import typer

from .group import Model, Out, changed_pipeline, multibert, printer

__all__ = ["rename_command"]


@multibert.command("rename")
def rename_command(
    model: Model,
    old: Annotated[str, typer.Argument(help="The domain's name", show_default=False)],
    new: Annotated[str, typer.Argument(help="Its new name", show_default=False)],
    out: Out,
) -> None:
    """Write a pipeline with another name for one of its domains. No weight changes."""
    from ..domains.rename import rename_domain

    with changed_pipeline(model, out) as nlp:
        rename_domain(nlp, old, new)
    printer().good(f"{out} has {old!r} as {new!r}")
