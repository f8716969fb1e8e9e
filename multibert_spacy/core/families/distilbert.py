"""The family of DistilBERT: BERT's block under other names, without token types."""

from .post_norm import PostNorm

__all__ = ["DISTILBERT"]

DISTILBERT = PostNorm(
    kind="distilbert",
    layers="transformer.layer",
    sites=(
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "ffn.lin1",
        "ffn.lin2",
    ),
    query_value=("attention.q_lin", "attention.v_lin"),
    settings=("activation", "hidden_dim"),
    counts=("hidden_dim",),
    attention_norm="sa_layer_norm",
    activation="ffn.activation",
    output_norm="output_layer_norm",
    token_types=False,
)
