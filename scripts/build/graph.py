"""Make the OpenVINO graphs of a pipeline in its folder, before they are needed.

    python -m scripts.build.graph training/pretrained/fa_multibert --precision int8

Otherwise they are made when a pipeline with `engine = "openvino"` first tags a text.
"""

from pathlib import Path
from typing import Annotated, Any

import spacy
import torch
import typer
from rich.console import Console

from multibert_spacy.adapters.bank import Bank
from multibert_spacy.engines.adapted_module import AdaptedModule
from multibert_spacy.engines.openvino_graph import keep_graph
from multibert_spacy.errors import ConfigError

from ..record import readable_errors

app = typer.Typer(add_completion=False, help=__doc__)
console = Console()


def make_graphs(folder: Path, *, precision: str) -> list[Path]:
    """RETURNS (list[Path]): Where the graphs of all components that run the core are kept.
    RAISES (ConfigError): If no component does.
    """
    settings = {"engine": "openvino", "precision": precision}
    nlp = spacy.load(folder, config={"components": {"transformer": settings}})
    kept = []
    for name, proc in nlp.pipeline:
        model: Any = getattr(proc, "model", None)
        module = getattr(model, "module", None)
        if isinstance(module, AdaptedModule) and module.graph is not None:
            bank = Bank(module.adapters, torch.float32)
            core = model.listener.core
            keep_graph(core, bank, module.n_layers, module.graph)
            module.engine(core).prepare()  # type: ignore[attr-defined]
            kept.append(module.graph)
            console.print(f"{name}: {module.graph}")
    if not kept:
        raise ConfigError(f"{folder} has no component that runs a core, but {nlp.pipe_names}")
    return kept


@app.command(help=__doc__)
def main(
    model: Annotated[Path, typer.Argument(help="Folder of a pipeline.")],
    precision: Annotated[str, typer.Option(help="int8, bf16 or fp32.")] = "int8",
) -> None:
    with readable_errors(ValueError):
        make_graphs(model, precision=precision)


if __name__ == "__main__":
    app()
