"""`export`: one domain as a folder."""

from pathlib import Path
from typing import Annotated

import typer

from .group import Domain, Model, load_pipeline, multibert, printer, readable_errors

__all__ = ["export_command"]


@multibert.command("export")
def export_command(
    model: Model,
    name: Domain,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder", show_default=False)
    ],
) -> None:
    """Write one domain as a folder that `import`, `load_domain` and PEFT read."""
    from ..domains.folders import save_domain

    with readable_errors():
        save_domain(load_pipeline(model), name, folder)
    printer().good(f"{name!r} is in {folder}")
