"""ELECTRA's discriminator: BERT's layout, and a projection where its embeddings are narrower."""

from dataclasses import replace

from .bert import BERT

__all__ = ["ELECTRA"]

ELECTRA = replace(
    BERT,
    kind="electra",
    settings=("embedding_size",),
    projection="embeddings_project",
    counts=(*BERT.counts, "embedding_size"),
)
