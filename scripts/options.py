"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help="Folder or installed package")]
RunFile = Annotated[Path, typer.Argument(help="Run config, as configs/runs/lora.cfg")]
Corpus = Annotated[Path, typer.Option(help="Folder with train, dev and test")]
Core = Annotated[str, typer.Option(help="Hugging Face name or folder of the core")]
Out = Annotated[Path | None, typer.Option(help="Folder of all runs; training/<corpus>")]
Metrics = Annotated[Path | None, typer.Option(help="JSON file; in metrics/<corpus>")]
Limit = Annotated[int, typer.Option(min=0, help="Groups per domain; 0 is all")]
Seed = Annotated[int, typer.Option(help="Seed")]
