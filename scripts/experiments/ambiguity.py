"""Names whose label depends on the domain: sentences under every domain, and counts (Figure 4).

    python -m scripts.experiments.ambiguity training/persian/fa_multibert --corpus corpus/persian

First, sentences of our own with a country, city or firm that is also a club, a government or a
product, tagged under each domain: which adapter says LOC, which ORG. Second, the names of a part
that have two or more types in gold: which type is the commonest in each domain, and how often the
pipeline, told the domain, agrees with the gold label of such a name.

A name is a whole entity in normal form, not a word: the «ایران» of «بانک ملی ایران» is no
evidence of what «ایران» is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc, Span

from multibert_spacy.errors import ConfigError, DomainError
from multibert_spacy.text.normalize import normalize_word
from multibert_spacy.training.corpus import read_docs

from ..build.scoring.detection import draw_docs, given_docs
from ..record import build_header, describe_model, readable_errors, save

__all__ = ["SENTENCES", "ambiguous_names", "app", "tag_sentences"]

app = typer.Typer(add_completion=False)
console = Console()

SENTENCES = (
    ("ایران در نیمه دوم دو گل زد و بازی را برد.", "ایران"),
    ("ایران با پیشنهاد تازه بازرسان مخالفت کرد.", "ایران"),
    ("بهار ایران پر از گل‌های وحشی است.", "ایران"),
    ("آمریکا دیروز تحریم‌های تازه‌ای اعلام کرد.", "آمریکا"),
    ("پسرعمویم پنج سال است که در آمریکا درس می‌خواند.", "آمریکا"),
    ("تهران به این بیانیه پاسخ تندی داد.", "تهران"),
    ("دیروز از صبح تا شب در تهران باران بارید.", "تهران"),
    ("لیورپول این فصل هنوز هیچ مسابقه‌ای را نباخته است.", "لیورپول"),
    ("از لندن تا لیورپول با قطار دو ساعت راه است.", "لیورپول"),
    ("بارسلونا برای خرید یک مهاجم تازه پول ندارد.", "بارسلونا"),
    ("سه شب در بارسلونا هتل گرفتیم و خیلی خوش گذشت.", "بارسلونا"),
    ("استقلال دیشب سه امتیاز مهم گرفت.", "استقلال"),
    ("جشن استقلال هند هر سال در تابستان برگزار می‌شود.", "استقلال"),
    ("روسیه نیروهایش را از مرز عقب کشید.", "روسیه"),
    ("واشنگتن هنوز به نامه تازه مسکو جواب نداده است.", "واشنگتن"),
    ("آمازون کتابی را که خریده بودم دو روز زودتر فرستاد.", "آمازون"),
    ("جنگل‌های آمازون هر سال کوچک‌تر می‌شوند.", "آمازون"),
    ("سایپا قیمت خودروهایش را باز هم بالا برد.", "سایپا"),
    ("سایپا با مربی جدیدش از ته جدول فاصله گرفت.", "سایپا"),
    ("اروپا می‌خواهد به توافق برگردد ولی زمان می‌خواهد.", "اروپا"),
    ("پرسپولیس با گل دقیقه آخر صدرنشین ماند.", "پرسپولیس"),
    ("بازدید از ستون‌های پرسپولیس برای دانش‌آموزان رایگان شد.", "پرسپولیس"),
    ("چین خرید نفت از همسایه‌اش را دو برابر کرد.", "چین"),
    ("برای دیدن دیوار بزرگ سه هفته در چین ماندیم.", "چین"),
    ("اپل تلفن تازه‌اش را گران‌تر از پارسال می‌فروشد.", "اپل"),
    ("تبریز با برد خانگی از خطر سقوط دور شد.", "تبریز"),
)
"""Ours, each with the word that is asked about; written for this figure."""

TOP = 40
NONE = "O"


def _label_at(doc: Doc, i: int) -> str:
    return doc[i].ent_type_ or NONE


def tag_sentences(
    nlp: Language,
    domains: Sequence[str],
    sentences: Sequence[tuple[str, str]] = SENTENCES,
) -> dict[str, Any]:
    """Tag every sentence under every domain.

    nlp (Language): With a `multibert_ner` that knows the domains.
    domains (Sequence[str]): Domains to give.
    sentences (Sequence[tuple]): Text, and one of its words as the tokenizer cuts it.
    RETURNS (dict): "sentences", each with its text, word and "labels", domain -> label of the
        word or "O"; "labels", domain -> label -> sentences; and "divided", in how many sentences
        the domains do not agree.
    RAISES (ConfigError): If a sentence does not have its word.
    """
    rows: list[dict[str, Any]] = []
    for text, word in sentences:
        docs, places = [], []
        for domain in domains:
            doc = nlp.make_doc(text)
            doc._.domain = domain
            found = [token.i for token in doc if token.text == word]
            if not found:
                raise ConfigError(f"{word!r} is no word of {text!r}, cut into {list(doc)}")
            docs.append(doc)
            places.append(found[0])
        tagged = zip(nlp.pipe(docs), places, strict=True)
        labels = [_label_at(doc, i) for doc, i in tagged]
        rows.append(
            {"text": text, "word": word, "labels": dict(zip(domains, labels, strict=True))}
        )
    by_domain = {
        domain: dict(sorted(Counter(row["labels"][domain] for row in rows).items()))
        for domain in domains
    }
    divided = sum(len(set(row["labels"].values())) > 1 for row in rows)
    return {"sentences": rows, "labels": by_domain, "divided": divided}


def _name_of(ent: Span) -> str:
    return " ".join(normalize_word(word.text) for word in ent)


def _commonest(types: Mapping[str, int]) -> str:
    """Of equals the first by name."""
    return min(types, key=lambda label: (-types[label], label))


def ambiguous_names(
    nlp: Language, docs: Sequence[Doc], *, top: int = TOP, progress: Console | None = None
) -> dict[str, Any]:
    """Count the names that have two or more types in gold, and how the pipeline labels them.

    nlp (Language): With a `multibert_ner` that knows the docs' domains.
    docs (Sequence[Doc]): Gold docs with their domains.
    top (int): Names to list, the most frequent ones.
    progress (Console): For the progress bar.
    RETURNS (dict): "all" and "per_domain", each with the number of "mentions" of such names, what
        the pipeline made of them ("right", "other" type, "missed": not exactly this span) and
        "dominant", how many have the commonest type of their name in their domain; "names", the
        number of them; and "top", name -> domain -> its "types", the "dominant" one, and what the
        pipeline made of them.
    """
    types: dict[str, Counter[str]] = {}
    for doc in docs:
        for ent in doc.ents:
            types.setdefault(_name_of(ent), Counter())[ent.label_] += 1
    wanted = {name for name, counts in types.items() if len(counts) > 1}
    gold: dict[tuple[str, str], Counter[str]] = {}
    made: dict[tuple[str, str], Counter[str]] = {}
    for doc, predicted in _tag(nlp, docs, progress):
        found = {(ent.start, ent.end): ent.label_ for ent in predicted.ents}
        for ent in doc.ents:
            if (name := _name_of(ent)) in wanted:
                key = name, doc._.domain
                gold.setdefault(key, Counter())[ent.label_] += 1
                label = found.get((ent.start, ent.end))
                outcome = "missed" if label is None else _verdict(label, ent.label_)
                made.setdefault(key, Counter())[outcome] += 1
    ranked = sorted(wanted, key=lambda name: (-types[name].total(), name))
    domains = sorted({domain for _, domain in gold})
    return {
        "names": len(wanted),
        "all": _summary(gold, made, gold),
        "per_domain": {d: _summary(gold, made, [k for k in gold if k[1] == d]) for d in domains},
        "top": {
            name: {
                domain: {
                    "types": dict(gold[name, domain].most_common()),
                    "dominant": _commonest(gold[name, domain]),
                    **_outcomes(made[name, domain]),
                }
                for domain in domains
                if (name, domain) in gold
            }
            for name in ranked[:top]
        },
    }


def _tag(
    nlp: Language, docs: Sequence[Doc], progress: Console | None
) -> Iterable[tuple[Doc, Doc]]:
    tagged = zip(docs, nlp.pipe(given_docs(docs, nlp)), strict=True)
    return track(tagged, "domains given", total=len(docs), console=progress or console)


def _verdict(label: str, truth: str) -> str:
    return "right" if label == truth else "other"


def _outcomes(made: Mapping[str, int]) -> dict[str, int]:
    return {outcome: made.get(outcome, 0) for outcome in ("right", "other", "missed")}


def _summary(
    gold: Mapping[tuple[str, str], Counter[str]],
    made: Mapping[tuple[str, str], Counter[str]],
    keys: Iterable[tuple[str, str]],
) -> dict[str, int]:
    keys = list(keys)
    return {
        "mentions": sum(gold[key].total() for key in keys),
        "dominant": sum(max(gold[key].values()) for key in keys),
        **_outcomes(sum((made[key] for key in keys), Counter())),
    }


def _print_report(report: Mapping[str, Any], domains: Sequence[str]) -> None:
    table = Table("word", "sentence", *domains, title="The word's label under each domain")
    for row in report["own"]["sentences"]:
        table.add_row(row["word"], row["text"], *(row["labels"][domain] for domain in domains))
    console.print(table)
    names = report["gold"]
    columns = ("mentions", "dominant", "right", "other", "missed")
    table = Table(title=f"{names['names']} names with two or more types, domains given")
    for column in ("", *columns):
        table.add_column(column, justify="right" if column else "left")
    for name, row in {**names["per_domain"], "all": names["all"]}.items():
        table.add_row(name, *(str(row[column]) for column in columns))
    console.print(table)
    table = Table("name", "domain", "types", "right", "other", "missed", title="The commonest")
    for name, by_domain in names["top"].items():
        for domain, row in by_domain.items():
            types = ", ".join(f"{label} {n}" for label, n in row["types"].items())
            table.add_row(name, domain, types, *(str(row[column]) for column in columns[2:]))
            name = ""
    console.print(table)


@app.command(help=__doc__)
def main(
    model: Annotated[str, typer.Argument(help="Folder or installed package.")],
    corpus: Annotated[Path, typer.Option(help="Folder with the parts.")] = Path("corpus/persian"),
    split: Annotated[str, typer.Option(help="Part whose names are counted.")] = "test",
    metrics: Annotated[
        Path | None, typer.Option(help="JSON file; by default metrics/<corpus>/ambiguity.json.")
    ] = None,
    domains: Annotated[
        str, typer.Option(help="Comma-separated, for the sentences; empty is all.")
    ] = "",
    top: Annotated[int, typer.Option(min=0, help="Names to list.")] = TOP,
    limit_groups: Annotated[int, typer.Option(min=0, help="Groups per domain; 0 is all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the groups, if they are limited.")] = 0,
) -> None:
    with readable_errors():
        nlp = spacy.load(model)
        tagger: Any = nlp.get_pipe("multibert_ner")
        known = tagger.domains
        wanted = domains.split(",") if domains else list(known)
        for domain in wanted:
            if domain not in known:
                raise DomainError.unknown(domain, known, component="multibert_ner")
        docs = read_docs(corpus / split, nlp.vocab)
        given: dict[str, Any] = {"split": split, "seed": seed, "limit_groups": limit_groups}
        report = build_header("scripts.experiments.ambiguity", docs, corpus=corpus, **given)
        report["model"] = describe_model(nlp, model)
        report["own"] = tag_sentences(nlp, wanted)
        drawn = draw_docs(docs, seed=seed, limit_groups=limit_groups)
        report["gold"] = ambiguous_names(nlp, drawn, top=top)
    save(report, metrics or Path("metrics", corpus.name, "ambiguity.json"))
    _print_report(report, wanted)


if __name__ == "__main__":
    app()
