"""BERT, such as ParsBERT, TookaBERT and FaBERT, and the core that is embedded."""

from .post_norm import PostNorm

__all__ = ["BERT"]

BERT = PostNorm(
    kind="bert",
    layers="encoder.layer",
    sites=(
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ),
    query_value=("attention.self.query", "attention.self.value"),
    counts=("intermediate_size", "type_vocab_size"),
    positive=("layer_norm_eps",),
    attention_norm="attention.output.LayerNorm",
    activation="intermediate.intermediate_act_fn",
    output_norm="output.LayerNorm",
)
