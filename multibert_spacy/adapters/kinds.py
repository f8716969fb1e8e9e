"""Settings of adapters, and their trainable form.

An adapter here is a plain `nn.Module` of parameters in fp32; what it does to the core is in
`bank.py`, how it is stored in `peft_format.py`. PEFT (the only module that imports it, and only
when saving or initialising) supplies the prefix encoder and the names and settings on disk.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..core.encoder import ALL_LINEAR, QUERY_VALUE, Core
from ..errors import ConfigError

__all__ = [
    "ALL_LINEAR",
    "PEFT_PREFIX",
    "QUERY_VALUE",
    "Adapter",
    "AdapterSettings",
    "LoraAdapter",
    "LoraSettings",
    "NoAdapter",
    "NoSettings",
    "PrefixAdapter",
    "PrefixSettings",
]

PEFT_PREFIX = "base_model.model."
MOST_ALPHA = 1e6
"""More is no scale that anybody trained with, and soon no number in fp16."""


def _is_number(value: object, *kinds: type) -> bool:
    """Whether a setting, which may come from a stranger's file, is a number; True is none."""
    return isinstance(value, kinds) and not isinstance(value, bool)


@dataclass(frozen=True)
class LoraSettings:
    """LoRA (Hu et al. 2021). Output of a linear layer += alpha / rank * B A x.

    shared (bool): Whether layers that share their weights, as ALBERT's, share A and B as well.
    """

    rank: int = 16
    alpha: int = 32
    target_modules: tuple[str, ...] = ALL_LINEAR
    first_layer: int = 0
    dropout: float = 0.0
    shared: bool = False
    kind = "lora"

    def __post_init__(self) -> None:
        sizes = _is_number(self.rank, int) and self.rank >= 1
        scale = _is_number(self.alpha, int, float) and 0 < self.alpha <= MOST_ALPHA
        if not sizes or not scale or not self.target_modules:
            raise ConfigError(
                "LoRA needs rank >= 1, alpha > 0 and target modules, alpha at most "
                f"{MOST_ALPHA:.0f}; got rank {self.rank!r:.40}, alpha {self.alpha!r:.40} and "
                f"{self.target_modules!r:.200}"
            )
        if not _is_number(self.dropout, int, float) or not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.shared and self.first_layer:
            raise ConfigError(
                "An adapter that layers share sits on all of them: first_layer must be 0 with "
                f"shared = true, got {self.first_layer}"
            )

    def build(self, core: Core, pieces: Sequence[int] = ()) -> "LoraAdapter":
        return LoraAdapter(self, core)

    def sites(self, core: Core) -> dict[str, nn.Linear]:
        """Return what its adapter sits on; see `Core.linear_sites`."""
        return core.linear_sites(self.target_modules, self.first_layer, shared=self.shared)

    def shapes(self, core: Core) -> dict[str, tuple[int, ...]]:
        """Return shapes of the tensors that `export` of its adapter gives, by name."""
        shapes: dict[str, tuple[int, ...]] = {}
        for site, module in self.sites(core).items():
            shapes[f"{PEFT_PREFIX}{site}.lora_A.weight"] = (self.rank, module.in_features)
            shapes[f"{PEFT_PREFIX}{site}.lora_B.weight"] = (module.out_features, self.rank)
        return shapes


@dataclass(frozen=True)
class PrefixSettings:
    """Prefix tuning (Li and Liang 2021): learned keys and values in front of every layer's."""

    n_virtual: int = 22
    projection: bool = False
    projection_width: int = 0
    init: str = "text"
    kind = "prefix"

    def __post_init__(self) -> None:
        sizes = _is_number(self.n_virtual, int) and _is_number(self.projection_width, int)
        if not sizes or self.n_virtual < 1 or self.projection_width < 0:
            raise ConfigError(f"A prefix needs at least 1 virtual token, got {self}")
        if self.init not in ("text", "noise"):
            raise ConfigError(f"prefix init must be 'text' or 'noise', got {self.init!r}")

    def build(self, core: Core, pieces: Sequence[int] = ()) -> "PrefixAdapter":
        return PrefixAdapter(self, core, pieces)

    def shapes(self, core: Core) -> dict[str, tuple[int, ...]]:
        """Return shapes of the tensors that `export` of its adapter gives, by name."""
        return {"prompt_embeddings": (self.n_virtual, core.n_layers * 2 * core.width)}


@dataclass(frozen=True)
class NoSettings:
    """No adapter: for full fine-tuning of a trainable core through the same code."""

    kind = "none"

    def build(self, core: Core, pieces: Sequence[int] = ()) -> "NoAdapter":
        return NoAdapter()


AdapterSettings = LoraSettings | PrefixSettings | NoSettings


class LoraAdapter(nn.Module):
    """Parameters of one LoRA adapter: for each site, A (r, in) and B (out, r)."""

    def __init__(self, settings: LoraSettings, core: Core) -> None:
        """A starts as PEFT's does (Kaiming uniform with a = sqrt(5)), B at zero: the adapted core
        starts as the bare one.
        """
        super().__init__()
        self.settings = settings
        sites = settings.sites(core)
        self.sites = list(sites)
        self._places = [core.places(site) if settings.shared else [site] for site in sites]
        self._replication = None if settings.shared else core.replication
        rank = settings.rank
        self.a = nn.ParameterList(torch.empty(rank, m.in_features) for m in sites.values())
        self.b = nn.ParameterList(torch.zeros(m.out_features, rank) for m in sites.values())
        for a in self.a:
            nn.init.kaiming_uniform_(a, a=math.sqrt(5))

    @property
    def scale(self) -> float:
        return self.settings.alpha / self.settings.rank

    def pairs(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return A and B of each site that is met, at every depth."""
        own = zip(self._places, self.a, self.b, strict=True)
        return {place: (a, b) for places, a, b in own for place in places}

    def export(self) -> dict[str, Tensor]:
        """Return tensors by PEFT's names."""
        tensors = {}
        for site, a, b in zip(self.sites, self.a, self.b, strict=True):
            tensors[f"{PEFT_PREFIX}{site}.lora_A.weight"] = a
            tensors[f"{PEFT_PREFIX}{site}.lora_B.weight"] = b
        return tensors

    def peft_config(self) -> Any:
        from peft import LoraConfig, TaskType

        return LoraConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            r=self.settings.rank,
            lora_alpha=self.settings.alpha,
            lora_dropout=self.settings.dropout,
            target_modules=list(self.sites),
            layer_replication=self._replication,
            inference_mode=True,
        )


class PrefixAdapter(nn.Module):
    """Parameters of one prefix.

    Without projection: `table` (p, l * 2 * h), PEFT's layout. With projection the same table comes
    out of PEFT's own `PrefixEncoder` (an embedding and a two-layer network), which is folded away
    on saving.
    """

    def __init__(self, settings: PrefixSettings, core: Core, pieces: Sequence[int] = ()) -> None:
        """Start as `init` says.

        pieces (Sequence[int]): Pieces of real text, for the start value "text": the keys and
        values that the bare core computes for them, so that the prefix starts as a context
        that the core knows (Li and Liang 2021, section 7.4, find it better for small data).
        If they are too few they are repeated; without any, or with init = "noise", the start
        is normal noise of 0.02 (PEFT's own is 1.0, which swamps a frozen core's attention).
        """
        super().__init__()
        self.settings = settings
        p, size = settings.n_virtual, core.n_layers * 2 * core.width
        self.shape = (core.n_layers, 2, core.n_heads, core.width // core.n_heads)
        if settings.projection:
            from peft import PrefixEncoder, PrefixTuningConfig

            self.encoder: Any = PrefixEncoder(
                PrefixTuningConfig(
                    num_virtual_tokens=p,
                    token_dim=core.width,
                    encoder_hidden_size=settings.projection_width or core.width,
                    num_layers=core.n_layers,
                    prefix_projection=True,
                )
            )
            self.register_parameter("raw", None)
        else:
            self.encoder = None
            self.raw = nn.Parameter(torch.randn(p, size) * 0.02)
        if settings.init == "text" and pieces:
            ids = torch.tensor([pieces[i % len(pieces)] for i in range(p)])
            self._start_at(core.key_values(ids))

    def _start_at(self, table: Tensor) -> None:
        """Start at a table of (p, l * 2 * h). The projection network cannot hit it exactly: its
        last layer starts at the table's mean row with weights a tenth of their usual size.
        """
        if self.encoder is None:
            self.raw.data.copy_(table)
        else:
            last = self.encoder.transform[-1]
            last.bias.data.copy_(table.mean(0))
            last.weight.data.mul_(0.1)

    def table(self) -> Tensor:
        """Return the prefix (p, l * 2 * h) in PEFT's order: layer, key or value, head, width."""
        if self.encoder is None:
            return self.raw
        tokens = torch.arange(self.settings.n_virtual, device=self.encoder.embedding.weight.device)
        table: Tensor = self.encoder(tokens)
        return table

    def key_values(self) -> Tensor:
        """Return keys and values (l, 2, a, p, d)."""
        return self.table().view(-1, *self.shape).permute(1, 2, 3, 0, 4)

    def export(self) -> dict[str, Tensor]:
        """Return tensors by PEFT's names, the projection folded away."""
        return {"prompt_embeddings": self.table()}

    def peft_config(self) -> Any:
        from peft import PrefixTuningConfig, TaskType

        n_layers, _, n_heads, head_width = self.shape
        return PrefixTuningConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            num_virtual_tokens=self.settings.n_virtual,
            token_dim=n_heads * head_width,
            num_attention_heads=n_heads,
            num_layers=n_layers,
            num_transformer_submodules=1,
            encoder_hidden_size=n_heads * head_width,
            inference_mode=True,
        )


class NoAdapter(nn.Module):
    """Nothing added to the core."""

    settings = NoSettings()

    def export(self) -> dict[str, Tensor]:
        return {}


Adapter = LoraAdapter | PrefixAdapter | NoAdapter
