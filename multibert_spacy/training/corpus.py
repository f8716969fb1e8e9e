"""Corpus readers: `.spacy` files with a domain on each doc -> examples.

spaCy's own reader cannot be used, since it drops `doc._.domain` of the predicted doc and knows no
filter. Tokens are the corpus's own, so that gold tags and words fit.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.corpus import walk_corpus
from spacy.util import registry
from spacy.vocab import Vocab

from ..errors import ConfigError, CorpusError
from ..pipeline.domain_detector import join_docs
from .decoration import redecorate

__all__ = ["build_domain_corpus_v1", "build_group_corpus_v1", "mask_words", "read_docs"]

Augmenter = Callable[[Language, Example], Iterator[Example]]
Reader = Callable[[Language], Iterator[Example]]

_GIVEAWAY = re.compile("[A-Za-z\u00c0-\u024f\\d#＃@＠]|//")
"""Latin letters, digits of any script, hashtags, mentions, and the shreds of links."""


def read_docs(
    path: str | Path | None,
    vocab: Vocab,
    *,
    domains: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> list[Doc]:
    """Read the docs of a file, or of all files of a folder, in order of their names. Where a folder
    has a file of each wanted domain's name, only those are opened.

    path (Path): A `.spacy` file or a folder of them.
    vocab (Vocab): The docs' vocabulary.
    domains (Sequence[str]): Read only these; empty is all.
    exclude (Sequence[str]): Leave these out.
    RAISES (CorpusError): If the path is missing or holds no file, if a file is damaged, or if a
        wanted domain has no doc.
    """
    if path is None:
        raise CorpusError(
            "A corpus has no path: give --paths.train and --paths.dev, .spacy files or folders"
        )
    if not Path(path).exists():
        raise CorpusError(f"{path} is missing: expected a .spacy file or a folder of them")
    if Path(path).is_file() and not str(path).endswith(".spacy"):
        raise CorpusError(f"{path} is no .spacy file: expected what DocBin.to_disk writes")
    own_files = [Path(path) / f"{domain}.spacy" for domain in domains]
    by_name = bool(own_files) and all(file.is_file() for file in own_files)
    if not by_name and Path(path).is_dir() and not any(Path(path).rglob("*.spacy")):
        raise CorpusError(f"{path} has no .spacy file in it")
    docs: list[Doc] = []
    for file in own_files if by_name else walk_corpus(Path(path), ".spacy"):
        try:
            docs.extend(DocBin().from_disk(file).get_docs(vocab))
        except Exception as e:  # zlib, msgpack and spaCy each have their own
            raise CorpusError(
                f"{file} is damaged or no .spacy file: expected what DocBin.to_disk writes ({e!r})"
            ) from e
    if not docs:
        raise CorpusError(f"{path} holds no doc: expected annotated docs, by DocBin.to_disk")
    found = {doc._.domain for doc in docs}
    missing = set(domains) - found
    if missing:
        names = ", ".join(sorted(str(name) for name in found)) or "(none)"
        raise CorpusError(f"{path} has no doc of {', '.join(sorted(missing))}; it has: {names}")
    wanted = set(domains or found) - set(exclude)
    chosen = [doc for doc in docs if len(doc) and doc._.domain in wanted]
    if not chosen:
        raise CorpusError(
            f"{path} has no doc left with words: domains {list(domains)}, exclude {list(exclude)}"
        )
    return chosen


def mask_words(doc: Doc) -> Doc:
    """Leave out every word that holds Latin letters, digits, a hashtag, a mention or a link.

    By these a channel is known without reading it.

    doc (Doc): Not modified.
    RETURNS (Doc): A new doc, possibly without words, of the same domain and thread.
    """
    words = [word for word in doc if not _GIVEAWAY.search(word.text)]
    masked = Doc(
        doc.vocab,
        words=[word.text for word in words],
        spaces=[bool(word.whitespace_) for word in words],
    )
    masked._.domain, masked._.thread = doc._.domain, doc._.thread
    return masked


def _remember(load: Callable[[Vocab], list[Doc]]) -> Callable[[Vocab], list[Doc]]:
    """Read once per vocabulary.

    spaCy reads the corpus anew for each label scan and evaluation, and unpacking a doc's user data
    is slow.
    """
    known: list[tuple[Vocab, list[Doc]]] = []

    def remembered(vocab: Vocab) -> list[Doc]:
        if not known or known[0][0] is not vocab:
            known[:] = [(vocab, load(vocab))]
        return known[0][1]

    return remembered


@registry.readers("multibert_spacy.DomainCorpus.v1")
def build_domain_corpus_v1(
    path: str | Path | None,
    domains: list[str] | str = [],  # noqa: B006
    exclude: list[str] = [],  # noqa: B006
    keep_domain: bool = True,
    limit: int = 0,
    augmenter: Augmenter | None = None,
    shuffle: bool = False,
    seed: int = 0,
) -> Reader:
    """Examples for the tagger.

    path (Path): A `.spacy` file or a folder of them; None is an error once it is read.
    domains (list[str] | str): Read only these, or this one; empty is all.
    exclude (list[str]): Leave these out.
    keep_domain (bool): Whether the predicted doc is given its domain. False where one adapter is
        trained on all domains: then the component's default_domain holds.
    limit (int): Docs per domain at the most; 0 is all.
    augmenter (Callable): As in spaCy's own reader: makes examples of an example.
    shuffle (bool): Whether each pass has an order of its own. With `training.max_epochs = -1`
        spaCy asks for the examples of each epoch anew, so that an augmenter makes others of them,
        and leaves the order to the reader; otherwise it asks once and shuffles itself.
    seed (int): Of the orders.
    """
    if limit < 0:
        raise ConfigError(f"limit must be 0 or more, got {limit}")
    wanted = [domains] if isinstance(domains, str) else domains
    load = _remember(lambda vocab: read_docs(path, vocab, domains=wanted, exclude=exclude))
    rng = random.Random(seed)

    def read(nlp: Language) -> Iterator[Example]:
        seen: dict[str, int] = defaultdict(int)
        docs = load(nlp.vocab)
        for reference in rng.sample(docs, len(docs)) if shuffle else docs:
            seen[reference._.domain] += 1
            if limit and seen[reference._.domain] > limit:
                continue
            predicted = join_docs([reference], nlp.vocab)
            predicted._.thread = reference._.thread
            if keep_domain:
                predicted._.domain = reference._.domain
            example = Example(predicted, reference)
            if augmenter is None:
                yield example
            else:
                yield from augmenter(nlp, example)

    return read


@registry.readers("multibert_spacy.GroupCorpus.v1")
def build_group_corpus_v1(
    path: str | Path | None,
    domains: list[str] | str = [],  # noqa: B006
    exclude: list[str] = [],  # noqa: B006
    group_size: int = 8,
    smallest: int = 0,
    join: bool = True,
    n_groups: int = 0,
    masked: float = 0.0,
    redecorated: float = 0.0,
    seed: int = 0,
) -> Reader:
    """Examples for the detector: groups of docs drawn at random from one domain (section 5).

    path, domains, exclude: As in `multibert_spacy.DomainCorpus.v1`.
    group_size (int): Docs per group.
    smallest (int): If given, each group's size is drawn from [smallest, group_size] with a weight
        of 1 / size ** 2: small groups are hard, and hold few docs.
    join (bool): True yields one doc per group, for training. False yields the docs themselves,
        group by group and each group a thread, for a detector in a pipeline: what is left over
        of a domain is dropped.
    n_groups (int): Groups per domain and pass, drawn with replacement of docs between groups; 0
        cuts each shuffled domain once, so that large domains have more groups.
    masked (float): Share of the groups that are given without the words by which a channel is
        known (see `mask_words`), so that a detector learns to read the others, too.
    redecorated (float): Share of the other groups that are given with what texts wear taken off
        or put on (see `decoration.py`).
    seed (int): Seed of the drawing. Each further pass draws anew.
    """
    if group_size < 1 or not 0 <= smallest <= group_size:
        raise ConfigError(f"Groups of {smallest} to {group_size} docs make no sense")
    if n_groups < 0:
        raise ConfigError(f"n_groups must be 0 or more, got {n_groups}")
    if not 0 <= masked <= 1:
        raise ConfigError(f"masked must be in [0, 1], got {masked}")
    if not 0 <= redecorated <= 1:
        raise ConfigError(f"redecorated must be in [0, 1], got {redecorated}")
    rng = random.Random(seed)
    wanted = [domains] if isinstance(domains, str) else domains
    load = _remember(lambda vocab: read_docs(path, vocab, domains=wanted, exclude=exclude))

    def read(nlp: Language) -> Iterator[Example]:
        by_domain: dict[str, list[Doc]] = defaultdict(list)
        for doc in load(nlp.vocab):
            by_domain[doc._.domain].append(doc)
        names = sorted(by_domain)
        groups: list[tuple[str, list[Doc]]] = []
        for name in names:
            groups.extend((name, group) for group in _draw(by_domain[name]))
        if join:
            rng.shuffle(groups)
        for i, (name, group) in enumerate(groups):
            if masked and rng.random() < masked:
                group = [mask_words(doc) for doc in group]
            elif redecorated and rng.random() < redecorated:
                group = redecorate(group, rng)
            for doc in [join_docs(group, nlp.vocab)] if join else group:
                reference = doc.copy()
                reference.cats = {other: float(other == name) for other in names}
                predicted = join_docs([doc], nlp.vocab)
                predicted._.thread = None if join else i
                yield Example(predicted, reference)

    def _draw(docs: list[Doc]) -> Iterator[list[Doc]]:
        sizes = range(smallest or group_size, group_size + 1)

        def size() -> int:
            return rng.choices(sizes, weights=[n**-2 for n in sizes])[0]

        if n_groups:
            for _ in range(n_groups):
                yield rng.sample(docs, min(size(), len(docs)))
            return
        docs = rng.sample(docs, len(docs))
        while docs:
            n = size()
            if join or len(docs) >= n:
                yield docs[:n]
            docs = docs[n:]

    return read
