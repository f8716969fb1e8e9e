"""The `serve` command opens the page to try a pipeline on, in a browser."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from .group import Model, load_pipeline, multibert, readable_errors, tagger_of

__all__ = ["serve_command", "streamlit_command"]


@multibert.command("serve")
def serve_command(
    model: Model,
    port: Annotated[int, typer.Option(help="Of the page")] = 8501,
) -> None:
    """Open a page in the browser: paste texts, see entities and domains."""
    from ..scale.extras import need

    with readable_errors():
        need("streamlit", "page")
        need("spacy_streamlit", "page")
        tagger_of(load_pipeline(model))
    raise typer.Exit(subprocess.run(streamlit_command(model, port), check=False).returncode)


def streamlit_command(model: str, port: int) -> list[str]:
    """Return the command that runs the page, on this machine alone and without telemetry."""
    page = Path(__file__).with_name("page.py")
    return [
        *(sys.executable, "-m", "streamlit", "run", str(page)),
        *("--server.port", str(port), "--server.address", "localhost"),
        *("--server.headless", "true", "--browser.gatherUsageStats", "false"),
        *("--", model),
    ]
