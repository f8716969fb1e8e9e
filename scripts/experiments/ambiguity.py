"""Names whose label depends on the domain: sentences under every domain, and counts (Figure 4).

    python -m scripts.experiments.ambiguity training/persian/fa_multibert --corpus corpus/persian

First, sentences of our own (ambiguity.txt) with a country, city or firm that is also a club, a
government or a product, tagged under each domain: which adapter says LOC, which ORG. Second, the
names of a part that have two or more types in gold: how many have the type that is the commonest
of their name in their domain, and how often the pipeline, told the domain, agrees with the gold
label of such a name.

A name is a whole entity in normal form, not a word: the «ایران» of «بانک ملی ایران» is no
evidence of what «ایران» is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import spacy
import typer
from rich.console import Console
from rich.progress import track
from spacy.language import Language
from spacy.tokens import Doc, Span

from multibert_spacy.errors import ConfigError
from multibert_spacy.text.normalize import normalize_word
from multibert_spacy.training.corpus import read_docs

from ..build.scoring.detection import draw_docs, given_docs
from ..options import Corpus, Limit, Metrics, Model, Seed
from ..record import build_header, describe_model, readable_errors, save, table

app = typer.Typer(add_completion=False)
console = Console()

_lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf8").splitlines()
SENTENCES = [(text, word) for word, _, text in (line.partition("\t") for line in _lines)]
"""Ours, each with the word that is asked about; written for this figure."""

Key = tuple[str, str]


def tag_sentences(
    nlp: Language, domains: Sequence[str], sentences: Sequence[tuple[str, str]] = tuple(SENTENCES)
) -> list[dict[str, Any]]:
    """Tag every sentence under every domain.

    sentences (Sequence[tuple]): Text, and one of its words as the tokenizer cuts it.
    RETURNS (list): Text, word and "labels" of each: domain -> label of the word or "O".
    RAISES (ConfigError): If a sentence does not have its word.
    """
    rows: list[dict[str, Any]] = []
    for text, word in sentences:
        docs = [nlp.make_doc(text) for _ in domains]
        places = [token.i for token in docs[0] if token.text == word]
        if not places:
            raise ConfigError(f"{word!r} is no word of {text!r}, cut into {list(docs[0])}")
        for doc, domain in zip(docs, domains, strict=True):
            doc._.domain = domain
        labels = [doc[places[0]].ent_type_ or "O" for doc in nlp.pipe(docs)]
        own = dict(zip(domains, labels, strict=True))
        rows.append({"text": text, "word": word, "labels": own})
    return rows


def _name_of(ent: Span) -> str:
    return " ".join(normalize_word(word.text) for word in ent)


def ambiguous_names(nlp: Language, docs: Sequence[Doc]) -> dict[str, Any]:
    """Count the names that have two or more types in gold, and how the pipeline labels them.

    RETURNS (dict): "all" and "per_domain", each with the number of "mentions" of such names, what
        the pipeline made of them ("right", "other" type, "missed": not exactly this span) and
        "dominant", how many have the commonest type of their name in their domain; and "names",
        the number of them.
    """
    types: dict[str, Counter[str]] = {}
    for doc in docs:
        for ent in doc.ents:
            types.setdefault(_name_of(ent), Counter())[ent.label_] += 1
    wanted = {name for name, counts in types.items() if len(counts) > 1}
    gold: dict[Key, Counter[str]] = {}
    made: dict[Key, Counter[str]] = {}
    tagged = zip(docs, nlp.pipe(given_docs(docs, nlp)), strict=True)
    for doc, predicted in track(tagged, "domains given", total=len(docs), console=console):
        found = {(ent.start, ent.end): ent.label_ for ent in predicted.ents}
        for ent in doc.ents:
            if (name := _name_of(ent)) in wanted:
                key = name, doc._.domain
                gold.setdefault(key, Counter())[ent.label_] += 1
                label = found.get((ent.start, ent.end))
                outcome = "missed" if label is None else "other"
                made.setdefault(key, Counter())["right" if label == ent.label_ else outcome] += 1
    domains = sorted({domain for _, domain in gold})
    return {
        "names": len(wanted),
        "all": _summary(gold, made, gold),
        "per_domain": {d: _summary(gold, made, [k for k in gold if k[1] == d]) for d in domains},
    }


def _summary(
    gold: Mapping[Key, Counter[str]], made: Mapping[Key, Counter[str]], keys: Iterable[Key]
) -> dict[str, int]:
    keys = list(keys)
    outcomes = sum((made[key] for key in keys), Counter[str]())
    return {
        "mentions": sum(gold[key].total() for key in keys),
        "dominant": sum(max(gold[key].values()) for key in keys),
        **{outcome: outcomes[outcome] for outcome in ("right", "other", "missed")},
    }


@app.command(help=__doc__)
def main(
    model: Model,
    corpus: Corpus = Path("corpus/persian"),
    metrics: Metrics = None,
    limit_groups: Limit = 0,
    seed: Seed = 0,
) -> None:
    with readable_errors():
        nlp = spacy.load(model)
        docs = read_docs(corpus / "test", nlp.vocab)
        given: dict[str, Any] = {"seed": seed, "limit_groups": limit_groups}
        report = build_header("scripts.experiments.ambiguity", docs, corpus=corpus, **given)
        report["model"] = describe_model(nlp, model)
        tagger: Any = nlp.get_pipe("multibert_ner")
        report["own"] = {"sentences": tag_sentences(nlp, list(tagger.domains))}
        drawn = draw_docs(docs, seed=seed, limit_groups=limit_groups)
        report["gold"] = ambiguous_names(nlp, drawn)
    save(report, metrics or Path("metrics", corpus.name, "ambiguity.json"))
    names = report["gold"]
    rows = [{"": n, **own} for n, own in {**names["per_domain"], "all": names["all"]}.items()]
    title = f"{names['names']} names with two or more types, domains given"
    console.print(table(title, rows))


if __name__ == "__main__":
    app()
