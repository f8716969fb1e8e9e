"""`remove`: a pipeline without one of its domains."""

from typing import Annotated

import typer
from wasabi import msg

from .group import Model, Out, load_pipeline, multibert, readable_errors

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
    from ..domains.output import check_place, write_pipeline
    from ..domains.remove import remove_domain

    with readable_errors():
        check_place(out)
        nlp = load_pipeline(model)
        remove_domain(nlp, name, fallback=fallback)
        write_pipeline(nlp, nlp.path, out)
    msg.good(f"{out} has no domain {name!r}")
