"""Put the trained adapters and the detector of a pipeline where they are published from.

    python -m scripts.build.ship folders training/persian/fa_multibert
    python -m scripts.build.ship cards --metrics metrics/persian/pretrained.json

`folders` writes `domains/<name>/` (PEFT's two files, head, manifest) and `detector/`, in fp16.
`cards` writes a model card into each: data, its licence, scores, and the hash of the core. In
between `fa_multibert` is built from them and scored, so that the scores are of what is shipped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import spacy
import srsly
import typer
from rich.console import Console
from spacy.language import Language

from ..domains import DOMAINS
from ..record import cite, replaced
from .sources import corpora_of, render

__all__ = ["app", "detector_card", "round_to_half", "ship", "write_cards"]

app = typer.Typer(add_completion=False)
console = Console()


def round_to_half(
    nlp: Language, names: Sequence[str] = ("multibert_ner", "domain_detector")
) -> None:
    """Round what is trained (adapters, heads, detector) to fp16, in which it is then stored."""
    for name in names:
        for parameter in nlp.get_pipe(name).model.module.parameters():
            parameter.data = parameter.data.half().float()


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
    for path in sorted((out / "domains").glob("*/multibert.json")):
        name, about = path.parent.name, {"manifest": srsly.read_json(path), "source": source}
        about |= {"own": DOMAINS[name].corpus, "corpora": corpora_of(name)}
        text = render("adapter.md", name=name, scores=report["given"]["per_domain"][name], **about)
        path.with_name("README.md").write_text(text, encoding="utf8")
    labels = srsly.read_json(out / "detector" / "cfg")["labels"]
    scores, source = detection["detectors"]["mixture"], f"{cite(detection)} part"
    text = detector_card(labels, scores, source)
    (out / "detector" / "README.md").write_text(text, encoding="utf8")


DETECTION = Path("metrics/detection.json")
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
    detection: Annotated[Path, typer.Option(help="Of the detector.")] = DETECTION,
    to: To = Path("assets/adapters"),
) -> None:
    """Write the model cards."""
    write_cards(srsly.read_json(metrics), srsly.read_json(detection), to)


if __name__ == "__main__":
    app()
