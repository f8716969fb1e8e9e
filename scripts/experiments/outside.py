"""Entities in texts that are of no corpus: assets/outside, written for this project.

    python -m scripts.experiments.outside training/pretrained/fa_multibert --row shipped

Scored are PER, LOC and ORG, which the heads share, by character: strict spans on what the
pipeline makes of the raw text, without the emoji and other signs at their ends. The domain is
given, and, if there is a detector, detected thread by thread. Each call adds a row to a table, or
replaces the one of its name; `what` says what a row is of. Settings may be chosen on this set, so
a figure on it is that of a dev part.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import spacy
import typer
from rich.console import Console
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from multibert_spacy.errors import CorpusError
from multibert_spacy.training.written import read_rows

from ..build.scoring.entities import count_docs, score_entities
from ..build.scoring.report import entity_table
from ..options import Metrics, Model, Seed
from ..record import command_line, commit, describe_model, readable_errors, save

__all__ = ["LABELS", "OUTSIDE", "app", "outside_examples", "read_outside", "score_outside"]

app = typer.Typer(add_completion=False)
console = Console()

OUTSIDE = Path("assets/outside/dev.jsonl")
LABELS = ("PER", "LOC", "ORG")
STYLES = ("plain", "decorated", "mixed")
FIELDS = ("domain", "thread", "style", "text", "entities")

Row = dict[str, Any]
Ent = tuple[int, int, str]


def read_outside(path: Path) -> list[Row]:
    """Read the set.

    path (Path): JSONL with domain, thread, style, text and entities, [start, end, label] each.
    RAISES (CorpusError): If there is no such file, or a row lacks a field.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: expected the outside set here, found none")
    return read_rows(path, FIELDS)


def outside_examples(
    nlp: Language, rows: Sequence[Row], *, given: bool, labels: Sequence[str] = LABELS
) -> list[Example]:
    """Tag the texts as a user would have it done.

    rows (Sequence[Row]): What `read_outside` returned, threads whole.
    given (bool): Whether it is told the domains; else it is told the threads.
    labels (Sequence[str]): Other entities are left out, on both sides.
    RETURNS (list[Example]): Truth and answer on common words; the domain of each doc is its own.
    """
    key = "domain" if given else "thread"
    texts = [(row["text"], {key: row[key]}) for row in rows]
    examples = []
    for (doc, _), row in zip(nlp.pipe(texts, as_tuples=True), rows, strict=True):
        gold = [own for own in row["entities"] if own[2] in labels]
        found = [(e.start_char, e.end_char, e.label_) for e in doc.ents if e.label_ in labels]
        example = on_common_words(doc, found, gold)
        example.predicted._.domain, example.reference._.domain = doc._.domain, row["domain"]
        examples.append(example)
    return examples


def on_common_words(doc: Doc, found: Iterable[Ent], gold: Iterable[Ent]) -> Example:
    """Lay truth and answer on the finest words that both agree with.

    doc (Doc): The text; each border of one of its words is one of the new words.
    found, gold (Iterable): Start and end in the text, and label.
    RETURNS (Example): Two new docs of equal words, with the entities of each.
    """
    parts = [
        [(*_without_signs(doc.text, a, b), label) for a, b, label in own] for own in (found, gold)
    ]
    borders = {0, len(doc.text), *(at for own in parts for a, b, _ in own for at in (a, b))}
    borders.update(at for word in doc for at in (word.idx, word.idx + len(word)))
    cuts = sorted(borders)
    index = {at: i for i, at in enumerate(cuts)}
    words = [doc.text[a:b] for a, b in pairwise(cuts)]
    docs = []
    for spans in parts:
        made = Doc(doc.vocab, words=words, spaces=[False] * len(words))
        made.set_ents([Span(made, index[a], index[b], label=label) for a, b, label in spans])
        docs.append(made)
    return Example(*docs)


def _without_signs(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without the emoji and other signs at its ends, unless it has nothing else."""
    inner = [i for i in range(start, end) if not _is_sign(text[i])]
    return (inner[0], inner[-1] + 1) if inner else (start, end)


def _is_sign(char: str) -> bool:
    return unicodedata.category(char) in ("So", "Sk", "Cf") or char == "\ufe0f"


def score_outside(nlp: Language, rows: Sequence[Row], *, seed: int = 0) -> dict[str, Any]:
    """Score a pipeline.

    nlp (Language): With `multibert_ner` and perhaps `domain_detector`.
    RETURNS (dict): "given" and, with a detector, "detected": micro, per_type, per_domain and
        per_style as `score_entities` has them; "doc_counts" of each; "right_threads", "threads";
        "errors", the domain given: of each domain the first text with a name missed or wrong.
    """
    report: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    for mode in ("given", "detected") if "domain_detector" in nlp.pipe_names else ("given",):
        examples = outside_examples(nlp, rows, given=mode == "given")
        scores = score_entities(examples, seed=seed)
        scores["per_style"] = {
            style: score_entities([examples[i] for i in found], seed=seed)["micro"]
            for style in STYLES
            if (found := [i for i, row in enumerate(rows) if row["style"] == style])
        }
        report[mode] = {k: scores[k] for k in ("micro", "per_type", "per_style", "per_domain")}
        counts[mode] = count_docs(examples, [eg.reference for eg in examples])
        if mode == "given":
            report["errors"] = _errors(examples, rows)
        if mode == "detected":
            threads = {row["thread"]: (eg, row) for eg, row in zip(examples, rows, strict=True)}
            right = [eg.predicted._.domain == row["domain"] for eg, row in threads.values()]
            report |= {"threads": len(right), "right_threads": int(np.sum(right))}
    return {**report, "doc_counts": counts}


def _errors(examples: Sequence[Example], rows: Sequence[Row]) -> list[Row]:
    """Of each domain the first text in which a name is missed or wrong."""
    found: dict[str, Row] = {}
    for eg, row in zip(examples, rows, strict=True):
        truth, answer = (
            {(e.text, e.label_, e.start_char) for e in doc.ents}
            for doc in (eg.reference, eg.predicted)
        )
        if truth != answer:
            own = {key: row[key] for key in ("domain", "style", "text")}
            for key, wrong in (("missed", truth - answer), ("wrong", answer - truth)):
                own[key] = [[text, label] for text, label, _ in sorted(wrong, key=itemgetter(2))]
            found.setdefault(row["domain"], own)
    return list(found.values())


@app.command(help=__doc__)
def main(
    model: Model,
    row: Annotated[str, typer.Option(help="Name of the row")] = "shipped",
    what: Annotated[str, typer.Option(help="What the row is of")] = "",
    data: Annotated[Path, typer.Option(help="The outside set")] = OUTSIDE,
    metrics: Metrics = None,
    seed: Seed = 0,
) -> None:
    target = metrics or Path("metrics/outside.json")
    with readable_errors():
        nlp, texts = spacy.load(model), read_outside(data)
        report: dict[str, Any] = {
            "what": what,
            "command": command_line("scripts.experiments.outside"),
            "commit": commit(),
            "seed": seed,
            "data": data.name,
            "model": describe_model(nlp, model),
            **score_outside(nlp, texts, seed=seed),
        }
    rows = json.loads(target.read_text(encoding="utf8"))["rows"] if target.is_file() else {}
    rows[row] = report
    save({"rows": rows}, target)
    console.print(entity_table({m: report[m] for m in ("given", "detected") if m in report}))


if __name__ == "__main__":
    app()
