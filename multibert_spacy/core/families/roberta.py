"""RoBERTa and XLM-R: BERT's layout, with positions that begin behind that of padding."""

from dataclasses import asdict, dataclass
from typing import Any

from ...errors import CoreError
from .bert import BERT
from .post_norm import PostNorm

__all__ = ["ROBERTA", "XLM_ROBERTA"]


@dataclass(frozen=True, kw_only=True)
class Roberta(PostNorm):
    """RoBERTa, and what has its positions."""

    def check(self, config: Any) -> None:
        if not isinstance(config.pad_token_id, int) or config.pad_token_id < 0:
            raise CoreError(
                f"This {self.kind} core has pad_token_id = {config.pad_token_id!r:.80} in its "
                "config.json; its positions begin behind that number, so it must be one"
            )
        super().check(config)

    def first_position(self, config: Any) -> int:
        first: int = config.pad_token_id + 1
        return first


ROBERTA = Roberta(**asdict(BERT) | {"kind": "roberta"})
XLM_ROBERTA = Roberta(**asdict(BERT) | {"kind": "xlm-roberta"})
