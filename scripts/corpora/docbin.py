"""Sentences to spaCy's `.spacy` files."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import srsly
from spacy.lang.fa import Persian
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab, create_vocab

import multibert_spacy.text.threads  # noqa: F401  (registers doc._.domain and doc._.thread)
from multibert_spacy.errors import CorpusError
from multibert_spacy.text.tokenizer import build_persian_tokenizer_v1
from multibert_spacy.training.corpus import read_docs

from ..domains import DOMAINS
from .sentence import SPLITS, Corpus, Sentence

# ORTH and SPACY are always stored. ENT_IOB tells an explicit O from a missing annotation.
ATTRS = ("ENT_IOB", "ENT_TYPE", "TAG")


def to_doc(sentence: Sentence, vocab: Vocab) -> Doc:
    """Build the gold doc: tokens joined by single spaces, every token in or outside an entity.

    RETURNS (Doc): With `doc.ents`, `doc._.domain` and, if there are some, `doc._.thread` and the
        parts of speech as `token.tag_`.
    """
    n_words = len(sentence.words)
    spaces = [True] * (n_words - 1) + [False]
    doc = Doc(
        vocab,
        words=list(sentence.words),
        spaces=spaces,
        ents=list(sentence.tags),
        tags=list(sentence.pos) or None,
    )
    doc._.domain = sentence.domain
    if sentence.thread is not None:
        doc._.thread = sentence.thread
    return doc


def write_atomically(path: Path, data: bytes) -> None:
    """Write through a temporary file beside the target, so that no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # spaCy's corpus reader skips names that begin with a dot.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_vocab() -> Vocab:
    """The one of spacy.blank("fa"), without importing every installed pipeline component."""
    return create_vocab(Persian.lang, Persian.Defaults)


def write_docs(path: Path, docs: Iterable[Doc]) -> None:
    doc_bin = DocBin(attrs=ATTRS, docs=docs, store_user_data=True)
    write_atomically(path, doc_bin.to_bytes())


def write_corpora(corpora: Iterable[Corpus], out: Path) -> list[Path]:
    """Write `<out>/<split>/<domain>.spacy`: the corpus reader opens only the domains it is asked
    for.

    corpora (Iterable[Corpus]): What to write; their domains are disjoint.
    """
    vocab = make_vocab()
    paths = []
    for corpus in corpora:
        for split in SPLITS:
            by_domain: dict[str, list[Doc]] = {}
            for sentence in corpus.splits[split]:
                by_domain.setdefault(sentence.domain, []).append(to_doc(sentence, vocab))
            for domain, docs in by_domain.items():
                path = out / split / f"{domain}.spacy"
                write_docs(path, docs)
                paths.append(path)
    return paths


def write_refit(source: Path, out: Path) -> list[Path]:
    """Write a corpus whose train part holds the dev part too. Settings and numbers of epochs are
    chosen without it; what is shipped is then trained on all that is no test.
    """
    return _write_like(
        source, out, lambda name, vocab, train: [*train, *read_docs(source / "dev" / name, vocab)]
    )


def write_written(source: Path, written: Path, out: Path, *, times: int = 3) -> list[Path]:
    """Write a corpus whose train part begins, domain by domain, with texts that were written for
    it: see assets/written. A text with a name that is no whole words is left out.

    written (Path): Folder of the texts, JSONL by domain, at any depth.
    times (int): How often each of them stands there.
    """

    def more(name: str, vocab: Vocab, train: list[Doc]) -> list[Doc]:
        domain = Path(name).stem
        files = sorted(written.rglob(f"{domain}.jsonl"))
        docs = [doc for file in files for doc in _written_docs(file, domain, vocab)]
        return [*docs * times, *train]

    return _write_like(source, out, more)


def _written_docs(path: Path, domain: str, vocab: Vocab) -> list[Doc]:
    """Return the texts of a file whose names are whole words, with them."""
    tokenizer = build_persian_tokenizer_v1()(Persian(vocab))
    # ParsNER-social counts the sign of a hashtag to the entity
    social = DOMAINS[domain].head == "social"
    docs = []
    for row in srsly.read_jsonl(path):
        doc, text = tokenizer(row["text"]), row["text"]
        spans = [
            doc.char_span(a - (social and text[a - 1 : a] == "#"), b, label)
            for a, b, label in row["entities"]
        ]
        if None not in spans:
            doc.ents = spans
            doc._.domain, doc._.thread = domain, row["thread"]
            docs.append(doc)
    return docs


def _write_like(
    source: Path, out: Path, train_of: Callable[[str, Vocab, list[Doc]], list[Doc]]
) -> list[Path]:
    """Write a corpus that is another but for its train part.

    train_of (Callable): Name of a file, vocabulary and its docs in `source` -> those in `out`.
    RAISES (CorpusError): If a part is missing or damaged, or train and dev differ in domains, or
        `out` is `source`, whose train part would then grow each time.
    """
    if out.resolve() == source.resolve():
        raise CorpusError(f"{out} is the corpus itself: choose another folder to write to")
    names = {split: sorted(p.name for p in (source / split).glob("*.spacy")) for split in SPLITS}
    if not names["train"] or names["train"] != names["dev"] or not names["test"]:
        raise CorpusError(f"{source} has no train, dev and test with a file per domain")
    vocab = make_vocab()
    paths = []
    for name in names["train"]:
        path = out / "train" / name
        write_docs(path, train_of(name, vocab, read_docs(source / "train" / name, vocab)))
        paths.append(path)
    for part in ("dev", "test"):
        shutil.copytree(source / part, out / part, dirs_exist_ok=True)
    return paths
