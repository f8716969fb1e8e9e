"""The frozen core: a BERT-family encoder, its tokenizer, and one forward pass for many adapters.

Why an own forward pass. PEFT swaps modules of the core and keeps the active adapter as a global
state: one adapter at a time, and no two threads. transformers' own forward has no place for an
adapter per row. So `Core.forward` walks over the modules of the Hugging Face model (weights,
layer norms and activation stay theirs) and asks a `RowAdapter` for what to add at each linear
layer and in front of the keys and values. Nothing is swapped and nothing is remembered, so the
same core serves several components and threads. Supported are BERT, RoBERTa and XLM-R, which
share their layout; a test holds that without an adapter the result is Hugging Face's.

Positions are explicit: a prefix does not shift the text, as PEFT's does (and so loses 22 of 512
positions); `position_offset` reproduces PEFT's choice.
"""

import copy
import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError, CoreError
from ..text.align import PieceCache
from ..types import PieceIds
from .packing import Layout, PaddedRows
from .precision import check_engine, resolve_precision
from .process import prepare_process
from .row_adapter import RowAdapter
from .settings import core_settings

__all__ = ["Core", "RowAdapter", "layer_of", "resolve_precision"]

FAMILIES = ("bert", "roberta", "xlm-roberta")


class Core:
    """A transformer that is lent to several components."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        precision: str = "auto",
        trainable: bool = False,
        engine: str = "torch",
    ) -> None:
        """Take a model and its tokenizer.

        model (PreTrainedModel): An encoder of a supported family; frozen unless trainable.
        tokenizer (PreTrainedTokenizerBase): Its tokenizer.
        precision (str): See `resolve_precision`.
        trainable (bool): Whether gradients reach the core's own weights.
        engine (str): What components predict with, see `engines/`; this class is always torch.
        RAISES (CoreError): If the architecture is not supported.
        RAISES (ConfigError): If precision or engine are unknown or do not go together.
        """
        config = model.config
        if config.model_type not in FAMILIES:
            raise CoreError(
                f"The core '{config._name_or_path}' is of type '{config.model_type}'; "
                f"supported are {', '.join(FAMILIES)}"
            )
        if getattr(config, "position_embedding_type", "absolute") != "absolute":
            raise CoreError(f"Unsupported position embeddings: {config.position_embedding_type}")
        prepare_process()
        self.model = model
        self.tokenizer = tokenizer
        self.trainable = trainable
        self.width: int = config.hidden_size
        self.n_layers: int = config.num_hidden_layers
        self.n_pieces: int = config.vocab_size
        self.n_heads: int = config.num_attention_heads
        roberta = config.model_type != "bert"
        self.first_position = config.pad_token_id + 1 if roberta else 0
        self.max_pieces: int = config.max_position_embeddings - self.first_position
        self.bos, self.eos, self.pad = _special_ids(tokenizer)
        self.byte_level = "Ġ" in "".join(tokenizer.tokenize(" a"))  # where a space begins a word
        self._space = " " if self.byte_level else ""
        self.pieces = PieceCache(self._encode)
        for p in model.parameters():
            p.requires_grad_(trainable)
        model.eval()
        check_engine(engine, precision, self.device, trainable=trainable)
        self.engine = engine
        self.int8 = precision == "int8"
        self.dtype = resolve_precision(precision, self.device)
        self._compute: Any = None
        self._settings: dict[str, Any] | None = None
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is not None:
            backend.no_truncation()
            backend.no_padding()

    @property
    def device(self) -> torch.device:
        """Where the core is."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def _encode(self, words: list[str]) -> list[PieceIds]:
        """Pieces of each word. Not by way of the wrapper, which sets truncation and padding on
        every call and so cannot be used by two threads.
        """
        for special in self.tokenizer.all_special_tokens:  # "[SEP]" in a text is text
            words = [word.replace(special, " ".join(special)) for word in words]
        words = [f"{self._space}{word}" for word in words]
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return [tuple(self.tokenizer.encode(w, add_special_tokens=False)) for w in words]
        safe = [word.encode("utf-8", "replace").decode("utf-8") for word in words]
        return [tuple(e.ids) for e in backend.encode_batch(safe, add_special_tokens=False)]

    def fingerprint(self) -> str:
        """RETURNS (str): SHA-256 over the weights in fp32, the pooler left out: the identity that
        an adapter is bound to, whatever precision the core is stored in.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            if name.startswith("pooler.") or name.endswith(("position_ids", "token_type_ids")):
                continue
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def settings(self) -> dict[str, Any]:
        """All that changes a result and is no weight; see `core_settings.py`."""
        if self._settings is None:
            specials = {"bos": self.bos, "eos": self.eos, "pad": self.pad}
            self._settings = core_settings(self.model.config, self.tokenizer, specials)
        return self._settings

    def compute_model(self) -> Any:
        """What runs: the model itself where it is trained or fp32, otherwise a copy in the compute
        type (the original is kept, since it is what is saved).
        """
        if self.trainable or self.dtype == torch.float32:
            return self.model
        if self._compute is None:
            self._compute = copy.deepcopy(self.model).to(self.dtype)
        return self._compute

    def linear_sites(
        self, targets: Sequence[str] | None = None, first_layer: int = 0
    ) -> dict[str, nn.Linear]:
        """Find the linear layers that an adapter sits on.

        targets (Sequence[str]): Module names inside a layer, such as "attention.self.query", or
            inside the core, such as "encoder.layer.0.attention.self.query"; None takes all.
        first_layer (int): Layers below it carry no adapter.
        RETURNS (dict): Module name inside the core -> module.
        RAISES (ConfigError): If a target or the layer does not exist.
        """
        if not 0 <= first_layer < self.n_layers:
            raise ConfigError(f"first_layer must be in [0, {self.n_layers}), got {first_layer}")
        modules = self.model.encoder.layer.named_modules(prefix="encoder.layer")
        linear = {site: m for site, m in modules if isinstance(m, nn.Linear)}
        inner = {site: layer_of(site)[1] for site in linear if layer_of(site)[0] >= first_layer}
        legal = dict.fromkeys(inner.values())
        for target in targets or ():
            if target not in inner and target not in legal:
                raise ConfigError(f"No linear layer {target!r}; there are {', '.join(legal)}")
        chosen = inner if targets is None else targets
        return {site: linear[site] for site in inner if site in chosen or inner[site] in chosen}

    def forward(
        self,
        ids: Tensor,
        lengths: Tensor,
        adapter: RowAdapter | None = None,
        *,
        dropout: float = 0.0,
        position_offset: int = 0,
        n_layers: int | None = None,
        layout: Layout | None = None,
    ) -> Tensor:
        """Hidden states of the last layer.

        ids (b, t) int64, lengths (b,) int64: Rows padded on the right.
        adapter (RowAdapter): What to add; None is the bare core.
        dropout (float): After the embeddings and each block, and on attention's weights.
        position_offset (int): Added to every position.
        n_layers (int): Stop after so many layers; None is all.
        layout (Layout): How the rows lie while they are computed; None is padded.
        RETURNS (b, t, h): In the compute type. Positions behind a row's length are undefined.
        RAISES (ConfigError): If t is more than the positions the core has.
        """
        t = ids.shape[1]
        if t + position_offset > self.max_pieces:
            raise ConfigError(f"A row of {t} pieces, but the core has {self.max_pieces} positions")
        adapter = adapter or RowAdapter()
        if layout is None:
            layout = PaddedRows(lengths, t, adapter.n_virtual)
        model = self.compute_model()
        autocast = self.trainable and self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=autocast):
            ids, positions = layout.pack(ids)
            x = _embed(model.embeddings, ids, positions + self.first_position + position_offset)
            x = F.dropout(x, dropout, training=dropout > 0)
            for i, layer in enumerate(model.encoder.layer[:n_layers]):
                x = self._layer(layer, i, x, layout, adapter, dropout)
        return layout.unpack(x)

    def key_values(self, ids: Tensor) -> Tensor:
        """Keys and values that the bare core computes for a row: a prefix's start value.

        ids (p,) int64: Pieces.
        RETURNS (p, l * 2 * h) float32: In PEFT's order: layer, key or value, width.
        """
        inputs: dict[str, Tensor] = {}

        class Recorder(RowAdapter):
            def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
                inputs[site] = x
                return super().linear(site, x, module)

        with torch.no_grad():
            row = ids.to(self.device)[None]
            self.forward(row, torch.tensor([row.shape[1]], device=self.device), Recorder())
            parts = []
            for i, layer in enumerate(self.model.encoder.layer):
                for name in ("key", "value"):
                    module = getattr(layer.attention.self, name)
                    x = inputs[f"encoder.layer.{i}.attention.self.{name}"].float()
                    parts.append(F.linear(x[0], module.weight.float(), module.bias.float()))
        return torch.cat(parts, dim=-1)

    def _layer(
        self,
        layer: Any,
        i: int,
        x: Tensor,
        layout: Layout,
        adapter: RowAdapter,
        drop: float,
    ) -> Tensor:
        """One transformer block. x: Of width h, as the layout has it."""
        whole = adapter.block(i, layer, x, layout, self.n_heads, drop)
        if whole is not None:
            return whole

        def linear(name: str, module: Any, x: Tensor) -> Tensor:
            return adapter.linear(f"encoder.layer.{i}.{name}", x, module)

        attention = layer.attention.self
        q = linear("attention.self.query", attention.query, x)
        k = linear("attention.self.key", attention.key, x)
        v = linear("attention.self.value", attention.value, x)
        prefix = adapter.prefix(i, k.dtype)
        a = layout.attend(q, k, v, self.n_heads, prefix, drop)
        output = layer.attention.output
        a = F.dropout(linear("attention.output.dense", output.dense, a), drop, training=drop > 0)
        x = output.LayerNorm(a + x)
        y = layer.intermediate.intermediate_act_fn(
            linear("intermediate.dense", layer.intermediate.dense, x)
        )
        y = F.dropout(linear("output.dense", layer.output.dense, y), drop, training=drop > 0)
        normed: Tensor = layer.output.LayerNorm(y + x)
        return normed


def layer_of(site: str) -> tuple[int, str]:
    """Split the name of a module.

    site (str): A module name inside the core.
    RETURNS (tuple): Its layer, its name in there.
    """
    _, _, i, name = site.split(".", 3)
    return int(i), name


def _embed(embeddings: Any, ids: Tensor, positions: Tensor) -> Tensor:
    """ids (..., t), positions (t,). RETURNS (..., t, h)."""
    x = embeddings.word_embeddings(ids) + embeddings.token_type_embeddings.weight[0]
    normed: Tensor = embeddings.LayerNorm(x + embeddings.position_embeddings(positions))
    return normed


def _special_ids(tokenizer: Any) -> tuple[int, int, int]:
    """Ids of the first, last and padding piece of a row."""
    bos = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    eos = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    pad = tokenizer.pad_token_id
    if bos is None or eos is None or pad is None:
        raise CoreError("The core's tokenizer lacks a cls/bos, sep/eos or pad token")
    return bos, eos, pad
