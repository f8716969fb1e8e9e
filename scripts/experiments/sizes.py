"""Table 2: parameters, what is trained of them, and megabytes on disk, of each system.

    python -m scripts.experiments.sizes --core assets/core --adapters assets/adapters/domains

Computed from the settings of the core, for the embedded core and for the paper's ParsBERT (from
its published settings; nothing is downloaded). What is shipped is measured on disk as well: the
whole folder of a domain with its settings, manifest and card.

A pooler, which no system here uses, is not counted; nor is the domain detector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from rich.console import Console

from multibert_spacy.core.families.bert import BERT
from multibert_spacy.errors import ConfigError

from ..domains import DOMAINS, HEADS, LABELS
from ..record import command_line, commit, readable_errors, save, table

app = typer.Typer(add_completion=False)

BYTES = 2
"""Of a number in fp16."""


@dataclass(frozen=True)
class Shape:
    """What a BERT's size follows from."""

    layers: int
    width: int
    inner: int
    vocabulary: int
    positions: int = 512
    types: int = 2

    @classmethod
    def from_config(cls, path: Path) -> "Shape":
        """path (Path): A Hugging Face config.json.
        RETURNS (Shape): Its shape.
        RAISES (ConfigError): If it cannot be read.
        """
        names = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")
        names += ("max_position_embeddings", "type_vocab_size")
        try:
            config = srsly.read_json(path)
            return cls(*(config[name] for name in names))
        except (OSError, ValueError, KeyError) as err:
            raise ConfigError(f"{path} cannot be read: {err}") from err

    @property
    def core(self) -> int:
        """Parameters of the core: embeddings and layers, each with its norms, no pooler."""
        h, f = self.width, self.inner
        embeddings = (self.vocabulary + self.positions + self.types) * h + 2 * h
        layer = 4 * (h * h + h) + (h * f + f) + (f * h + h) + 2 * 2 * h
        return embeddings + self.layers * layer

    def lora(self, rank: int, targets: Sequence[str] = BERT.sites) -> int:
        """Parameters of a LoRA adapter on these linear layers of every layer."""
        h, f = self.width, self.inner
        sizes = {"intermediate.dense": h + f, "output.dense": f + h}
        return self.layers * sum(rank * sizes.get(target, 2 * h) for target in targets)

    def prefix(self, n_virtual: int) -> int:
        """Parameters of a prefix: keys and values of every layer; a projection network is folded
        away once it is trained.
        """
        return n_virtual * self.layers * 2 * self.width

    def head(self, labels: int) -> int:
        """Parameters of a head: a linear layer to O and each label's B and I, and transitions."""
        n_tags = 2 * labels + 1
        return (self.width + 1 + n_tags) * n_tags


PARSBERT = Shape(layers=12, width=768, inner=3072, vocabulary=100_000)
"""HooshvareLab/bert-fa-base-uncased, as its publishers describe it."""


def _system(whole: int, everything: int, share: float, megabytes: float) -> dict[str, Any]:
    return {
        "parameters": whole,
        "parameters_for_domains": everything,
        "trained_share": share,
        "megabytes_per_further_domain": megabytes,
    }


def _systems(shape: Shape, adapters: dict[str, int]) -> dict[str, Any]:
    """adapters (dict): Name of a system -> parameters of its adapter.
    RETURNS (dict): System -> its sizes.
    """
    heads = {name: shape.head(len(labels)) for name, labels in LABELS.items()}
    own_heads = sum(heads[domain.head] for domain in DOMAINS.values())
    shared, n, head = sum(heads.values()), len(DOMAINS), heads["formal"]
    whole = shape.core + head
    systems = {
        "general": _system(whole, len(HEADS) * shape.core + shared, 1.0, 0.0),
        "special": _system(whole, n * shape.core + own_heads, 1.0, BYTES * whole / 1e6),
    }
    for name, adapter in adapters.items():
        systems[name] = _system(
            whole + adapter,
            shape.core + shared + n * adapter,
            adapter / (whole + adapter),
            BYTES * (adapter + head) / 1e6,
        )
    return systems


def _shipped(folder: Path, shape: Shape) -> dict[str, Any]:
    """RETURNS (dict): Name -> sizes of the adapters that are there, measured; empty if none is."""
    domains = sorted(path for path in folder.glob("*") if (path / "multibert.json").is_file())
    if not domains:
        return {}
    config = srsly.read_json(domains[0] / "adapter_config.json")
    if config["peft_type"] == "LORA":
        targets = sorted({site.split(".", 3)[-1] for site in config["target_modules"]})
        name, adapter = f"multi-lora, r = {config['r']}", shape.lora(config["r"], targets)
    else:
        length = config["num_virtual_tokens"]
        name, adapter = f"multi-prefix of {length}", shape.prefix(length)
    files = [sum(p.stat().st_size for p in path.iterdir() if p.is_file()) for path in domains]
    own = _systems(shape, {name: adapter})[name]
    own["megabytes_per_further_domain"] = sum(files) / len(files) / 1e6
    return {f"{name} (shipped)": own}


def measure_sizes(core: Path, adapters: Path) -> dict[str, Any]:
    """core, adapters (Path): Folders of the embedded core and of the shipped domains, if any.
    RETURNS (dict): "n_domains", and "cores", each with "title", "parameters" and "systems".
    """
    shape = Shape.from_config(core / "config.json")
    cores: dict[str, Any] = {}
    for name, title, own in (
        ("embedded", "embedded core", shape),
        ("parsbert", "ParsBERT (the paper's)", PARSBERT),
    ):
        settings = {
            "multi-lora, r = 3 on query and value (the paper's)": own.lora(3, BERT.query_value),
            "multi-lora, r = 16": own.lora(16),
            "multi-prefix of 22 (the paper's)": own.prefix(22),
        }
        systems = _systems(own, settings)
        cores[name] = {"title": title, "parameters": own.core, "systems": systems}
    cores["embedded"]["systems"] |= _shipped(adapters, shape)
    return {"n_domains": len(DOMAINS), "cores": cores}


@app.command(help=__doc__)
def main(
    core: Annotated[Path, typer.Option(help="Folder of the embedded core.")] = Path("assets/core"),
    adapters: Annotated[Path, typer.Option(help="Folder of the shipped domains.")] = Path(
        "assets/adapters/domains"
    ),
    metrics: Annotated[Path, typer.Option(help="JSON file.")] = Path("metrics/sizes.json"),
) -> None:
    with readable_errors():
        sizes = measure_sizes(core, adapters)
    origin = {"command": command_line("scripts.experiments.sizes"), "commit": commit()}
    save({**origin, "seed": "none", "split": "no data", **sizes}, metrics)
    rows = [
        {"core": one["title"], "system": name, **own}
        for one in sizes["cores"].values()
        for name, own in one["systems"].items()
    ]
    Console().print(table("Sizes", rows))


if __name__ == "__main__":
    app()
