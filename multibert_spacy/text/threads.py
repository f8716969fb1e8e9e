"""Tell which docs of a stream belong together; the attributes that say so are defined here.

`doc._.domain`, `doc._.domain_score`, `doc._.thread` and `span._.score` are installed when the
package is imported, so that `.spacy` files that carry them can be read by anyone who imports it.

A domain is given or detected, and only a given one wins when a doc comes (again). Whoever assigns
`doc._.domain` gives it; the detector writes a score beside it, which the next assignment removes.
"""

import logging
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from typing import Any

from spacy.tokens import Doc, Span

from ..errors import ConfigError
from .keys import is_missing, pack_key, unpack_key
from .surrogates import check_whole

__all__ = [
    "Group",
    "apply_context",
    "given_domain",
    "group_docs",
    "install_extensions",
    "take_groups",
]

logger = logging.getLogger(__name__)


def install_extensions() -> None:
    """Register `doc._.domain` (str or None), `doc._.domain_score` (float or None),
    `doc._.thread` (hashable or None) and `span._.score` (float or None: the probability of an
    entity, which spaCy keeps by its characters). All stay in `doc.user_data` under spaCy's own
    keys. What someone else has registered keeps its default, or its getter.
    """
    for name in ("domain", "thread"):
        found = Doc.get_extension(name) if Doc.has_extension(name) else (None,) * 4
        default, method, getter, _ = found
        if method is None and getter is None:
            Doc.set_extension(
                name,
                getter=partial(_get, name=name, default=default),
                setter=partial(_set, name=name),
                force=True,
            )
    if not Doc.has_extension("domain_score"):
        Doc.set_extension("domain_score", default=None)
    if not Span.has_extension("score"):
        Span.set_extension("score", default=None)


def _key(name: str) -> tuple[str, str, None, None]:
    return ("._.", name, None, None)


def _get(doc: Doc, *, name: str, default: Any) -> Any:
    value = unpack_key(doc.user_data.get(_key(name)))
    return default if is_missing(value) else value


def _set(doc: Doc, value: Any, *, name: str) -> None:
    """Set an attribute of a doc, or remove it.

    RAISES (ConfigError): If the value is not hashable.
    """
    form = None if is_missing(value) else pack_key(value)
    if form is None:
        doc.user_data.pop(_key(name), None)
    else:
        doc.user_data[_key(name)] = form
    if name == "domain":
        doc.user_data.pop(_key("domain_score"), None)


def given_domain(doc: Doc) -> Any:
    """The domain that a doc was given.

    doc (Doc): A doc.
    RETURNS (Any): Its domain, unless a detector wrote it or there is none: then None.
    """
    return doc._.domain if doc._.domain_score is None else None


def apply_context(doc: Doc) -> None:
    """Take `thread` and `domain` from the context of `nlp.pipe(..., as_tuples=True)`.

    Any context that is not a dict is left alone, and so is every other key. What was set on the
    doc is not replaced, so that the call may be repeated; a detected domain is.

    doc (Doc): The doc whose `_context` is read.
    RAISES (ConfigError): If one of the two is not hashable.
    RAISES (MultibertError): If its text was mended, see `surrogates.py`.
    """
    check_whole(doc)
    context = doc._context
    if not isinstance(context, dict):
        return
    if not is_missing(context.get("thread")) and doc._.thread is None:
        doc._.thread = context["thread"]
    if not is_missing(context.get("domain")) and given_domain(doc) is None:
        doc._.domain = context["domain"]


class Group(list[Doc]):
    """Docs that share one domain; `goes_on` where it is that of the group before."""

    def __init__(self, docs: Iterable[Doc] = (), *, goes_on: bool = False) -> None:
        super().__init__(docs)
        self.goes_on = goes_on


def group_docs(
    docs: Iterable[Doc], group_size: int, max_thread: int | None = None
) -> Iterator[Group]:
    """Cut a stream into the groups that share one domain.

    Neighbouring docs with the same `doc._.thread` are one group, up to `max_thread`; each further
    one is a group that goes on, so that a thread without an end is not waited for. Neighbouring
    docs without a thread are cut into groups of `group_size`; the last one of such a run may be
    smaller. Joined, the groups are the stream again.

    docs (Iterable[Doc]): The stream; contexts are applied on the way.
    group_size (int): Docs per group where no thread is given, at least 1.
    max_thread (int): Docs of a thread that are one group, at least 1; None is all.
    YIELDS (Group): One group.
    RAISES (ConfigError): If group_size or max_thread is below 1.
    """
    if group_size < 1:
        raise ConfigError(f"group_size must be at least 1, got {group_size}")
    if max_thread is not None and max_thread < 1:
        raise ConfigError(f"max_thread must be at least 1, got {max_thread}")

    def thread_of(doc: Doc) -> object:
        apply_context(doc)
        return doc._.thread

    last: Sequence[Doc] = ()
    for thread, run in groupby(docs, thread_of):
        cut, size = (_cut, group_size) if thread is None else (_cut_thread, max_thread)
        for group in cut(run, size):
            if thread is not None and not last:
                _say_cut(group, "begins")
            last = list(group)
            complete = thread is None and len(group) == group_size
            yield group
    if last and not complete:
        _say_cut(last, "ends")


def _cut(docs: Iterable[Doc], size: int | None) -> Iterator[Group]:
    """Yield the docs in groups of this size; the last may be smaller."""
    docs = iter(docs)
    while group := Group(islice(docs, size)):
        yield group


def _cut_thread(docs: Iterable[Doc], size: int | None) -> Iterator[Group]:
    """Yield the first docs, then each further one."""
    docs = iter(docs)
    yield Group(islice(docs, size))
    for doc in docs:
        yield Group([doc], goes_on=True)


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


def take_groups(groups: Iterator[Group], n_docs: int) -> list[Group]:
    """Return the next groups that together hold at least n_docs docs, or what is left."""
    taken: list[Group] = []
    total = 0
    for group in groups:
        taken.append(group)
        total += len(group)
        if total >= n_docs:
            break
    return taken
