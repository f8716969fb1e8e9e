"""Settings of an adapter, their size, and which one is at the knee of a curve."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multibert_spacy.models.adapters import ALL_LINEAR

from ..sizes import PAPER_TARGETS, Shape

__all__ = ["Setting", "knee_of", "setting_of_share", "whole"]


@dataclass(frozen=True)
class Setting:
    """An adapter. Either a prefix of some length or LoRA of some rank and alpha."""

    kind: str
    length: int = 0
    rank: int = 0
    alpha: int = 0
    targets: tuple[str, ...] = ALL_LINEAR

    @property
    def name(self) -> str:
        if self.kind == "prefix":
            return f"prefix_{self.length}"
        where = "" if self.targets == ALL_LINEAR else "_query_value"
        return f"lora_{self.rank}_{self.alpha}{where}"

    @property
    def title(self) -> str:
        if self.kind == "prefix":
            return f"prefix of {self.length}"
        where = "" if self.targets == ALL_LINEAR else ", query and value"
        return f"LoRA r = {self.rank}, alpha = {self.alpha}{where}"

    def overrides(self) -> list[str]:
        """RETURNS (list[str]): Of configs/pretrain.cfg."""
        if self.kind == "prefix":
            return [f"adapters.prefix.n_virtual={self.length}"]
        return [
            f"adapters.lora.rank={self.rank}",
            f"adapters.lora.alpha={self.alpha}",
            f"adapters.lora.target_modules={json.dumps(self.targets)}",
        ]

    def parameters(self, shape: Shape) -> int:
        """RETURNS (int): What it adds to a core."""
        if self.kind == "prefix":
            return shape.prefix(self.length)
        return shape.lora(self.rank, self.targets)


def whole(number: float) -> int:
    """RETURNS (int): The nearest whole number, at least 1."""
    return max(1, round(number))


def setting_of_share(kind: str, share: float, shape: Shape, ratio: float) -> Setting:
    """The setting that adds nearest to a share of the core's parameters.

    kind (str): prefix or lora.
    share (float): Between 0 and 1.
    shape (Shape): Of the core.
    ratio (float): Alpha to rank.
    RETURNS (Setting): LoRA on all linear layers, or on query and value if that is too much even
        with rank 1.
    """
    wanted = share * shape.core
    if kind == "prefix":
        return Setting("prefix", length=whole(wanted / shape.prefix(1)))
    targets = ALL_LINEAR if wanted >= 0.75 * shape.lora(1) else PAPER_TARGETS
    rank = whole(wanted / shape.lora(1, targets))
    return Setting("lora", rank=rank, alpha=whole(ratio * rank), targets=targets)


def knee_of(points: Sequence[Mapping[str, Any]], tolerance: float) -> Mapping[str, Any] | None:
    """RETURNS (Mapping): The smallest one within tolerance (points of F1) of the best."""
    if not points:
        return None
    best = max(point["dev_f1"] for point in points)
    good = [point for point in points if point["dev_f1"] >= best - tolerance]
    return min(good, key=lambda point: point["parameters"])
