"""`add`: a pipeline with a further domain, learnt from annotated texts."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .group import Model, Out, changed_pipeline, multibert, names_in, printer

__all__ = ["add_command"]


@multibert.command("add")
def add_command(
    model: Model,
    name: Annotated[str, typer.Argument(help="Of the new domain", show_default=False)],
    train: Annotated[
        Path, typer.Argument(help="A .spacy file or a folder of them", show_default=False)
    ],
    out: Out,
    dev: Annotated[
        Path | None, typer.Option(help="Other texts, to choose by and to score")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Its own labels, with commas; else those of the start")
    ] = None,
    start: Annotated[str, typer.Option(help="Domain to start from; auto is the best")] = "auto",
    description: Annotated[
        str | None, typer.Option(help="What belongs to it, in a sentence: for the detector")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates; else by the number of texts")] = None,
    no_detect: Annotated[
        bool, typer.Option("--no-detect", help="It is used only where it is given")
    ] = False,
) -> None:
    """Learn a domain and write the pipeline with it. The other domains stay bit for bit."""
    from ..domains.add import add_domain

    with changed_pipeline(model, out) as nlp:
        scores = add_domain(
            nlp,
            name,
            train,
            dev=dev,
            labels=names_in(labels),
            start=start,
            description=description,
            steps=steps,
            detect=not no_detect,
        )
    if scores["stopped"] is not None:
        kept = f"what was best so far is kept, that of step {scores['step']}"
        printer().warn(f"Stopped at step {scores['stopped']}: {kept}")
    printer().good(f"{out} has the domain {name!r}, {_told(scores)}")


def _told(scores: dict[str, Any]) -> str:
    """Say in a few words what was learnt."""
    parts = [f"head {scores['head']} ({' '.join(scores['labels'])})", f"start {scores['start']}"]
    if scores["ents_f"] is not None:
        parts.append(f"F1 on dev {100 * scores['ents_f']:.1f}")
    return ", ".join([*parts, f"{scores['minutes']:.1f} minutes"])
