"""How the detector learns: spaCy's `TextCategorizer`, from what says something to it.

A corpus may hold examples for other components, and categories of other classifiers.
"""

from collections.abc import Iterable
from typing import Any

from spacy.errors import Errors
from spacy.pipeline import TextCategorizer
from spacy.training import Example, validate_examples
from thinc.api import Optimizer

from ..core.gradients import drop_gradients, has_gradient, none_on_error

__all__ = ["DomainLearning"]


class DomainLearning(TextCategorizer):
    """The half of `DomainDetector` that is trained."""

    _n_failed = 0

    def n_failed(self) -> int:
        """RETURNS (int): How many updates have failed in a later component."""
        return 0

    def _forget_failed(self) -> None:
        """Where a batch failed behind us, and its gradients were to be applied together with
        later ones, ours is dropped as well: the batch was not learnt.
        """
        if self.n_failed() != self._n_failed:
            self._n_failed = self.n_failed()
            drop_gradients(self.model)

    def _tells(self, eg: Example) -> bool:
        """Whether an example says anything of the domains. Its other categories are others'."""
        return any(label in eg.reference.cats for label in self.labels)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch, as the parent does, only from examples that name a domain.

        examples (Iterable[Example]): The domain is in `reference.cats`.
        drop (float): The dropout rate.
        sgd (Optimizer): Applied if given.
        losses (dict): The loss is added under the component's name.
        RETURNS (dict): losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "DomainDetector.update")
        self._forget_failed()
        told = [eg for eg in examples if self._tells(eg)]
        if told:
            with none_on_error(self.model):
                super().update(told, drop=drop, sgd=sgd, losses=losses)
        return losses

    def get_loss(self, examples: Iterable[Example], scores: Any) -> tuple[float, Any]:
        """The parent's loss; examples that name no domain have none, and no gradient.

        examples (Iterable[Example]): The batch.
        scores (n, labels): Probabilities.
        RETURNS (tuple): The mean loss, and the gradient (n, labels).
        """
        examples = list(examples)
        told = [i for i, eg in enumerate(examples) if self._tells(eg)]
        gradient = self.model.ops.xp.zeros_like(scores)
        if not told:
            return 0.0, gradient
        loss, gradient[told] = super().get_loss([examples[i] for i in told], scores[told])
        return loss, gradient

    def _validate_categories(self, examples: Iterable[Example]) -> None:
        """As the parent, but of the domains alone: what else is in `cats` is another's."""
        for eg in examples:
            cats = eg.reference.cats
            values = [cats[name] for name in cats if not self.labels or name in self.labels]
            if values.count(1.0) > 1:
                raise ValueError(Errors.E895.format(value=cats))
            for value in values:
                if value not in (0.0, 1.0):
                    raise ValueError(Errors.E851.format(val=value))

    def finish_update(self, sgd: Optimizer) -> None:
        """Apply the gradients, if there are any."""
        self._forget_failed()
        if has_gradient(self.model):
            super().finish_update(sgd)
