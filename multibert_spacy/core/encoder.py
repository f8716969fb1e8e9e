"""The frozen core: an encoder, its tokenizer, and one forward pass for many adapters.

Why an own forward pass. PEFT swaps modules of the core and keeps the active adapter as a global
state: one adapter at a time, and no two threads. transformers' own forward has no place for an
adapter per row. So `Core.forward` walks over the modules of the Hugging Face model (weights,
layer norms and activation stay theirs) and asks a `RowAdapter` for what to add at each linear
layer and in front of the keys and values. Nothing is swapped and nothing is remembered, so the
same core serves several components and threads. How the modules of a kind of encoder are walked
over stands in `families/`; a test holds that without an adapter the result is Hugging Face's.

Positions are explicit: a prefix does not shift the text, as PEFT's does (and so loses 22 of 512
positions); `position_offset` reproduces PEFT's choice.
"""

import copy
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError, CoreError
from ..text.align import PieceCache
from ..types import PieceIds
from .dtypes import hash_tensors
from .families.family import Step
from .families.kinds import family_of
from .packing import Layout, PaddedRows
from .precision import check_engine, resolve_precision
from .process import prepare_process
from .row_adapter import RowAdapter
from .settings import core_settings

__all__ = ["ALL_LINEAR", "QUERY_VALUE", "Core", "RowAdapter", "layer_of", "resolve_precision"]

ALL_LINEAR = ("all-linear",)
"""PEFT's word for every linear layer of a core, whatever it calls them."""
QUERY_VALUE = ("query-value",)
"""What PEFT adapts in BERT unless told otherwise, or what corresponds to it in another core."""


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
        self.family = family_of(config)
        prepare_process()
        self.model = model
        self.tokenizer = tokenizer
        self.trainable = trainable
        self.width: int = config.hidden_size
        self.n_layers: int = config.num_hidden_layers
        self.n_pieces: int = config.vocab_size
        self.n_heads: int = config.num_attention_heads
        self.first_position = self.family.first_position(config)
        self.max_pieces: int = config.max_position_embeddings - self.first_position
        self.bos, self.eos, self.pad = _special_ids(tokenizer)
        self.spaced = _wants_space(tokenizer)  # a space begins a word
        self._space = " " if self.spaced else ""
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
        self._sites: dict[bool, dict[str, nn.Linear]] = {}
        self.n_weights: int = sum(p.numel() for p in model.parameters())
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
        """Return the identity that an adapter is bound to, whatever precision the core is stored
        in: SHA-256 over the weights in fp32, the pooler left out.
        """
        return hash_tensors(
            {
                name: tensor
                for name, tensor in self.model.state_dict().items()
                if not name.startswith("pooler.")
                and not name.endswith(("position_ids", "token_type_ids"))
            }
        )

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
        self, targets: Sequence[str] | None = None, first_layer: int = 0, *, shared: bool = False
    ) -> dict[str, nn.Linear]:
        """Find the linear layers that an adapter sits on.

        targets (Sequence[str]): Module names inside a layer, such as "attention.self.query", or
            inside the core, such as "encoder.layer.0.attention.self.query", or `QUERY_VALUE`; None
            and `ALL_LINEAR` take all.
        first_layer (int): Layers below it carry no adapter, nor does what is in front of layers.
        shared (bool): Of layers that share their weights one site for all, by the name that it has
            in the model. Otherwise each depth has its own.
        RETURNS (dict): Module name inside the core -> module.
        RAISES (ConfigError): If a target or the layer does not exist.
        """
        if not 0 <= first_layer < self.n_layers:
            raise ConfigError(f"first_layer must be in [0, {self.n_layers}), got {first_layer}")
        linear = self._linear(shared=shared)
        inner = {site: layer_of(site)[1] for site in linear if layer_of(site)[0] >= first_layer}
        legal = dict.fromkeys(inner.values())
        words = {ALL_LINEAR[0]: tuple(legal), QUERY_VALUE[0]: self.family.query_value}
        targets = ALL_LINEAR if targets is None else targets
        chosen = [name for target in targets for name in words.get(target, (target,))]
        for target in chosen:
            if target not in inner and target not in legal:
                raise ConfigError(f"No linear layer {target!r}; there are {', '.join(legal)}")
        return {site: linear[site] for site in inner if site in chosen or inner[site] in chosen}

    def _linear(self, *, shared: bool) -> dict[str, nn.Linear]:
        """Return all linear layers, which are looked for once; see `linear_sites`."""
        if shared not in self._sites:
            self._sites[shared] = self._find_linear(shared=shared)
        return self._sites[shared]

    def _find_linear(self, *, shared: bool) -> dict[str, nn.Linear]:
        family, modules = self.family, dict(self.model.named_modules())
        found = {name: modules[name] for name in [family.projection] if name in modules}
        for site, layer in (family.own_blocks if shared else family.blocks)(self.model):
            found.update(layer.named_modules(prefix=site))
        return {site: m for site, m in found.items() if isinstance(m, nn.Linear)}

    def places(self, site: str) -> list[str]:
        """Where an adapter's site that layers share is met.

        site (str): As it is named in the model.
        RETURNS (list[str]): Its names, one for each depth; the site itself where none share.
        """
        sharing = self.family.sharing(self.model.config)
        if sharing is None or site == self.family.projection:
            return [site]
        group, inner = layer_of(site)
        blocks = zip(self.family.blocks(self.model), sharing, strict=True)
        return [f"{depth}.{inner}" for (depth, _), own in blocks if own == group]

    @property
    def replication(self) -> list[list[int]] | None:
        """PEFT's `layer_replication` for an adapter with an A and B for each depth of a core whose
        layers share their weights: which layers each depth repeats. None where none do.
        """
        sharing = self.family.sharing(self.model.config)
        return None if sharing is None else [[i, i + 1] for i in sharing]

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
        model, family = self.compute_model(), self.family
        autocast = self.trainable and self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=autocast):
            ids, positions = layout.pack(ids)
            rotations = family.rotations(model.config, positions)
            positions = positions + self.first_position + position_offset
            x = family.embed(model, ids, positions, adapter)
            x = F.dropout(x, dropout, training=dropout > 0)
            step = Step(adapter, layout, self.n_heads, dropout, rotations)
            for i, (site, layer) in enumerate(islice(family.blocks(model), n_layers)):
                x = family.block(i, site, layer, x, step)
            x = family.finish(model, x)
        return layout.unpack(x)

    def key_values(self, ids: Tensor) -> Tensor:
        """Keys and values that the bare core computes for a row: a prefix's start value.

        ids (p,) int64: Pieces.
        RETURNS (p, l * 2 * h) float32: In PEFT's order: layer, key or value, width.
        """
        outputs: dict[str, Tensor] = {}

        class Recorder(RowAdapter):
            def linear(self, site: str, x: Tensor, module: nn.Linear) -> Tensor:
                weight, bias = module.weight.float(), module.bias
                own = None if bias is None else bias.float()
                outputs[site] = F.linear(x[0].float(), weight, own)
                return super().linear(site, x, module)

        with torch.no_grad():
            row = ids.to(self.device)[None]
            self.forward(row, torch.tensor([row.shape[1]], device=self.device), Recorder())
            parts: list[Tensor] = []
            for site, _ in self.family.blocks(self.model):
                own = {name: outputs[f"{site}.{name}"] for name in self.family.sites}
                parts += self.family.key_value(own)
        return torch.cat(parts, dim=-1)


def layer_of(site: str) -> tuple[int, str]:
    """Split the name of a module.

    site (str): A module name inside the core.
    RETURNS (tuple): Its layer, its name in there; what is in front of all layers belongs to 0.
    """
    # a list inside of a layer, as ALBERT's, has one member
    found = re.fullmatch(r"(?:.+?\.)?(\d+)\.(?:\w+\.\d+\.)?(.+)", site)
    return (int(found[1]), found[2]) if found else (0, site)


def _wants_space(tokenizer: Any) -> bool:
    """Whether a word has to be handed in with a space in front, to have the pieces that it has
    inside of a text: of tokenizers that make the space a part of the word, those do not need it
    which begin every text with one.
    """
    bare, spaced = ("".join(tokenizer.tokenize(text)) for text in ("a", " a"))
    return any(spaced.startswith(mark) and not bare.startswith(mark) for mark in ("Ġ", "▁"))


def _special_ids(tokenizer: Any) -> tuple[int, int, int]:
    """Ids of the first, last and padding piece of a row."""
    bos = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    eos = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    pad = tokenizer.pad_token_id
    if bos is None or eos is None or pad is None:
        raise CoreError("The core's tokenizer lacks a cls/bos, sep/eos or pad token")
    return bos, eos, pad
