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

from multibert_spacy.errors import AdapterError
from multibert_spacy.models.manifest import read_json, write_json
from multibert_spacy.models.storage import MANIFEST, SETTINGS

from ..domains import CorpusEntry
from ..record import cite
from .sources import SHIPPED, corpora_of, licence_of_weights

__all__ = [
    "app",
    "card",
    "detector_card",
    "learned_from",
    "round_to_half",
    "ship",
    "stamp",
    "write_cards",
]

app = typer.Typer(add_completion=False)
console = Console()


def round_to_half(
    nlp: Language, names: Sequence[str] = ("multibert_ner", "domain_detector")
) -> None:
    """Round what is trained (adapters, heads, detector) to fp16, in which it is then stored.

    nlp (Language): The pipeline.
    names (Sequence[str]): Its components on the core.
    """
    for name in names:
        for parameter in nlp.get_pipe(name).model.module.parameters():
            parameter.data = parameter.data.half().float()


def card(name: str, folder: Path, scores: dict[str, Any], source: str) -> str:
    """The model card of one adapter.

    name (str): The domain.
    folder (Path): Of the adapter.
    scores (dict): Of the domain, from the report of `scripts.build.evaluate`.
    source (str): Command, commit, seed and split of the scores.
    RETURNS (str): Markdown.
    """
    manifest = json.loads((folder / "multibert.json").read_text(encoding="utf8"))
    corpora = corpora_of(name)
    low, high = scores["f_interval"]
    types = [
        f"| {label} | {100 * s['f']:.1f} |" if s["f"] is not None else f"| {label} | - |"
        for label, s in sorted(scores["per_type"].items())
    ]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"A {manifest['kind']} adapter with the head `{manifest['head']}` for the core "
            f"`{manifest['core'][:16]}` (SHA-256 of its weights; the embedded core of "
            "multibert-spacy).",
            "",
            f"- Labels: {', '.join(manifest['labels'])}",
            f"- Learned from: {learned_from(corpora)}",
            f"- Licence of these weights: {licence_of_weights(corpora)}",
            f"- Test F1 (strict spans): {100 * scores['f']:.1f} "
            f"(95 % interval {100 * low:.1f}-{100 * high:.1f}), P {100 * scores['p']:.1f}, "
            f"R {100 * scores['r']:.1f}",
            f"- Scored by: {source}",
            "",
            "| type | F1 |",
            "|---|---|",
            *types,
            "",
        ]
    )


def learned_from(corpora: Sequence[CorpusEntry]) -> str:
    """RETURNS (str): The corpora, each with what it is and its licence."""
    listed = "; ".join(
        f"{corpus.name} ({corpus.what}; licence: {corpus.licence})" for corpus in corpora
    )
    return f"the train and dev parts of {listed}"


def detector_card(labels: Sequence[str], scores: dict[str, Any], source: str) -> str:
    """labels (Sequence[str]): The domains. scores (dict): Of the detector, raw and masked.
    RETURNS (str): Markdown.
    """
    raw, masked = scores["raw"], scores["masked"]
    return "\n".join(
        [
            "# detector",
            "",
            f"Domains: {', '.join(labels)}.",
            "",
            f"- Learned from: {learned_from(SHIPPED)}",
            f"- Licence of these weights: {licence_of_weights(SHIPPED)}",
            "",
            "| texts per group | accuracy | without Latin, digits, hashtags, mentions, links |",
            "|---|---|---|",
            *(
                f"| {size} | {raw[size]['accuracy']:.3f} | {masked[size]['accuracy']:.3f} |"
                for size in raw
                if size.isdigit()
            ),
            "",
            f"Scored by: {source}",
            "",
        ]
    )


def ship(nlp: Language, out: Path) -> None:
    """Write all folders.

    nlp (Language): A pipeline with detector and tagger; its weights are rounded to fp16.
    out (Path): Gets `domains/` and `detector/`.
    """
    round_to_half(nlp)
    tagger: Any = nlp.get_pipe("multibert_ner")
    for domain in tagger.domains:
        tagger.model.write_domain(domain, out / "domains" / domain)
    nlp.get_pipe("domain_detector").to_disk(out / "detector")


def write_cards(report: dict[str, Any], out: Path) -> None:
    """Write a model card into each folder.

    report (dict): What `scripts.build.evaluate` wrote about the pipeline built from them.
    out (Path): With `domains/` and `detector/`.
    """
    source = f"{cite(report)} part"
    domains = sorted(path for path in (out / "domains").iterdir() if path.is_dir())
    for folder in domains:
        scores = report["given"]["per_domain"][folder.name]
        text = card(folder.name, folder, scores, source)
        (folder / "README.md").write_text(text, encoding="utf8")
    labels = json.loads((out / "detector" / "cfg").read_text(encoding="utf8"))["labels"]
    text = detector_card(labels, report["detector"], source)
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


def stamp(nlp: Language, out: Path) -> list[str]:
    """Say in each manifest, as `nlp.to_disk` does, what settings of the core its weights need.

    nlp (Language): The pipeline that was scored with these very adapters.
    out (Path): With `domains/` and `detector/`.
    RETURNS (list[str]): The folders that did not say it yet.
    """
    transformer: Any = nlp.get_pipe("transformer")
    done = []
    for folder in [*sorted((out / "domains").iterdir()), out / "detector" / "adapter"]:
        path = folder / MANIFEST
        manifest = read_json(path, AdapterError)
        if manifest["core"] != transformer.fingerprint:
            raise AdapterError(f"{folder} was made for another core than the pipeline's")
        if SETTINGS not in manifest:
            write_json(path, manifest | {SETTINGS: transformer.core.settings})
            done.append(folder.name)
    return done


@app.command()
def settings(
    model: Annotated[Path, typer.Argument(help="Folder of the pipeline built from them.")],
    to: To = Path("assets/adapters"),
) -> None:
    """Add the core's settings to manifests of version 0.1.0."""
    console.print(f"{to}: {', '.join(stamp(spacy.load(model), to)) or 'nothing to add'}")


@app.command()
def cards(
    metrics: Annotated[Path, typer.Option(help="What scripts.build.evaluate wrote.")],
    to: To = Path("assets/adapters"),
) -> None:
    """Write the model cards."""
    write_cards(json.loads(metrics.read_text(encoding="utf8")), to)


if __name__ == "__main__":
    app()
