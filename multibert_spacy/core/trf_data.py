"""Hidden states of a component with adapters, as spacy-transformers' listeners read them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy_transformers.data_classes import TransformerData, WordpieceBatch
from thinc.api import get_array_module
from thinc.types import Ragged
from transformers.file_utils import ModelOutput

from .encoder import Core

__all__ = ["make_trf_data"]


def make_trf_data(
    rows: Sequence[Sequence[int]],
    firsts: Sequence[NDArray[np.int64]],
    places: Sequence[NDArray[np.int64]],
    states: Sequence[Any],
    core: Core,
    *,
    n_words: int,
) -> TransformerData:
    """What `doc._.trf_data` holds.

    A word is aligned to its first piece, which is what the tagger's head reads of it: pooling then
    gives the head's own input. spacy-transformers aligns to all pieces; where windows overlap, a
    word would be pooled over two contexts, of which the tagger keeps one.

    rows (Sequence[Sequence[int]]): Pieces of each window, without the two special ones.
    firsts (Sequence): As in `WindowBatch`: of each word that the window keeps and sees.
    places (Sequence): Which words of the doc these are.
    states (Sequence): For each window (t, h) float32, t with the two special pieces.
    core (Core): The core, for its special pieces and its width.
    n_words (int): Words of the doc.
    RETURNS (TransformerData): last_hidden_state is (windows, t, h), with zeros behind a window's
        end; a word without pieces is aligned to nothing, as with spacy-transformers.
    """
    if not n_words:
        return TransformerData.empty()
    if not rows:  # words, but none that is seen
        rows, firsts, places = [[]], [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        states = [np.zeros((2, core.width), dtype=np.float32)]
    lengths = [len(row) + 2 for row in rows]
    longest = max(lengths)
    xp = get_array_module(states[0])
    hidden = xp.zeros((len(rows), longest, states[0].shape[-1]), dtype="f")
    ids = np.full((len(rows), longest), core.pad, dtype=np.int64)
    mask = np.zeros(ids.shape, dtype=np.float32)
    for i, (row, own) in enumerate(zip(rows, states, strict=True)):
        hidden[i, : lengths[i]] = own
        ids[i, : lengths[i]] = [core.bos, *row, core.eos]
        mask[i, : lengths[i]] = 1
    at = np.full(n_words, -1, dtype=np.int64)
    for i, (own, where) in enumerate(zip(firsts, places, strict=True)):
        at[where] = own + i * longest
    strings = [core.tokenizer.convert_ids_to_tokens(row.tolist()) for row in ids]
    return TransformerData(
        wordpieces=WordpieceBatch(strings, ids, mask, lengths, None),
        model_output=ModelOutput(last_hidden_state=hidden),
        align=Ragged(at[at >= 0].astype("i"), (at >= 0).astype("i")),
    )
