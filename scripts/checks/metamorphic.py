"""The same text written in another way: how many entities stay as they are.

    python -m scripts.checks.metamorphic training/pretrained/fa_multibert --corpus corpus/persian \
        --metrics metrics/persian/metamorphic.json
    python -m scripts.checks.metamorphic MODEL --corpus assets/outside/dev.jsonl

Each variant changes the spelling of a text and nothing that it says. An entity stays the same if
the text has one at the same place there, with the same label. Domains are given, so that only the
tagger is asked.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import spacy
import srsly
import typer
from rich.console import Console
from spacy.language import Language

from multibert_spacy.training.corpus import read_docs
from multibert_spacy.training.written import read_rows

from ..options import Corpus
from ..record import command_line, commit, save, table

console = Console()

JOINING = "بپتثجچحخسشصضطظعغفقکگلمنهی"
LETTERS = JOINING + "اآدذرزژو"
VOWELS = "\u064e\u0650\u064f"
Ent = tuple[int, int, str]


class Spelling(NamedTuple):
    """A variant of a text: what each of its characters became, and what follows the last."""

    parts: list[str]
    tail: str = ""

    @property
    def text(self) -> str:
        return "".join(self.parts) + self.tail

    def place(self, ent: Ent) -> Ent:
        """RETURNS (tuple): Where an entity of the plain text is in this one."""
        start, end, label = ent
        before = sum(map(len, self.parts[:start]))
        return before, before + sum(map(len, self.parts[start:end])), label


def _listed(own: dict[str, str] | str) -> Callable[[str], Spelling]:
    """RETURNS (Callable): A variant as metamorphic.yml has it."""
    if isinstance(own, str):
        return lambda text: Spelling(list(text), own)
    pairs = (
        zip(old, new, strict=True) if len(old) > 1 else [(old, new)] for old, new in own.items()
    )
    table = dict(itertools.chain.from_iterable(pairs))
    return lambda text: Spelling([table.get(char, char) for char in text])


def _stretch(text: str) -> Spelling:
    """A tatweel in each word, behind its first letter that is joined to the next one."""
    parts, done = [], False
    for i, char in enumerate(text):
        done = done and char in LETTERS + "\u200c"
        stretch = not done and char in JOINING and text[i + 1 : i + 2] in tuple(LETTERS)
        parts.append(char + "\u0640" if stretch else char)
        done = done or stretch
    return Spelling(parts)


def _every(n: int, chars: str, new: Callable[[str, int], str]) -> Callable[[str], Spelling]:
    """Every n-th of some characters becomes something else, that its number has a say in."""

    def vary(text: str) -> Spelling:
        count = itertools.count(1)
        return Spelling(
            [new(c, i) if c in chars and (i := next(count)) % n == 0 else c for c in text]
        )

    return vary


def _vowel(char: str, i: int) -> str:
    """A vowel sign, on every seventh letter also a shadda."""
    return char + VOWELS[i // 3 % 3] + "\u0651" * (i % 7 == 0)


def _spaced_verbs(text: str) -> Spelling:
    """The prefix of a verb is set apart with a space: `می روم`."""
    return Spelling(list(re.sub("(?<![^ ])(ن?می)\u200c", r"\1 ", text)))


_coded: dict[str, Callable[[str], Spelling]] = {
    "tatweel": _stretch,
    "diacritics": _every(3, LETTERS, _vowel),
    "lines of ten words": _every(10, " ", lambda char, i: "\r\n"),
    "numeric references": _every(3, LETTERS, lambda char, i: f"&#{ord(char)};"),
    "ZWNJ of verbs as a space": _spaced_verbs,
}
_all = srsly.read_yaml(Path(__file__).with_suffix(".yml"))
VARIANTS = {name: _listed(own) if own else _coded[name] for name, own in _all.items()}


def _tag(nlp: Language, pairs: Sequence[tuple[str, str]]) -> list[set[Ent]]:
    """pairs (Sequence): Texts and their domains. RETURNS (list): The entities of each."""
    contexts = [(text, {"domain": domain}) for text, domain in pairs]
    return [
        {(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents}
        for doc, _ in nlp.pipe(contexts, as_tuples=True)
    ]


def shares(nlp: Language, pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Compare each variant with the plain texts.

    RETURNS (dict): For each variant the texts that it changes, their entities, how many of these
        stay the same and how many are new, and the share of those that stay (1 without any).
    """
    plain = _tag(nlp, pairs)
    result = {}
    for name, vary in VARIANTS.items():
        spellings = [vary(text) for text, _ in pairs]
        changed = [i for i, (text, _) in enumerate(pairs) if spellings[i].text != text]
        found = _tag(nlp, [(spellings[i].text, pairs[i][1]) for i in changed])
        expected = [{spellings[i].place(ent) for ent in plain[i]} for i in changed]
        n_before = sum(map(len, expected))
        kept = sum(len(a & b) for a, b in zip(expected, found, strict=True))
        result[name] = {
            "texts": len(changed),
            "entities": n_before,
            "same": kept,
            "new": sum(map(len, found)) - kept,
            "share": round(kept / n_before, 4) if n_before else 1.0,
        }
    return result


def main(
    pipeline: Path,
    corpus: Corpus = Path("corpus/sample"),
    split: Annotated[str, typer.Option(help="Part of the corpus")] = "test",
    limit: Annotated[int, typer.Option(help="Texts per domain; 0 is all")] = 0,
    metrics: Annotated[Path | None, typer.Option(help="JSON of the result")] = None,
) -> None:
    """Tag a corpus in many spellings and count the entities that stay the same."""
    nlp = spacy.load(pipeline)
    by_domain: dict[str, list[str]] = {}
    if corpus.suffix == ".jsonl":
        found = [(row["text"], row["domain"]) for row in read_rows(corpus, ("text", "domain"))]
    else:
        found = [(doc.text, doc._.domain) for doc in read_docs(corpus / split, nlp.vocab)]
    for text, name in found:
        by_domain.setdefault(name, []).append(text)
    pairs = [(t, name) for name, own in by_domain.items() for t in own[: limit or None]]
    result = shares(nlp, pairs)
    rows = [{"variant": name, **row, "share": f"{row['share']:g}"} for name, row in result.items()]
    console.print(table("Entities that stay in another spelling", rows))
    if metrics is not None:
        report = {
            "command": command_line("scripts.checks.metamorphic"),
            "commit": commit(),
            "split": split,
            "corpus": corpus.name,
            "texts": len(pairs),
            "variants": result,
        }
        save(report, metrics)


if __name__ == "__main__":
    typer.run(main)
