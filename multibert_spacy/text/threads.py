"""Threads: which docs of a stream belong together, and the two attributes that say so.

`doc._.domain`, `doc._.thread` and `span._.score` are the package's only custom attributes. They
are installed when the package is imported, so that `.spacy` files that carry them can be read by
anyone who imports it.
"""

import logging
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from spacy.tokens import Doc, Span

from ..errors import ConfigError
from .surrogates import check_whole

__all__ = ["apply_context", "buffer_groups", "group_docs", "install_extensions"]

logger = logging.getLogger(__name__)


def install_extensions() -> None:
    """Register `doc._.domain` (str or None), `doc._.thread` (hashable or None) and `span._.score`
    (float or None: the probability of an entity, which spaCy keeps by its characters).
    """
    for name in ("domain", "thread"):
        if not Doc.has_extension(name):
            Doc.set_extension(name, default=None)
    if not Span.has_extension("score"):
        Span.set_extension("score", default=None)


def apply_context(doc: Doc) -> None:
    """Take `thread` and `domain` from the context of `nlp.pipe(..., as_tuples=True)`.

    Any context that is not a dict is left alone, and so is every other key. What is already set
    on the doc is not replaced, so that the call may be repeated.

    doc (Doc): The doc whose `_context` is read.
    RAISES (MultibertError): If its text was mended, see `surrogates.py`.
    """
    check_whole(doc)
    context = doc._context
    if not isinstance(context, dict):
        return
    for name in ("thread", "domain"):
        if context.get(name) is not None and doc._.get(name) is None:
            doc._.set(name, context[name])


def group_docs(docs: Iterable[Doc], group_size: int) -> Iterator[list[Doc]]:
    """Cut a stream into the groups that share one domain.

    Neighbouring docs with the same `doc._.thread` are one group, whatever their number.
    Neighbouring docs without a thread are cut into groups of `group_size`; the last one of such
    a run may be smaller. Joined, the groups are the stream again.

    docs (Iterable[Doc]): The stream; contexts are applied on the way.
    group_size (int): Docs per group where no thread is given, at least 1.
    YIELDS (list[Doc]): One group.
    RAISES (ConfigError): If group_size is below 1.
    """
    if group_size < 1:
        raise ConfigError(f"group_size must be at least 1, got {group_size}")

    def thread_of(doc: Doc) -> object:
        apply_context(doc)
        return doc._.thread

    last: Sequence[Doc] = ()
    for thread, run in groupby(docs, thread_of):
        for group in [list(run)] if thread is not None else _cut(run, group_size):
            if thread is not None and not last:
                _say_cut(group, "begins")
            last = list(group)
            complete = thread is None and len(group) == group_size
            yield group
    if last and not complete:
        _say_cut(last, "ends")


def _cut(docs: Iterable[Doc], size: int) -> Iterator[list[Doc]]:
    """YIELDS (list): The docs in groups of this size; the last may be smaller."""
    group: list[Doc] = []
    for doc in docs:
        group.append(doc)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _say_cut(group: Sequence[Doc], where: str) -> None:
    """`nlp.pipe(n_process=2)` sends whole batches to processes, and each sees its batch as a
    stream of its own: a group may go on in another process. No process can know, so this says
    that it may be, once for each.
    """
    target = getattr(multiprocessing.current_process(), "_target", None)
    if getattr(target, "__name__", "") != "_apply_pipes" or _said:
        return
    _said.append(True)
    logger.warning(
        "A batch of nlp.pipe(n_process=...) %s with a group (thread %r, %d texts) that may go on "
        "in another process, where its domain is found anew. Choose a batch_size that holds whole "
        "threads and is a multiple of group_size, or give the domains.",
        where,
        group[0]._.thread,
        len(group),
    )


_said: list[bool] = []


def buffer_groups(groups: Iterable[list[Doc]], n_docs: int) -> Iterator[list[list[Doc]]]:
    """YIELDS (list): Groups that together hold at least n_docs docs, at the end what is left."""
    batch: list[list[Doc]] = []
    total = 0
    for group in groups:
        batch.append(group)
        total += len(group)
        if total >= n_docs:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


install_extensions()
