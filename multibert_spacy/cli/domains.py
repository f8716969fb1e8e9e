"""The `domains` command prints what a pipeline knows."""

import json
from typing import Annotated, Any

import typer

from .group import Model, load_pipeline, multibert, printer, readable_errors, tagger_of

__all__ = ["describe_domains", "domains_command"]


@multibert.command("domains")
def domains_command(
    model: Model,
    as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
) -> None:
    """List the domains of a pipeline, with their heads and labels."""
    with readable_errors():
        domains = describe_domains(load_pipeline(model))
    if as_json:
        typer.echo(json.dumps(domains, ensure_ascii=False, indent=1))
        return
    rows = [
        (own["name"], own["head"], " ".join(own["labels"]), "yes" if own["detected"] else "no")
        for own in domains
    ]
    printer().table(rows, header=("domain", "head", "labels", "detected"), divider=True)


def describe_domains(nlp: Any) -> list[dict[str, Any]]:
    """Describe the domains of a pipeline.

    nlp (Language): A pipeline.
    RETURNS (list[dict]): For each domain its `name`, `head`, `labels` and whether a component
        chooses it by itself (`detected`).
    RAISES (ConfigError): If the pipeline has no tagger.
    """
    tagger = tagger_of(nlp)
    chosen = {
        label
        for name, proc in nlp.pipeline
        if "doc._.domain" in nlp.get_pipe_meta(name).assigns
        for label in getattr(proc, "labels", ())
    }
    return [
        {
            "name": name,
            "head": tagger.model.module.head_name(name),
            "labels": list(tagger.labels_of(name)),
            "detected": name in chosen,
        }
        for name in tagger.domains
    ]
