"""Between docs and the tagger's network: rows, batches, gold tags, the loss. Which words of a doc
it sees and tags is `text/words.py`'s to say."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example

from ..core.encoder import Core
from ..engines.threads import run_batches
from ..errors import DomainError
from ..networks.tagger_model import TaggerModel, TaggerView
from ..text.align import pack_rows, window_row
from ..text.crf import chain_loss
from ..text.normalize import is_link
from ..text.spans import bio_tags
from ..text.windows import split_windows
from ..text.words import Words, read_hashtags, tagged_words
from ..types import Floats2d, WindowBatch

__all__ = [
    "Row",
    "by_name",
    "doc_loss",
    "doc_rows",
    "doc_words",
    "gold_tags",
    "has_entities",
    "in_order",
    "join_by_doc",
    "pack",
    "read_rows",
    "row_batches",
    "seen_words",
    "split_by_row",
    "tag_pairs",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One window. doc: index of its doc. ids: pieces, without the two special ones. firsts: as in
    `WindowBatch`. words: which words of the doc these are.
    """

    doc: int
    domain: str
    ids: Sequence[int]
    firsts: NDArray[np.int64]
    words: NDArray[np.int64]

    @property
    def length(self) -> int:
        """Pieces, with the two special ones."""
        return len(self.ids) + 2


def doc_rows(
    docs: Sequence[Doc],
    domains: Sequence[str],
    core: Core,
    normalizer: Callable[[str], str],
    *,
    window: int,
    overlap: int,
    signs: Sequence[bool],
) -> list[Row]:
    """The windows of all docs, in order.

    docs (Sequence[Doc]): The docs. Words without pieces, links among them, are in no row: what
        stands between two windows does not depend on them.
    domains (Sequence[str]): Their domains.
    core (Core): The core, for its pieces.
    normalizer (Callable): Normal form of a word.
    window (int): Pieces of a row with the two special ones; capped by what the core takes.
    overlap (int): Pieces that neighbouring windows share.
    signs (Sequence[bool]): For each doc, whether hashtags are seen with their sign.
    """
    size = min(window, core.max_pieces) - 2
    rows = []
    for i, (doc, domain) in enumerate(zip(docs, domains, strict=True)):
        words = read_hashtags(doc, signs=signs[i])
        pieces = core.pieces(["" if is_link(word) else normalizer(word) for word in words])
        seen = np.flatnonzero([len(word) > 0 for word in pieces])
        if len(seen) < len(pieces):
            pieces = [word for word in pieces if word]
        lengths = [len(word) for word in pieces]
        for part in split_windows(lengths, size=size, overlap=min(overlap, size - 1)):
            ids, firsts = window_row(pieces, part, size=size)
            rows.append(Row(i, domain, ids, firsts, seen[part.keep_start : part.keep_end]))
    return rows


def doc_words(rows: Sequence[Row], docs: Sequence[Doc], signs: Sequence[bool]) -> list[Words]:
    """The words of docs that get a tag.

    rows (Sequence[Row]): What `doc_rows` returned for the docs.
    signs (Sequence[bool]): For each doc, whether the sign of a hashtag belongs to the entity.
    RETURNS (list[Words]): The words of each doc that get a tag.
    """
    return [
        tagged_words(doc, own, signs=sign)
        for doc, own, sign in zip(docs, _places(rows, len(docs)), signs, strict=True)
    ]


def seen_words(rows: Sequence[Row], n_docs: int) -> list[Words]:
    """The words of docs that have pieces, for a task without a chain.

    rows (Sequence[Row]): What `doc_rows` returned for the docs.
    RETURNS (list[Words]): Of each doc those that the network sees.
    """
    return [
        Words(own, own, np.zeros(len(own), np.bool_), np.zeros(len(own), np.float32))
        for own in _places(rows, n_docs)
    ]


def _places(rows: Sequence[Row], n_docs: int) -> list[NDArray[np.int64]]:
    """Return which words of each doc have pieces."""
    seen: list[list[NDArray[np.int64]]] = [[np.zeros(0, dtype=np.int64)] for _ in range(n_docs)]
    for row in rows:
        seen[row.doc].append(row.words)
    return [np.concatenate(own) for own in seen]


def row_batches(
    rows: Sequence[Row],
    model: TaggerModel | TaggerView,
    budget: int,
    *,
    is_train: bool = False,
) -> Iterator[tuple[list[int], WindowBatch]]:
    """Rows that go through a model together.

    model (TaggerModel or TaggerView): Says which do.
    budget (int): Pieces of a batch.
    is_train (bool): Whether it is in training.
    YIELDS (tuple): Indices into rows, and the batch of those rows.
    """
    lengths, domains = [row.length for row in rows], [row.domain for row in rows]
    for index in model.batches(lengths, domains, budget, is_train=is_train):
        yield index, pack([rows[i] for i in index], model.core)


def read_rows(
    rows: Sequence[Row], view: TaggerView, budget: int, *, states: bool = False
) -> tuple[list[Floats2d], list[Any]]:
    """Run the network on rows, without gradients.

    view (TaggerView): The network.
    budget (int): Pieces of a batch.
    states (bool): Whether the hidden states are wanted.
    RETURNS (tuple): For each row its logits (kept words, k); for each row its hidden states
        (t, h) float32, or None if they are not wanted.
    """
    batches = list(row_batches(rows, view, budget))
    read = partial(view.read, states=states)
    results = run_batches(read, [batch for _, batch in batches], view.core.engine)
    indices = (index for index, _ in batches)
    by_row = in_order(len(rows), zip(indices, results, strict=True))
    return [logits for logits, _ in by_row], [own for _, own in by_row]


def in_order(n_rows: int, results: Iterable[tuple[Sequence[int], Sequence[T]]]) -> list[T]:
    """Put the results of batches back into the order of rows.

    results (Iterable): For each batch, as `row_batches` made them, its indices and what its
        rows came to.
    RETURNS (list): The same, row by row.
    """
    by_row: list[Any] = [None] * n_rows
    for index, parts in results:
        for i, part in zip(index, parts, strict=True):
            by_row[i] = part
    return by_row


def pack(rows: Sequence[Row], core: Core) -> WindowBatch:
    """Pack rows into a batch, in their order."""
    return pack_rows(
        [row.ids for row in rows],
        [row.firsts for row in rows],
        [row.domain for row in rows],
        bos=core.bos,
        eos=core.eos,
        pad=core.pad,
    )


def join_by_doc(
    rows: Sequence[Row], parts: Sequence[Floats2d], words: Sequence[Words]
) -> list[Floats2d]:
    """Put the words of each doc's rows together, and between them those that are cut.

    words (Sequence[Words]): What `doc_words` returned.
    RETURNS (list): For each doc (w, k); (0, 1) for a doc of which no word is seen.
    """
    by_doc: list[list[Floats2d]] = [[] for _ in words]
    for row, part in zip(rows, parts, strict=True):
        by_doc[row.doc].append(part)
    empty = np.zeros((0, 1), dtype=np.float32)
    joined = [np.concatenate(own) if own else empty for own in by_doc]
    return [own.spread(values) for own, values in zip(words, joined, strict=True)]


def split_by_row(
    rows: Sequence[Row], gradients: Sequence[Floats2d], words: Sequence[Words]
) -> list[Floats2d]:
    """The way back through `join_by_doc`.

    gradients (Sequence): For each doc (w, k).
    RETURNS (list): For each row, its words' part.
    """
    parts = []
    seen = [own.gather(values) for own, values in zip(words, gradients, strict=True)]
    taken = [0] * len(seen)
    for row in rows:
        start = taken[row.doc]
        taken[row.doc] = start + len(row.firsts)
        parts.append(seen[row.doc][start : taken[row.doc]])
    return parts


def gold_tags(eg: Example, labels: Sequence[str], domain: str) -> NDArray[np.int64]:
    """The gold tag of each word of the predicted doc.

    labels (Sequence[str]): Labels of the domain's head.
    RETURNS (w,): Index into `bio_tags(labels)`, or -100 where the tag is missing or the gold
        tokens do not fit.
    RAISES (DomainError): If an entity's label is not among them.
    """
    index = {tag: i for i, tag in enumerate(bio_tags(labels))}
    tags = []
    for tag in eg.get_aligned_ner():
        if tag is None or tag == "-":
            tags.append(-100)
            continue
        bilou, _, label = tag.partition("-")
        bio = f"{'I' if bilou in 'IL' else 'B'}-{label}" if label else tag
        if bio not in index:
            raise DomainError(
                f"The label {label!r} is not one of the head of domain {domain!r}, "
                f"which has: {', '.join(labels)}"
            )
        tags.append(index[bio])
    return np.array(tags, dtype=np.int64)


def has_entities(eg: Example) -> bool:
    """Return whether an example says anything about entities, even that there are none."""
    return bool(eg.reference.has_annotation("ENT_IOB"))


def tag_pairs(docs: Sequence[Doc], labels: Sequence[str]) -> NDArray[np.int64]:
    """Count which tag follows which.

    docs (Sequence[Doc]): Gold docs; entities with other labels count as O.
    labels (Sequence[str]): A head's labels.
    RETURNS (k, k): From the row's tag to the column's, in the order of `bio_tags(labels)`; a doc's
        first word follows O.
    """
    index = {tag: i for i, tag in enumerate(bio_tags(labels))}
    counts = np.zeros((len(index), len(index)), dtype=np.int64)
    for doc in docs:
        tags = np.zeros(len(doc) + 1, dtype=np.int64)
        for ent in doc.ents:
            if ent.label_ in labels:
                tags[ent.start + 1] = index[f"B-{ent.label_}"]
                tags[ent.start + 2 : ent.end + 1] = index[f"I-{ent.label_}"]
        np.add.at(counts, (tags[:-1], tags[1:]), 1)
    return counts


def by_name(names: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield each name, and the places where it stands."""
    for name in dict.fromkeys(names):
        yield name, [i for i, other in enumerate(names) if other == name]


def doc_loss(
    logits: Sequence[Floats2d],
    gold: Sequence[NDArray[np.int64]],
    domains: Sequence[str],
    transitions_of: Callable[[str], Floats2d],
) -> tuple[float, list[Floats2d], dict[str, Floats2d]]:
    """The loss of docs of any domains, per word with a gold tag.

    logits (list): For each doc (w, k).
    gold (list): For each doc, what `gold_tags` returned.
    domains (Sequence[str]): For each doc.
    transitions_of (Callable): Transitions (k, k) of a domain's head.
    RETURNS (tuple): The mean loss; for each doc its gradient (w, k); for each domain that of the
        transitions (k, k).
    """
    n_words = max(sum(int((tags >= 0).sum()) for tags in gold), 1)
    total = 0.0
    gradients: list[Floats2d] = [np.zeros_like(own) for own in logits]
    d_transitions = {}
    for domain, members in by_name(domains):
        loss, d_logits, d_moves = chain_loss(
            [logits[i] for i in members], [gold[i] for i in members], transitions_of(domain)
        )
        total += loss
        for i, gradient in zip(members, d_logits, strict=True):
            gradients[i] = gradient / n_words
        d_transitions[domain] = d_moves / n_words
    return total / n_words, gradients, d_transitions
