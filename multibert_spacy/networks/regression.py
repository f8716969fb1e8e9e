"""Multinomial logistic regression, for what is fitted while a pipeline is made.

As scikit-learn's, which no user needs for anything else.
"""

from collections.abc import Sequence

import numpy as np
import torch

from ..types import Floats2d

__all__ = ["fit_regression"]

MOST_ROUNDS = 300


def fit_regression(x: Floats2d, y: Sequence[int], n_classes: int, strength: float) -> Floats2d:
    """Find the most likely weights under an L2 penalty.

    x (n, d): Features. y (n,): The class of each row.
    n_classes (int): Classes, k.
    strength (float): Inverse of the penalty, whose sum of squares is halved.
    RETURNS (k, d + 1): Weights; the last column is the intercept, which has no penalty.
    """
    features = torch.from_numpy(np.asarray(x, dtype=np.float64))
    truth = torch.tensor(list(y), dtype=torch.int64)
    weight = torch.zeros(n_classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(n_classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=MOST_ROUNDS, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = features @ weight.T + bias
        errors = torch.nn.functional.cross_entropy(logits, truth, reduction="sum")
        found = errors + weight.square().sum() / (2 * strength)
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    rows: Floats2d = torch.cat([weight, bias[:, None]], dim=1).detach().numpy()
    return rows
