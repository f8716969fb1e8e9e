"""Table 2: parameters, what is trained of them, and megabytes on disk, of each system.

    python -m scripts.experiments.sizes --core assets/core --adapters assets/adapters/domains

Computed from the settings of the core, for the embedded core and for the paper's ParsBERT (from
its published settings; nothing is downloaded). What is shipped is measured on disk as well: the
whole folder of a domain with its settings, manifest and card.

A pooler, which no system here uses, is not counted; nor is the domain detector.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from multibert_spacy.errors import ConfigError
from multibert_spacy.models.adapters import ALL_LINEAR

from ..domains import HEADS, LABELS
from ..record import command_line, commit, readable_errors, save

__all__ = ["PARSBERT", "Shape", "app", "measure_sizes"]

app = typer.Typer(add_completion=False)
console = Console()

PAPER_TARGETS = ("attention.self.query", "attention.self.value")
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
        try:
            config = json.loads(path.read_text(encoding="utf8"))
        except (OSError, ValueError) as err:
            raise ConfigError(f"{path} cannot be read: {err}") from err
        return cls(
            config["num_hidden_layers"],
            config["hidden_size"],
            config["intermediate_size"],
            config["vocab_size"],
            config["max_position_embeddings"],
            config["type_vocab_size"],
        )

    @property
    def core(self) -> int:
        """Parameters of the core: embeddings and layers, each with its norms, no pooler."""
        h, f = self.width, self.inner
        embeddings = (self.vocabulary + self.positions + self.types) * h + 2 * h
        layer = 4 * (h * h + h) + (h * f + f) + (f * h + h) + 2 * 2 * h
        return embeddings + self.layers * layer

    def lora(self, rank: int, targets: Sequence[str] = ALL_LINEAR) -> int:
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


def _systems(shape: Shape, adapters: dict[str, int]) -> dict[str, Any]:
    """RETURNS (dict): System -> its sizes.
    adapters (dict): Name of a system -> parameters of its adapter.
    """
    heads = {name: shape.head(len(labels)) for name, labels in LABELS.items()}
    shared = sum(heads.values())
    own_heads = sum(heads[name] * len(domains) for name, domains in HEADS.items())
    n = sum(map(len, HEADS.values()))
    head = heads["formal"]
    whole = shape.core + head
    systems = {
        "general": {
            "parameters": whole,
            "parameters_for_domains": len(HEADS) * shape.core + shared,
            "trained_share": 1.0,
            "megabytes_per_further_domain": 0.0,
            "of": "computed: one model per label scheme, trained again for a further domain",
        },
        "special": {
            "parameters": whole,
            "parameters_for_domains": n * shape.core + own_heads,
            "trained_share": 1.0,
            "megabytes_per_further_domain": BYTES * whole / 1e6,
            "of": "computed: core and head in fp16",
        },
    }
    for name, adapter in adapters.items():
        systems[name] = {
            "parameters": whole + adapter,
            "parameters_for_domains": shape.core + shared + n * adapter,
            "trained_share": adapter / (whole + adapter),
            "megabytes_per_further_domain": BYTES * (adapter + head) / 1e6,
            "of": "computed: adapter and head in fp16",
        }
    return systems


def _shipped(folder: Path, shape: Shape) -> dict[str, Any]:
    """RETURNS (dict): Name -> sizes of the adapters that are there, measured; empty if none is."""
    domains = sorted(path for path in folder.glob("*") if (path / "multibert.json").is_file())
    if not domains:
        return {}
    config = json.loads((domains[0] / "adapter_config.json").read_text(encoding="utf8"))
    if config["peft_type"] == "LORA":
        targets = sorted({site.split(".", 3)[-1] for site in config["target_modules"]})
        name, adapter = f"multi-lora, r = {config['r']}", shape.lora(config["r"], targets)
    else:
        length = config["num_virtual_tokens"]
        name, adapter = f"multi-prefix of {length}", shape.prefix(length)
    files = [sum(p.stat().st_size for p in path.iterdir() if p.is_file()) for path in domains]
    own = _systems(shape, {name: adapter})[name]
    own["megabytes_per_further_domain"] = sum(files) / len(files) / 1e6
    own["of"] = f"measured: folders of the {len(domains)} shipped domains, mean"
    return {f"{name} (shipped)": own}


def measure_sizes(core: Path, adapters: Path) -> dict[str, Any]:
    """Compute and measure.

    core (Path): Folder of the embedded core.
    adapters (Path): Folder with a folder per shipped domain; what is not there is left out.
    RETURNS (dict): "n_domains", and "cores", each with "title", "parameters" and "systems".
    """
    shape = Shape.from_config(core / "config.json")
    cores: dict[str, Any] = {}
    for name, title, own in (
        ("embedded", "embedded core", shape),
        ("parsbert", "ParsBERT (the paper's)", PARSBERT),
    ):
        settings = {
            "multi-lora, r = 3 on query and value (the paper's)": own.lora(3, PAPER_TARGETS),
            "multi-lora, r = 16": own.lora(16),
            "multi-prefix of 22 (the paper's)": own.prefix(22),
        }
        cores[name] = {
            "title": title,
            "parameters": own.core,
            "systems": _systems(own, settings),
        }
    cores["embedded"]["systems"] |= _shipped(adapters, shape)
    return {"n_domains": sum(map(len, HEADS.values())), "cores": cores}


def _print_report(report: dict[str, Any]) -> None:
    table = Table(title="Millions of parameters, share that is trained, MB of a further domain")
    for column in ("core", "system", "one domain", "all domains", "trained", "MB"):
        table.add_column(column, justify="left" if column in ("core", "system") else "right")
    for core in report["cores"].values():
        for name, own in core["systems"].items():
            table.add_row(
                core["title"],
                name,
                f"{own['parameters'] / 1e6:,.2f}",
                f"{own['parameters_for_domains'] / 1e6:,.2f}",
                f"{100 * own['trained_share']:.2f}%",
                f"{own['megabytes_per_further_domain']:,.2f}",
            )
    console.print(table)


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
    origin = {
        "command": command_line("scripts.experiments.sizes"),
        "commit": commit(),
        "seed": "none",
    }
    report = {**origin, "split": "no data", **sizes}
    save(report, metrics)
    _print_report(report)


if __name__ == "__main__":
    app()
