"""One pass of the core for components that read the same rows with equal adapters.

In front of a head nothing depends on what the head is for: the hidden states of a row come from
its pieces and its adapter. spaCy hands a batch of docs from one component to the next, so what the
first one has read is kept until the last one has taken it. Adapters are equal if their values are,
whichever component has them; a row that another component cuts otherwise is read again.
"""

import weakref
from collections.abc import Sequence
from typing import Any

from ..core.encoder import Core
from ..networks.tagger_model import TaggerView
from ..types import Floats2d
from .batching import Row, read_rows

__all__ = ["SharedPass"]

Key = tuple[str, bytes, bytes]


class SharedPass:
    """The hidden states of the words that were read last. Threads that take turns read more than
    they would have to, and nothing wrong.
    """

    def __init__(self) -> None:
        """Make one that knows nothing."""
        self._known: dict[Key, Floats2d] = {}

    @classmethod
    def on(cls, core: Core) -> "SharedPass":
        """Return that of a core."""
        return _PASSES.setdefault(core, cls())

    def read(
        self,
        rows: Sequence[Row],
        view: TaggerView,
        budget: int,
        *,
        states: bool = False,
        keep: bool = True,
    ) -> tuple[list[Floats2d], list[Any]]:
        """Run the network on the rows that are not known, and the heads on all.

        rows, view, budget, states: See `read_rows`, which is what it returns.
        keep (bool): Whether somebody else will ask for them.
        """
        keys = [_key(row, view) for row in rows]
        known = self._known
        new = [i for i, key in enumerate(keys) if states or key not in known]
        old = sorted(set(range(len(rows))) - set(new))
        fresh, hidden = read_rows([rows[i] for i in new], view, budget, states=True)
        words = {i: own[rows[i].firsts] for i, own in zip(new, hidden, strict=True)}
        words |= {i: known[keys[i]] for i in old}
        logits = dict(zip(new, fresh, strict=True))
        domains = [rows[i].domain for i in old]
        logits |= zip(old, view.label([words[i] for i in old], domains), strict=True)
        self._known = {key: words[i] for i, key in enumerate(keys)} if keep else {}
        return [logits[i] for i in range(len(rows))], hidden if states else [None] * len(rows)


def _key(row: Row, view: TaggerView) -> Key:
    """Return what the hidden states of a row's words depend on."""
    ids = b" ".join(str(piece).encode() for piece in row.ids)
    return view.adapter_key(row.domain), ids, row.firsts.tobytes()


_PASSES: "weakref.WeakKeyDictionary[Core, SharedPass]" = weakref.WeakKeyDictionary()
