"""Put the trained adapters and the detector of a pipeline where they are published from.

    python -m scripts.build.ship folders training/persian/fa_multibert
    python -m scripts.build.ship cards --metrics metrics/persian/pretrained.json

`folders` writes `domains/<name>/` (PEFT's two files, head, manifest) and `detector/`, in fp16.
`cards` writes a model card into each: data, its licence, scores, and the hash of the core. In
between `fa_multibert` is built from them and scored, so that the scores are of what is shipped.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from spacy.language import Language

from ..domains import DOMAINS
from ..record import cite, replaced
from .sources import corpora_of, render

__all__ = ["app", "card", "detector_card", "round_to_half", "ship", "write_cards"]

app = typer.Typer(add_completion=False)
console = Console()


def round_to_half(
    nlp: Language, names: Sequence[str] = ("multibert_ner", "domain_detector")
) -> None:
    """Round what is trained (adapters, heads, detector) to fp16, in which it is then stored."""
    for name in names:
        for parameter in nlp.get_pipe(name).model.module.parameters():
            parameter.data = parameter.data.half().float()


def card(name: str, folder: Path, scores: dict[str, Any], source: str) -> str:
    """The model card of one adapter.

    scores (dict): Of the domain, from the report of `scripts.build.evaluate`.
    source (str): Command, commit, seed and split of the scores.
    """
    manifest = json.loads((folder / "multibert.json").read_text(encoding="utf8"))
    about = {"manifest": manifest, "scores": scores, "source": source}
    own = DOMAINS[name].corpus
    return render("adapter.md", name=name, own=own, corpora=corpora_of(name), **about)


def detector_card(labels: Sequence[str], scores: dict[str, Any], source: str) -> str:
    """The model card of a detector. scores (dict): See `score_detection`."""
    about = {"labels": labels, "scores": scores, "source": source}
    return render("detector.md", corpora=corpora_of(*labels), **about)


def ship(nlp: Language, out: Path) -> None:
    """Write all folders, in place of those that are there; equal adapters once.

    nlp (Language): A pipeline with detector and tagger; its weights are rounded to fp16.
    """
    round_to_half(nlp)
    tagger: Any = nlp.get_pipe("multibert_ner")
    tagger.model.descriptions = {name: own.description for name, own in DOMAINS.items()}
    with replaced(out / "domains") as draft:
        tagger.model.write_domains(draft, once=True)
    nlp.get_pipe("domain_detector").to_disk(out / "detector")


def write_cards(report: dict[str, Any], detection: dict[str, Any], out: Path) -> None:
    """Write a model card into each folder.

    report (dict): What `scripts.build.evaluate` wrote about the pipeline built from them.
    detection (dict): What `scripts.experiments.detection` wrote about its detector.
    """
    source = f"{cite(report)} part"
    domains = sorted(path for path in (out / "domains").iterdir() if path.is_dir())
    for folder in domains:
        scores = report["given"]["per_domain"][folder.name]
        text = card(folder.name, folder, scores, source)
        (folder / "README.md").write_text(text, encoding="utf8")
    labels = json.loads((out / "detector" / "cfg").read_text(encoding="utf8"))["labels"]
    scores, source = detection["detectors"]["mixture"], f"{cite(detection)} part"
    text = detector_card(labels, scores, source)
    (out / "detector" / "README.md").write_text(text, encoding="utf8")


To = Annotated[Path, typer.Option(help="Folder of the shipped adapters.")]


@app.command()
def folders(
    model: Annotated[Path, typer.Argument(help="Folder of the pipeline.")],
    to: To = Path("assets/adapters"),
) -> None:
    """Write the adapters and the detector in fp16."""
    ship(spacy.load(model), to)
    files = [path for path in to.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    console.print(f"{to}: {len(files)} files, {size:.1f} MB")


@app.command()
def cards(
    metrics: Annotated[Path, typer.Option(help="What scripts.build.evaluate wrote.")],
    detection: Annotated[
        Path, typer.Option(help="What scripts.experiments.detection wrote.")
    ] = Path("metrics/detection.json"),
    to: To = Path("assets/adapters"),
) -> None:
    """Write the model cards."""
    reports = (json.loads(path.read_text(encoding="utf8")) for path in (metrics, detection))
    write_cards(*reports, to)


if __name__ == "__main__":
    app()
