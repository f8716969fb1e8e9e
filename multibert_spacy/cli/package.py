"""`package`: one domain as a wheel."""

from pathlib import Path
from typing import Annotated

import typer

from .group import Domain, Model, load_pipeline, multibert, printer, readable_errors

__all__ = ["package_command"]


@multibert.command("package")
def package_command(
    model: Model,
    name: Domain,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to put the wheel", show_default=False)
    ],
    version: Annotated[str | None, typer.Option(help="Default: the pipeline's")] = None,
) -> None:
    """Build a wheel of one domain, fa_multibert_NAME, for pip install."""
    from ..domains.publish import package_domain

    with readable_errors():
        wheel = package_domain(load_pipeline(model), name, folder, version=version)
    printer().good(f"pip install {wheel}")
