"""The group of commands, and what they share: arguments, loading, what a mistake says."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from wasabi.printer import Printer

from ..domains.components import check_ours, tagger_of
from ..errors import ConfigError
from ..names import nearest

__all__ = [
    "Domain",
    "Model",
    "Out",
    "changed_pipeline",
    "console",
    "load_pipeline",
    "multibert",
    "names_in",
    "printer",
    "readable_errors",
    "tagger_of",
]

multibert = typer.Typer(
    name="multibert",
    help="Named entities of many domains: tag, look, score, and handle domains.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Out = Annotated[
    Path,
    typer.Argument(
        help="A new folder, made with those above it, or a pipeline's to replace",
        show_default=False,
    ),
]
Domain = Annotated[str, typer.Argument(help="The domain", show_default=False)]
Model = Annotated[str, typer.Argument(help="Installed package or folder", show_default=False)]


def printer() -> Printer:
    """What commands print with: coloured on a terminal, unless NO_COLOR is set (no-color.org).

    wasabi by itself colours what goes into a file, too.
    """
    made = Printer()
    made.show_color &= sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return made


def console(*, stderr: bool = False) -> Console:
    """What tables and errors are printed on. With NO_COLOR it writes no code at all; by itself
    rich would leave out the colours and keep bold.
    """
    return Console(stderr=stderr, color_system=None if os.environ.get("NO_COLOR") else "auto")


@contextmanager
def readable_errors() -> Iterator[None]:
    """End the command with one line and exit code 1 where a user made a mistake.

    Mistakes are our own errors, which are ValueErrors as spaCy's are, and those of the file
    system.
    """
    try:
        yield
    except (ValueError, OSError) as err:
        line = " ".join(str(err).split())
        console(stderr=True).print(line, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from err


@contextmanager
def changed_pipeline(model: str, out: Path) -> Iterator[Any]:
    """Load a pipeline and, once the block has changed it, write it to another place.

    model (str): Installed package or folder.
    out (Path): See `write_pipeline`; checked before anything is loaded.
    YIELDS (Language): The pipeline. A user's mistake ends the command, see `readable_errors`.
    """
    from ..domains.output import check_place, write_pipeline

    with readable_errors():
        check_place(out)
        nlp = load_pipeline(model)
        yield nlp
        write_pipeline(nlp, nlp.path, out)


def names_in(names: str | None) -> list[str] | None:
    """Split what was given with commas; None stays None."""
    return None if names is None else [name.strip() for name in names.split(",")]


def load_pipeline(model: str) -> Any:
    """Load a pipeline.

    model (str): Installed package or folder.
    RETURNS (Language): The pipeline.
    RAISES (ConfigError): If there is none, or if it has no component of ours.
    """
    import spacy

    if not Path(model).exists() and not spacy.util.is_package(model):
        beside = [path.name for path in Path().iterdir() if (path / "meta.json").is_file()]
        meant = nearest(model, [*spacy.util.get_installed_models(), *beside])
        raise ConfigError(
            f"There is no pipeline {model!r}: expected an installed package or a folder.{meant}"
        )
    nlp = spacy.load(model)
    check_ours(model, {name: nlp.get_pipe_meta(name).factory for name in nlp.component_names})
    return nlp
