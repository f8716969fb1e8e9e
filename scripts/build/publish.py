"""Make an assembled pipeline fit to be given away.

    python -m scripts.build.publish training/pretrained/fa_multibert --corpus persian \
        --metrics metrics/persian/pretrained.json

After `spacy assemble`, `config.cfg` still says where its parts lay on the machine that built it,
and `nlp.initialize()` would look for them on the user's: those settings go. `meta.json` says what
it is, learned from, and how good it is, in `notes` as well, since `spacy info` shows no
`performance`. `spacy package` takes `README.md`, `LICENSE` and `LICENSES_SOURCES` from here.

The pipeline is loaded and saved anew, into a draft that then takes its place: its core's manifest
holds the hash of `config.cfg`, and every part of a saved pipeline is of one saving.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import spacy
import srsly
import typer
from rich.console import Console
from spacy.cli.package import generate_readme
from spacy.language import Language

from multibert_spacy.errors import ConfigError

from ..domains import DOMAINS
from ..record import readable_errors, replaced
from .sources import CORE, SAMPLE, corpora_of, licence_of_weights, render, source

console = Console()

OWN_PATHS = {"train": None, "dev": None, "vectors": None, "init_tok2vec": None}
"""What spaCy's default config has in `[paths]`."""
TRANSFORMER = "spacy-transformers.TransformerModel."
LICENCE = Path(__file__).resolve().parents[2] / "LICENSE"

Report = Mapping[str, Any]
Trained = Literal["persian", "sample"]


def drop_paths(nlp: Language, package: str) -> None:
    """Take out of a pipeline's config what its parts were read from when it was made.

    The pipeline holds these parts, so that nothing is lost. `[paths]` keeps the names that spaCy's
    own sections refer to; the core's name becomes the package's, whose own core it then is, since
    a name on the hub would be fetched.

    package (str): What it will be installed as.
    RAISES (ConfigError): If a path is left all the same, in a setting that is not known here.
    """
    config = nlp.config
    config["paths"] = dict(OWN_PATHS)
    config["initialize"]["components"] = {}
    for name in nlp.component_names:
        model = nlp.get_pipe_config(name).get("model")
        if isinstance(model, dict) and str(model.get("@architectures")).startswith(TRANSFORMER):
            model["name"] = package
    if left := dict(find_paths(nlp.config.interpolate())):
        raise ConfigError(
            f"The config still names files: {left}. Set them to null before the pipeline is saved"
        )


def find_paths(config: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, str]]:
    """YIELDS (tuple): Setting and value, of every string with a slash in it: no name of a
    function, a label or a layer has one, and every path to another folder has.
    """
    for key, value in config.items():
        name = f"{section}.{key}" if section else str(key)
        if isinstance(value, Mapping):
            yield from find_paths(value, name)
            continue
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, str | Path) and ("/" in str(item) or "\\" in str(item)):
                yield name, str(item)


def performance(report: Report) -> dict[str, Any]:
    """The scores, under the names that spaCy's scorers give them.

    report (Report): Of `scripts.build.evaluate`: the domains detected, in groups of 8 texts.
    RETURNS (dict): ents_f, ents_p, ents_r, ents_macro_f, ents_per_type, ents_per_domain (its
        texts under the detected domains) and domain_acc; ents_f_given where domains are given.
    """
    found, given = report["detected"], report["given"]
    scores: dict[str, Any] = {f"ents_{key}": found["micro"][key] for key in "fpr"}
    scores |= {"ents_macro_f": found["macro"]["f"], "ents_f_given": given["micro"]["f"]}
    for key in ("per_type", "per_domain"):
        rows = sorted(found[key].items())
        scores[f"ents_{key}"] = {own: {k: row[k] for k in "prf"} for own, row in rows}
    scores["domain_acc"] = found["domain_acc"]
    return scores


def build_meta(
    nlp: Language, corpus: str, *, version: str, n_bytes: int, report: Report | None = None
) -> dict[str, Any]:
    """What `nlp.meta` is to say.

    corpus (str): "persian" or "sample": what it was trained on.
    report (Report): See `performance`; None for a pipeline that was not scored.
    """
    tagger: Any = nlp.get_pipe("multibert_ner")
    known = (name for name in tagger.domains if name in DOMAINS)
    corpora = [SAMPLE] if corpus == "sample" else corpora_of(*known)
    weights = licence_of_weights(corpora)
    size = {"megabytes": round(n_bytes / 1e6, 1)}
    meta: dict[str, Any] = {
        "name": "multibert",
        "version": version,
        "description": (
            f"Named entities in Persian texts of {len(tagger.domains)} domains: one frozen "
            "transformer, one small adapter per domain, and a detector of the domain of a group "
            f"of texts. Domains: {', '.join(sorted(tagger.domains))}."
        ),
        "author": "multibert_spacy",
        "email": "",
        "url": "",
        "license": "MIT" if weights == "MIT" else f"Code: MIT. Weights: {weights}",
        "sources": [*CORE, *map(source, corpora)],
        "size": f"{size['megabytes']} MB",
        "notes": "",
        "performance": {},
    }
    if report is not None:
        scores = performance(report)
        meta["performance"] = {**scores, "size": size}
        notes = render("notes", scores=scores, report=report)
        meta["notes"] = " ".join(notes.split())
    return meta


def texts_of(meta: Mapping[str, Any]) -> dict[str, str]:
    """RETURNS (dict): Name of a file -> what holds for the whole and then the code's licence, the
    sources, as spaCy's own pipelines have them, and spaCy's card with a word on how to begin.
    """
    mit = LICENCE.read_text(encoding="utf8")
    card = generate_readme({key: own for key, own in meta.items() if key != "url" or own}).strip()
    names = ("LICENSE", "LICENSES_SOURCES", "README.md")
    return {name: render(name, meta=meta, mit=mit.rstrip(), card=card) for name in names}


def publish(pipeline: Path, out: Path, corpus: str, **about: Any) -> Language:
    """Save a pipeline without paths of the machine that built it, with meta, card and licences.

    pipeline (Path): As `spacy assemble` wrote it.
    out (Path): Folder, replaced if it exists; may be the same.
    RAISES (ConfigError): If its config names files where none are expected.
    """
    nlp = spacy.load(pipeline)
    drop_paths(nlp, out.name)
    n_bytes = sum(path.stat().st_size for path in pipeline.rglob("*") if path.is_file())
    nlp.meta.update(build_meta(nlp, corpus, n_bytes=n_bytes, **about))
    with replaced(out) as draft:
        nlp.to_disk(draft)
        for name, text in texts_of(nlp.meta).items():
            (draft / name).write_text(text, encoding="utf8")
    return nlp


def main(
    pipeline: Annotated[Path, typer.Argument(help="Folder of the pipeline.")],
    out: Annotated[Path | None, typer.Argument(help="Folder; none is in place.")] = None,
    corpus: Annotated[Trained, typer.Option(help="What it was trained on.")] = "persian",
    version: Annotated[str, typer.Option(help="Of the package.")] = "0.0.0",
    metrics: Annotated[Path | None, typer.Option(help="Of scripts.build.evaluate.")] = None,
) -> None:
    """Take the paths out of an assembled pipeline; give it meta, a card and licences."""
    about = {"version": version, "report": srsly.read_json(metrics) if metrics else None}
    with readable_errors():
        nlp = publish(pipeline, out or pipeline, corpus, **about)
    told = f"{out or pipeline}: {nlp.meta['size']}; {nlp.meta['license']}"
    console.print(told, markup=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
