"""The mean of several checkpoints of step one, weight by weight.

    python -m scripts.build.average training/persian/pretrain/social/model-best \
        training/round3/pretrain/social/model-best --out training/round3/mean/social

Runs that went on from the same adapter stay near each other, and the mean of their weights is
mostly better than each (Wortsman et al. 2022, "Model soups"), at the price of none. A run from
another start value is elsewhere: its mean with others is worth nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import spacy
import torch
import typer
from rich.console import Console
from spacy.language import Language

from multibert_spacy.errors import ConfigError

from ..record import readable_errors

__all__ = ["average"]

console = Console()


def average(folders: Sequence[Path]) -> Language:
    """folders (Sequence[Path]): Pipelines with a tagger of the same domains, labels and adapters.
    RETURNS (Language): The first one, with the mean of all weights of adapters and heads.
    RAISES (ConfigError): If the taggers are not of one shape.
    """
    nlp, *others = (spacy.load(folder) for folder in folders)
    module: Any = nlp.get_pipe("multibert_ner").model.module.float()
    own: dict[str, torch.Tensor] = module.state_dict()
    states = [own]
    for folder, other in zip(folders[1:], others, strict=True):
        tagger: Any = other.get_pipe("multibert_ner")
        states.append(tagger.model.module.state_dict())
        same_shapes = _shapes(states[-1]) == _shapes(own)
        same_labels = all(
            tagger.labels_of(domain) == module.labels_of(domain)
            for domain in module.domains
            if domain in tagger.domains
        )
        if not (same_shapes and same_labels):
            raise ConfigError(
                f"The tagger in {folder} is not of the shape of that in {folders[0]}"
            )
    mean = {name: torch.stack([state[name].float() for state in states]).mean(0) for name in own}
    module.load_state_dict(mean)
    module.weights_changed()
    return nlp


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def main(
    folders: Annotated[list[Path], typer.Argument(help="Saved pipelines, two or more")],
    out: Annotated[Path, typer.Option(help="Folder of the new pipeline")],
) -> None:
    """Write the mean of several checkpoints of step one."""
    with readable_errors(ConfigError):
        nlp = average(folders)
        out.parent.mkdir(parents=True, exist_ok=True)
        nlp.to_disk(out)
    console.print(f"{out}: the mean of {len(folders)} checkpoints")


if __name__ == "__main__":
    typer.run(main)
