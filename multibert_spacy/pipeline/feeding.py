"""Feed spacy-transformers' own listeners, with the core as it is or with adapters.

`annotate = true` is spacy-transformers' way: the transformer writes `doc._.trf_data` in its own
place, the first. With `adapted = true` that place is too early, since an adapter belongs to a
domain and the domain is known behind the detector only. So the *tagger* writes it: it has the
domains, the windows and the adapters, and what stands behind it can listen. Alternatives were a
transformer that runs the detector and the adapters itself (both components' work done twice, and
`spacy train` could not update them), and data that is computed when it is asked for (it would not
survive `to_bytes`, and spaCy's listeners read an attribute). In training the price is one more
forward pass of the tagger's, without dropout.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from spacy.tokens import Doc
from spacy_transformers.data_classes import TransformerData
from spacy_transformers.layers import TransformerListener
from thinc.api import Model

from ..core.encoder import Core
from ..core.trf_data import make_trf_data
from .batching import Row

__all__ = ["doc_trf_data", "hand_over", "listens"]


def listens(component: Any, upstream: str) -> bool:
    """Return whether a component listens to a transformer of this name.

    It does if its model holds one of spacy-transformers' listeners to it.
    """
    model = getattr(component, "model", None)
    return isinstance(model, Model) and any(
        isinstance(node, TransformerListener) and node.upstream_name in ("*", upstream)
        for node in model.walk()
    )


def hand_over(
    listeners: Iterable[Any], docs: Sequence[Doc], data: Sequence[TransformerData]
) -> None:
    """Give listeners what they read in the next update. Nothing comes back: the core is frozen,
    and the adapters learn from their own component.
    """
    batch_id = TransformerListener.get_batch_id(docs)
    for listener in listeners:
        listener.receive(batch_id, data, lambda gradients: [])


def doc_trf_data(
    docs: Sequence[Doc], rows: Sequence[Row], states: Sequence[Any], core: Core
) -> list[TransformerData]:
    """Make what `doc._.trf_data` holds of docs that were tagged.

    rows (Sequence[Row]): The docs' windows.
    states (Sequence): For each row its hidden states (t, h) float32.
    core (Core): What they come from.
    RETURNS (list[TransformerData]): For each doc; see `make_trf_data`.
    """
    parts: list[list[int]] = [[] for _ in docs]
    for i, row in enumerate(rows):
        parts[row.doc].append(i)
    return [
        make_trf_data(
            [rows[i].ids for i in own],
            [rows[i].firsts for i in own],
            [rows[i].words for i in own],
            [states[i] for i in own],
            core,
            n_words=len(doc),
        )
        for doc, own in zip(docs, parts, strict=True)
    ]
