"""`rename`: a pipeline with another name for one of its domains."""

from typing import Annotated

import typer
from wasabi import msg

from .group import Model, Out, load_pipeline, multibert, readable_errors

__all__ = ["rename_command"]


@multibert.command("rename")
def rename_command(
    model: Model,
    old: Annotated[str, typer.Argument(help="The domain's name", show_default=False)],
    new: Annotated[str, typer.Argument(help="Its new name", show_default=False)],
    out: Out,
) -> None:
    """Write a pipeline with another name for one of its domains. No weight changes."""
    from ..domains.output import check_place, write_pipeline
    from ..domains.rename import rename_domain

    with readable_errors():
        check_place(out)
        nlp = load_pipeline(model)
        rename_domain(nlp, old, new)
        write_pipeline(nlp, nlp.path, out)
    msg.good(f"{out} has {old!r} as {new!r}")
