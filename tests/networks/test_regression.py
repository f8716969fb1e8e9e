"""Multinomial regression under a penalty."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from multibert_spacy.networks.regression import fit_regression

RNG = np.random.default_rng(0)


def test_it_finds_what_scikit_learn_finds():
    y = np.arange(90) % 3
    x = RNG.normal(size=(90, 4)) + np.eye(3, 4)[y]
    own = fit_regression(x, y.tolist(), 3, 0.5)
    known = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000).fit(x, y)
    assert own.shape == (3, 5)
    np.testing.assert_allclose(own[:, :4], known.coef_, atol=1e-3)
    bias = own[:, 4] - own[:, 4].mean()
    np.testing.assert_allclose(bias, known.intercept_ - known.intercept_.mean(), atol=1e-3)


def test_a_class_without_rows_is_unlikely():
    rows = fit_regression(np.eye(2), [0, 1], 3, 0.5)
    assert np.isfinite(rows).all()
    assert rows[2, 2] < rows[:2, 2].min()
