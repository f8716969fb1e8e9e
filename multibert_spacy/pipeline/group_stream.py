"""A stream of docs, group by group. What decides is in `domain_detector.py`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..text.blank import is_blank
from ..text.threads import Group, apply_context, given_domain, group_docs, take_groups
from ..types import Floats2d

__all__ = ["GroupStream", "join_docs"]

Row = NDArray[np.float32]


class GroupStream:
    """The half of `DomainDetector` that knows which docs are read together. A doc whose domain
    was given takes no part; one that was detected before is detected anew.
    """

    name: str
    vocab: Vocab
    group_size: int
    max_thread: int
    get_error_handler: Callable[[], Callable[..., Any]]
    predict: Callable[[list[Doc]], Floats2d]
    write_domain: Callable[[Doc, Row | None], None]
    check_tokens: Callable[[Iterable[Doc]], None]

    def __call__(self, doc: Doc) -> Doc:
        """A doc on its own is a group of one."""
        return next(iter(self.pipe([doc])), doc)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Detect the domains of a stream. spaCy's own `pipe` would cut a group at the border of a
        batch; here a batch ends with the group in which the next multiple of batch_size is
        reached. A later component that buffers batch_size docs then has what it waits for, and
        both together hold no more than that and one group.

        stream (Iterable[Doc]): Docs.
        batch_size (int): Docs to buffer.
        YIELDS (Doc): The docs, in order.
        """
        groups = group_docs(self._legible(stream), self.group_size, self.max_thread)
        n_done, row = 0, None
        while batch := take_groups(groups, batch_size - n_done % batch_size):
            done, row = self._detect(batch, row)
            for group in done:
                n_done += len(group)
                yield from group

    def _legible(self, stream: Iterable[Doc]) -> Iterator[Doc]:
        """YIELDS (Doc): The docs whose context can be taken; the error handler has the others."""
        for doc in stream:
            try:
                apply_context(doc)
            except Exception as e:
                self.get_error_handler()(self.name, self, [doc], e)
            else:
                yield doc

    def _detect(
        self, groups: Sequence[list[Doc]], row: Row | None
    ) -> tuple[Sequence[list[Doc]], Row | None]:
        """`annotate_groups`; where it fails, group by group.
        RETURNS (tuple): The groups without the docs that failed, and the last group's scores.
        """
        try:
            return groups, self.annotate_groups(groups, row)
        except Exception:
            done = []
            for group in groups:
                sound, row = self._detect_alone(group, row)
                done.append(sound)
            return done, row

    def _detect_alone(self, group: list[Doc], row: Row | None) -> tuple[list[Doc], Row | None]:
        """A doc that fails goes to the error handler alone, and its group is read without it. If
        none fails alone, the group does as a whole.
        """
        try:
            return group, self.annotate_groups([group], row)
        except Exception as e:
            goes_on = _goes_on(group)
            sound = Group(filter(self._is_sound, group), goes_on=goes_on)
            if len(sound) < len(group):
                return self._detect_alone(sound, row)
            self.get_error_handler()(self.name, self, list(group), e)
            return [], row if goes_on else None

    def _is_sound(self, doc: Doc) -> bool:
        """Whether a doc can be read on its own; if not, the error handler is told."""
        try:
            if given_domain(doc) is None:
                self.predict([join_docs([doc], self.vocab)])
        except Exception as e:
            self.get_error_handler()(self.name, self, [doc], e)
            return False
        return True

    def annotate_groups(
        self, groups: Sequence[list[Doc]], before: Row | None = None
    ) -> Row | None:
        """Detect and write the domain of each group's docs that were not given one. A group that
        goes on has that of the group before, or decides itself where nothing could be read there.

        groups (Sequence[list[Doc]]): Groups of docs.
        before (labels,): Scores of the group before the first one.
        RETURNS (labels,): Scores of the last group; None if nothing could be read.
        """
        scores: list[Row] = [] if before is None else [before]
        at = None if before is None else 0
        joined: list[Doc] = []
        plan: list[tuple[list[Doc], int | None]] = []
        for group in groups:
            for doc in group:
                apply_context(doc)
            own = [doc for doc in group if given_domain(doc) is None]
            if not _goes_on(group):
                at = None
            if at is None and not all(map(is_blank, own)):
                at = len(scores) + len(joined)
                joined.append(join_docs(own, self.vocab))
            plan.append((own, at))
        if joined:
            scores.extend(self.predict(joined))
        for docs, i in plan:
            for doc in docs:
                self.write_domain(doc, None if i is None else scores[i])
            self.check_tokens(docs)
        return None if at is None else scores[at]


def _goes_on(group: list[Doc]) -> bool:
    return isinstance(group, Group) and group.goes_on


def join_docs(docs: Sequence[Doc], vocab: Vocab) -> Doc:
    """docs (Sequence[Doc]): A group.
    RETURNS (Doc): A new doc with all their words; nothing else is copied.
    """
    words = [word for doc in docs for word in doc]
    spaces = [bool(word.whitespace_) for word in words]
    for i in np.cumsum([len(doc) for doc in docs])[:-1]:
        if i:
            spaces[i - 1] = True
    return Doc(vocab, words=[word.text for word in words], spaces=spaces)
