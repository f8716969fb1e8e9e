"""Make the OpenVINO graphs of a pipeline in its folder, before they are needed.

    python -m scripts.graph training/pretrained/fa_multibert --precision int8
    python -m scripts.graph MODEL --precision int8 --texts own.txt

Otherwise they are made when a pipeline with `engine = "openvino"` first tags a text. An int8 graph
is calibrated on our own sentences, or on those in a file, one a line.
"""

from pathlib import Path
from typing import Annotated, Any

import spacy
import torch
import typer
from rich.console import Console

from multibert_spacy.errors import ConfigError
from multibert_spacy.models.bank import Bank
from multibert_spacy.models.classifier import ClassifierModel
from multibert_spacy.models.openvino_graph import keep_graph
from multibert_spacy.models.tagger_model import TaggerModel

from .record import readable_errors
from .sampling.generate import make_texts

__all__ = ["app", "make_calibration", "make_graphs"]

app = typer.Typer(add_completion=False, help=__doc__)
console = Console()

PER_DOMAIN = 8


def make_graphs(folder: Path, *, precision: str, texts: list[str] | None = None) -> list[Path]:
    """Make the graphs of all components that run the core.

    folder (Path): The pipeline, which is not changed otherwise.
    precision (str): "int8", or any other: fp32 and bf16 share a graph.
    texts (list[str]): For int8: words between spaces; None takes our own.
    RETURNS (list[Path]): Where they are kept.
    RAISES (ConfigError): If no component runs a core.
    """
    settings = {"engine": "openvino", "precision": precision}
    nlp = spacy.load(folder, config={"components": {"transformer": settings}})
    kept = []
    for name, proc in nlp.pipeline:
        model: Any = getattr(proc, "model", None)
        if not isinstance(model, TaggerModel | ClassifierModel):
            continue
        detector = isinstance(model, ClassifierModel)
        adapters = [model.module.adapter] if detector else model.module.adapters
        n_layers = model.module.n_layers if detector else None
        bank = Bank(adapters, torch.float32)
        keep_graph(model.listener.core, bank, n_layers, model.module.graph, texts)
        kept.append(model.module.graph)
        console.print(f"{name}: {model.module.graph}")
    if not kept:
        raise ConfigError(f"{folder} has no component that runs a core, but {nlp.pipe_names}")
    return kept


def make_calibration(seed: int = 7) -> list[str]:
    """RETURNS (list[str]): Sentences of the sample corpus, the domains in turn."""
    by_domain: dict[str, list[str]] = {}
    for text in make_texts(seed, scale=0.3)["train"]:
        words = " ".join(token.text for token in text.tokens)
        by_domain.setdefault(text.domain, []).append(words)
    return [by_domain[name][i] for i in range(PER_DOMAIN) for name in sorted(by_domain)]


@app.command(help=__doc__)
def main(
    model: Annotated[Path, typer.Argument(help="Folder of a pipeline.")],
    precision: Annotated[str, typer.Option(help="int8, bf16 or fp32.")] = "int8",
    texts: Annotated[Path | None, typer.Option(help="Text for int8, a sentence a line.")] = None,
) -> None:
    with readable_errors(ValueError):
        lines = texts.read_text("utf8").splitlines() if texts else None
        make_graphs(model, precision=precision, texts=lines)


if __name__ == "__main__":
    app()
