"""`graph`: the OpenVINO graphs of a pipeline, made before they are needed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from .group import multibert, printer, readable_errors

__all__ = ["graph_command"]


@multibert.command("graph")
def graph_command(
    model: Annotated[Path, typer.Argument(help="Folder of a pipeline", show_default=False)],
    precision: Annotated[str, typer.Option(help="int8, bf16 or fp32")] = "int8",
) -> None:
    """Make the OpenVINO graphs of a pipeline and keep them in its folder, as is otherwise done
    when it first tags a text.
    """
    import spacy

    from ..engines.adapted_module import AdaptedModule

    settings = {"engine": "openvino", "precision": precision}
    with readable_errors():
        nlp = spacy.load(model, config={"components": {"transformer": settings}})
        graphs = []
        for _, proc in nlp.pipeline:
            network: Any = getattr(proc, "model", None)
            module = getattr(network, "module", None)
            if isinstance(module, AdaptedModule) and module.graph is not None:
                module.engine(network.listener.core).prepare()  # type: ignore[attr-defined]
                graphs.append(module.graph)
        if not graphs:
            raise ConfigError(f"{model} has no component that runs a core, but {nlp.pipe_names}")
    for graph in graphs:
        printer().good(str(graph))
