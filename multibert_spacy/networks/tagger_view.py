"""What a batch of docs is tagged with."""

from collections.abc import Sequence

from ..core.encoder import Core
from ..types import Floats2d, WindowBatch
from .tagger import TaggerModule

__all__ = ["TaggerView"]


class TaggerView:
    """The domains of a tagger at one moment. Docs that are tagged together use one, so that their
    batches, heads, labels and transitions belong together, whatever another thread adds,
    replaces, removes or trains meanwhile.
    """

    def __init__(self, module: TaggerModule, core: Core) -> None:
        """module (TaggerModule): A view. core (Core): What runs it."""
        self.core = core
        self.domains = module.domains
        self.head_name = module.head_name
        self.labels_of = module.labels_of
        self.transitions_of = module.transitions_of
        self._module = module

    def batches(
        self,
        lengths: Sequence[int],
        domains: Sequence[str],
        budget: int,
        *,
        is_train: bool = False,
    ) -> list[list[int]]:
        """As `TaggerModel.batches`; never in training."""
        index = self._module.index_of(domains)
        return self._module.batches(self.core, lengths, index, budget)

    def predict(self, batch: WindowBatch) -> list[Floats2d]:
        """batch (WindowBatch): b rows. RETURNS (list): As `TaggerModule.scatter`."""
        return self._module.predict(self.core, batch)
