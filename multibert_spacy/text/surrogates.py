"""Halves of surrogate pairs, which are no text: spaCy cannot store them.

`Language.make_doc` has no error handler, so a tokenizer that raises stops a whole stream. Ours
puts U+FFFD in place of the half and writes on the doc that it did; the first of our components
that meets the doc raises in the tokenizer's stead, which costs that text alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spacy.tokens import Doc

from ..errors import MultibertError

__all__ = ["check_whole", "error_of", "mark", "mend", "whole_docs"]

_HALF = re.compile("[\ud800-\udfff]")
_KEY = "multibert_spacy.half_of_a_character"


def error_of(text: str) -> MultibertError | None:
    """Return what is wrong with a text that holds half a surrogate pair; None for other texts."""
    half = _HALF.search(text)
    if half is None:
        return None
    return MultibertError(
        f"Character {half.start()} of a text is the lone surrogate {half.group()!r}. "
        'Replace it first: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")'
    )


def mend(text: str) -> str:
    """Return the text with U+FFFD in place of each half."""
    return _HALF.sub("\ufffd", text)


def mark(doc: Doc, error: MultibertError) -> Doc:
    """Write on the doc of a mended text what was wrong with the text, and return the doc."""
    doc.user_data[_KEY] = str(error)
    return doc


def check_whole(doc: Doc) -> None:
    """Check that the text of a doc is one.

    RAISES (MultibertError): If the doc's text was mended.
    """
    if message := doc.user_data.get(_KEY):
        raise MultibertError(message)


def whole_docs(
    stream: Iterable[Doc], tell: Callable[[list[Doc], Exception], Any]
) -> Iterator[Doc]:
    """Pass on the docs whose text is one.

    stream (Iterable[Doc]): Docs.
    tell (Callable): Takes a list of one doc whose text was mended, and the error.
    YIELDS (Doc): The others.
    """
    for doc in stream:
        try:
            check_whole(doc)
        except MultibertError as e:
            tell([doc], e)
        else:
            yield doc
