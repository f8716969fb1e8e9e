"""`remove`: a pipeline without one of its domains."""

from typing import Annotated

import typer

from .group import Model, Out, changed_pipeline, multibert, printer

__all__ = ["remove_command"]


@multibert.command("remove")
def remove_command(
    model: Model,
    name: Annotated[str, typer.Argument(help="The domain to remove", show_default=False)],
    out: Out,
    fallback: Annotated[
        str | None,
        typer.Option(help="The domain that takes its place as fallback_domain or default_domain"),
    ] = None,
) -> None:
    """Write a pipeline without one of its domains. The others stay bit for bit."""
    from ..domains.remove import remove_domain

    with changed_pipeline(model, out) as nlp:
        remove_domain(nlp, name, fallback=fallback)
    printer().good(f"{out} has no domain {name!r}")
