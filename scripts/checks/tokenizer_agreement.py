"""How far tokenizers agree with the tokens that the corpora's annotators labelled.

    python -m scripts.checks.tokenizer_agreement PARSTWINER [--raw FILE] [--social FOLDER]

Three views, each as precision, recall and F1 over exact spans of visible characters: whether an
invisible one at the edge of a word is a token of its own is no disagreement.

- `raw`: tweets as collected, where they are the labelled tweet apart from white space. Here the
  text is as a user wrote it, so this is the view to choose by.
- `raw_folded`: the same apart from ZWNJ, direction marks and the script of digits as well. More
  tweets, but the corpus was made with a normaliser that joined words a user had kept apart
  (`می کند`), which no tokenizer can undo.
- `rejoined`: all labelled tokens put together again as a writer would, without the space before
  a comma or after a bracket.

`entities` is the share of labelled entities that begin and end at a token's edge: what is lost
here no tagger can find. ParsNER-social was itself cut at white space after its full stops and
colons were set apart, so `social` is asked without pictures and slashes, where its tokens are
shreds of links or words glued to an emoji.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from spacy.lang.fa import PersianDefaults
from spacy.language import Language

from multibert_spacy.text.normalize import INVISIBLE
from multibert_spacy.text.tokenizer import build_persian_tokenizer_v1

from ..record import save

OUTPUT = Path("metrics/tokenizer.json")

Tokens = list[tuple[str, str]]
Tokenize = Callable[[str], Sequence[str]]
Span = tuple[int, int]

_INVISIBLE = re.compile(f"[\\s{INVISIBLE}]+")
_SPACE = re.compile(r"\s+")
_ONE_SCRIPT = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩يكى", "01234567890123456789یکی")
_SHRED = re.compile("[/\\\\\u2190-\u2bff\u3030\ufe0f\U0001f000-\U0001faff]")
_CLOSES = frozenset(".،؛:!؟?,)]}»%٪…")
_OPENS = frozenset("([{«")


def plain(text: str) -> str:
    """Drop white space."""
    return _SPACE.sub("", text)


def folded(text: str) -> str:
    """Drop white space and invisible characters, and use one script for digits."""
    return _INVISIBLE.sub("", text.translate(_ONE_SCRIPT))


def visible(text: str) -> str:
    """Drop white space and invisible characters."""
    return _INVISIBLE.sub("", text)


def read_tokens(path: Path) -> Iterator[Tokens]:
    """Read a file of one token a line, blank lines between texts.

    path (Path): Columns are separated by tabs: the token first, the tag last.
    YIELDS (Tokens): The (token, tag) pairs of one text.
    """
    for block in re.split(r"\n\s*\n", path.read_text(encoding="utf8")):
        rows = [line.split("\t") for line in block.split("\n") if line.strip()]
        if rows:
            yield [(row[0], row[-1].strip()) for row in rows]


def read_raw(path: Path) -> list[str]:
    """Read tweets that are separated by lines of asterisks."""
    texts = re.split(r"(?m)^\*+\s*$", path.read_text(encoding="utf8"))
    return [text for text in texts if text.strip()]


def rejoin(words: Iterable[str]) -> str:
    """Put words together with the spaces that a careful writer sets."""
    text, glue = "", True
    for word in words:
        text += word if glue or word[0] in _CLOSES else f" {word}"
        glue = word[-1] in _OPENS
    return text


def spans_of(words: Iterable[str], squeeze: Callable[[str], str]) -> list[Span]:
    """Give each word its place in the squeezed text, empty ones left out."""
    spans, start = [], 0
    for word in words:
        end = start + len(squeeze(word))
        if end > start:
            spans.append((start, end))
        start = end
    return spans


def entities_of(tokens: Tokens, squeeze: Callable[[str], str]) -> Iterator[Span]:
    """Give the place of each labelled entity in the squeezed text."""
    start = end = place = 0
    for word, tag in [*tokens, ("", "O")]:
        if not tag.startswith("I-"):
            if end > start:
                yield start, end
            start = end = place
        place += len(squeeze(word))
        if tag != "O":
            end = place


def score(
    texts: Iterable[tuple[Tokens, str]], tokenize: Tokenize, squeeze: Callable[[str], str] = plain
) -> dict[str, float | int]:
    """Compare a tokenizer with labelled tokens.

    texts (Iterable[tuple[Tokens, str]]): Labelled tokens and the text that they come from.
    tokenize (Tokenize): From a text to its tokens; only white space may get lost.
    squeeze (Callable[[str], str]): Says which characters count.
    RETURNS (dict[str, float | int]): Precision, recall, F1 and the share of entities kept whole.
    RAISES (ValueError): If the tokenizer changes the text.
    """
    hits = n_gold = n_found = whole = n_entities = 0
    for tokens, text in texts:
        words = tokenize(text)
        if plain("".join(words)) != plain(text):
            raise ValueError("The tokenizer adds or drops characters: its tokens have no place")
        gold = set(spans_of((word for word, _ in tokens), squeeze))
        found = set(spans_of(words, squeeze))
        hits, n_gold, n_found = hits + len(gold & found), n_gold + len(gold), n_found + len(found)
        starts, ends = {start for start, _ in found}, {end for _, end in found}
        for start, end in entities_of(tokens, squeeze):
            whole += start in starts and end in ends
            n_entities += 1
    return {
        "precision": round(hits / n_found, 4) if n_found else 0.0,
        "recall": round(hits / n_gold, 4) if n_gold else 0.0,
        "f1": round(2 * hits / (n_found + n_gold), 4) if n_found + n_gold else 0.0,
        "entities": round(whole / n_entities, 4) if n_entities else 0.0,
    }


def candidates() -> dict[str, Tokenize]:
    """Make the tokenizers to compare."""
    from hazm import WordTokenizer

    def of_spacy(nlp: Language) -> Tokenize:
        return lambda text: [token.text for token in nlp.make_doc(text)]

    bare = spacy.blank("fa")
    rules = bare.tokenizer.rules.items()
    persian = PersianDefaults.tokenizer_exceptions
    bare.tokenizer.rules = {text: rule for text, rule in rules if text not in persian}
    ours = spacy.blank("fa")
    ours.tokenizer = build_persian_tokenizer_v1()(ours)
    return {
        "white space": str.split,
        "spaCy fa": of_spacy(spacy.blank("fa")),
        "spaCy fa without its exceptions": of_spacy(bare),
        "hazm WordTokenizer": WordTokenizer(join_verb_parts=False).tokenize,
        "multibert_spacy.PersianTokenizer.v1": of_spacy(ours),
    }


def agreement(
    labelled: Sequence[Tokens], raw: Sequence[str], social: Sequence[Tokens] = ()
) -> dict[str, Any]:
    """Measure every candidate in every view.

    labelled (Sequence[Tokens]): The labelled tweets.
    raw (Sequence[str]): Tweets as collected, the labelled ones among them.
    social (Sequence[Tokens]): The sentences of ParsNER-social.
    RETURNS (dict[str, Any]): By view: the number of texts and of tokens, and the figures of each
        tokenizer.
    """
    views: dict[str, tuple[list[tuple[Tokens, str]], Callable[[str], str]]] = {}
    for name, squeeze in (("raw", plain), ("raw_folded", folded)):
        by_key = {squeeze(text): text for text in raw}
        keyed = ((tokens, squeeze("".join(word for word, _ in tokens))) for tokens in labelled)
        texts = [(tokens, by_key[key]) for tokens, key in keyed if key in by_key]
        views[name] = texts, visible if squeeze is plain else squeeze
    for name, corpus in (("rejoined", labelled), ("social", [_without_shreds(s) for s in social])):
        texts = [(tokens, rejoin(word for word, _ in tokens)) for tokens in corpus if tokens]
        views[name] = texts, visible
    tokenizers = candidates()
    return {
        name: {
            "texts": len(texts),
            "tokens": sum(len(tokens) for tokens, _ in texts),
            "tokenizers": {
                label: score(texts, tokenize, squeeze) for label, tokenize in tokenizers.items()
            },
        }
        for name, (texts, squeeze) in views.items()
        if texts
    }


def _without_shreds(tokens: Tokens) -> Tokens:
    return [(word, tag) for word, tag in tokens if not _SHRED.search(word)]


def main(
    parstwiner: Annotated[Path, typer.Argument(help="Folder of train.txt, dev.txt, test.txt")],
    raw: Annotated[
        Path | None, typer.Option(help="Tweets as collected; raw_tweets.txt of that folder")
    ] = None,
    social: Annotated[Path | None, typer.Option(help="Folder of ParsNER-social")] = None,
    output: Annotated[Path, typer.Option(help="Where the figures go")] = OUTPUT,
) -> None:
    """Measure the agreement of tokenizers with the corpora's tokens."""
    parts = (read_tokens(parstwiner / f"{part}.txt") for part in ("train", "dev", "test"))
    labelled = [tokens for part in parts for tokens in part]
    posts = (
        [s for path in sorted(social.glob("*.pos")) for s in read_tokens(path)] if social else []
    )
    result = agreement(labelled, read_raw(raw or parstwiner / "raw_tweets.txt"), posts)
    command = f"python -m scripts.checks.tokenizer_agreement {parstwiner.name}"
    command += f" --raw {raw.name}" if raw else ""
    command += f" --social {social.name}" if social else ""
    save({"command": command, "labelled_tweets": len(labelled), **result}, output)


if __name__ == "__main__":
    typer.run(main)
