"""Texts to Docs and `.spacy` files."""

from collections.abc import Iterable
from pathlib import Path

from spacy.lang.fa import Persian
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab, create_vocab

import multibert_spacy.text.threads  # noqa: F401  (registers doc._.domain and doc._.thread)

from ..docbin import ATTRS, write_atomically
from .render import Text

__all__ = ["make_vocab", "text_to_doc", "write_docs"]


def make_vocab() -> Vocab:
    """Make the vocabulary of `spacy.blank("fa")` without importing every installed component."""
    return create_vocab(Persian.lang, Persian.Defaults)


def text_to_doc(text: Text, vocab: Vocab) -> Doc:
    """Build the gold doc of a text: every token is explicitly in or outside an entity.

    text (Text): With legal BIO tags.
    vocab (Vocab): The vocabulary of the new doc.
    RETURNS (Doc): With `doc.ents`, `doc._.domain` and `doc._.thread`.
    """
    doc = Doc(
        vocab,
        words=[token.text for token in text.tokens],
        spaces=[token.space for token in text.tokens],
        ents=[token.tag for token in text.tokens],
    )
    doc._.domain = text.domain
    doc._.thread = text.thread
    return doc


def write_docs(docs: Iterable[Doc], path: Path) -> None:
    """Write docs with their attributes, in one step."""
    doc_bin = DocBin(attrs=ATTRS, docs=docs, store_user_data=True)
    write_atomically(path, doc_bin.to_bytes())
