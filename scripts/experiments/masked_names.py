"""Reading the context or remembering names: F1 on a part whose names are all invented.

    python -m scripts.experiments.masked_names training/pretrained/fa_multibert
    python -m scripts.experiments.masked_names --models training/persian/general/{head}/model-best

Every word of every gold entity is replaced by an invented one of the same shape: as many letters
of the same script, digits for digits, signs, ZWNJ and hashtags where they are. The same word
becomes the same one everywhere in the part. Left as they are: the words of a short list («و»,
«در», …) and the endings after a ZWNJ («ها», «ام», …). So titles and kinds of places in a name
(«وزارت», «خیابان») are gone too: what is lost is the most that names can be worth.

Domains are given; `before` and `after` are on the same docs, so their difference is paired.
"""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from spacy.language import Language
from spacy.tokens import Doc

from multibert_spacy.text.normalize import normalize_word
from multibert_spacy.training.corpus import read_docs

from ..build.evaluate import evaluate, evaluate_single, parse_models
from ..build.scoring.entities import N_RESAMPLES
from ..build.scoring.report import entity_table
from ..corpora.bio import doc_tags
from ..options import Corpus, Limit, Metrics, Model
from ..record import build_header, describe_model, readable_errors, save
from .compare import N_DRAWS, compare, print_comparison

app = typer.Typer(add_completion=False)
console = Console()

KEPT = frozenset("و در از به با بر تا را ی ای ها های هایی که".split())
ENDINGS = frozenset("ی ای ها های هایی ام ات اش مان تان شان تر ترین اند ایم اید را".split())
TRIES = 50

_RUN = re.compile(r"\d+|[^\W\d_]+")
_SOUNDS = {"fa": ("بپتجچخدرزژسشفقکگلمنه", "اویا"), "en": ("bcdfghjklmnprstvz", "aeiou")}


class Inventor:
    """Invents words, always the same one for a word.

    known (Iterable[str]): Words that are not to come out.
    """

    def __init__(self, known: Iterable[str], *, seed: int = 0):
        self.known = {normalize_word(word).casefold() for word in known}
        self.seed = seed
        # replaced, replaced by a known one (there are not enough of one or two letters), kept
        self.counts: Counter[str] = Counter()

    def word(self, text: str) -> str:
        """RETURNS (str): An invented word of the same shape; the same word if it has no letters
        or digits, or is on the list of what is kept.
        """
        form = normalize_word(text)
        if form in KEPT or not any(_script(run[0]) for run in _RUN.findall(text)):
            self.counts["kept"] += 1
            return text
        rng = random.Random(f"{self.seed}/{form}")
        for _ in range(TRIES):
            result = _RUN.sub(lambda match: _invent(match, rng), text)
            if normalize_word(result).casefold() not in self.known:
                self.counts["replaced"] += 1
                return result
        self.counts["replaced by a known word"] += 1
        return result

    def doc(self, doc: Doc) -> Doc:
        """RETURNS (Doc): A new gold doc with the same entities under invented names."""
        changed = Doc(
            doc.vocab,
            words=[self.word(word.text) if word.ent_type_ else word.text for word in doc],
            spaces=[bool(word.whitespace_) for word in doc],
            ents=doc_tags(doc),
        )
        changed._.domain, changed._.thread = doc._.domain, doc._.thread
        return changed


def _script(char: str) -> str | None:
    """RETURNS (str): "digit", "fa" (any Arabic letter), "en" (any Latin one) or None."""
    if char.isdigit():
        return "digit" if unicodedata.decimal(char, None) is not None else None
    name = unicodedata.name(char, "")
    return "fa" if name.startswith("ARABIC") else "en" if name.startswith("LATIN") else None


def _invent(match: re.Match[str], rng: random.Random) -> str:
    """Consonants and vowels in turn, here and there two consonants; an ending stays."""
    text = match.group()
    script = _script(text[0])
    ending = match.start() > 0 and match.string[match.start() - 1] == "\u200c"
    if script is None or (ending and normalize_word(text) in ENDINGS):
        return text
    if script == "digit":
        digits = [chr(ord(char) - unicodedata.decimal(char) + rng.randrange(10)) for char in text]
        return "".join(digits)
    consonants, vowels = _SOUNDS[script]
    letters: list[str] = []
    vowel = False
    for char in text:
        letter = rng.choice(vowels if vowel else consonants)
        letters.append(letter.upper() if char.isupper() else letter)
        vowel = not vowel if vowel else rng.random() < 0.75
    return "".join(letters)


def evaluate_masked(
    model: Language | Mapping[str, str],
    path: Path,
    inventor: Inventor,
    *,
    seed: int = 0,
    limit_groups: int = 0,
    n_resamples: int = N_RESAMPLES,
    n_draws: int = N_DRAWS,
) -> dict[str, Any]:
    """Score on the names as they are and on invented ones, with domains given.

    model (Language | Mapping): A pipeline that knows the domains, or the models that
        `evaluate_single` takes.
    RETURNS (dict): "names", how many words of the whole part were replaced; "before" and
        "after", the scores; "difference", after minus before, as `compare` has it; "doc_counts"
        of both.
    """
    given: dict[str, Any] = {"seed": seed, "limit_groups": limit_groups}
    given["n_resamples"] = n_resamples
    if isinstance(model, Language):
        docs, mode = read_docs(path, model.vocab), "given"
        with model.select_pipes(disable=[n for n in model.pipe_names if n == "domain_detector"]):
            before = evaluate(model, docs, **given)
            after = evaluate(model, [inventor.doc(doc) for doc in docs], **given)
    else:
        before, mode = evaluate_single(model, path, **given), "single"
        after = evaluate_single(model, path, **given, change=inventor.doc)
    report = {"models": before["models"]} if "models" in before else {}
    report |= {"names": dict(inventor.counts), "before": before[mode], "after": after[mode]}
    counts = {"before": before["doc_counts"][mode], "after": after["doc_counts"][mode]}
    both = counts["after"], counts["before"]
    difference = compare(*both, seed=seed, n_resamples=n_draws)
    return {**report, "difference": difference, "doc_counts": counts}


@app.command(help=__doc__)
def main(
    model: Model = "",
    corpus: Corpus = Path("corpus/persian"),
    split: Annotated[str, typer.Option(help="Part to score on.")] = "test",
    metrics: Metrics = None,
    models: Annotated[str, typer.Option(help="As of scripts.build.evaluate.")] = "",
    limit_groups: Limit = 0,
) -> None:
    seed = 0
    if bool(model) == bool(models):
        raise typer.BadParameter("Give either MODEL or --models")
    with readable_errors():
        what = parse_models(models) if models else spacy.load(model)
        vocab = spacy.blank("fa").vocab
        docs = read_docs(corpus / split, vocab)
        given: dict[str, Any] = {"seed": seed, "limit_groups": limit_groups}
        name = "scripts.experiments.masked_names"
        report = build_header(name, docs, corpus=corpus, split=split, **given)
        if isinstance(what, Language):
            report["model"] = describe_model(what, model)
        known = docs + (read_docs(corpus / "train", vocab) if (corpus / "train").exists() else [])
        inventor = Inventor({word.text for doc in known for word in doc}, seed=seed)
        report |= evaluate_masked(what, corpus / split, inventor, **given)
    save(report, metrics or Path("metrics", corpus.name, "masked_names.json"))
    console.print(entity_table({"before": report["before"], "after": report["after"]}))
    print_comparison(report["difference"], console)
    console.print(", ".join(f"{n} words {what}" for what, n in report["names"].items()))


if __name__ == "__main__":
    app()
