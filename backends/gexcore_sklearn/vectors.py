"""Parameters of networks and linear models as one flat vector."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.refusals import check_vector
from gexcore_sklearn.optimizers import SklearnState

Place = tuple[str, int | None]
"""An attribute of the estimator, and the position of an array in it if it is a list."""


def places(estimator: Any) -> list[Place]:
    """Where the trainable arrays of a network or linear model are.

    Weights come before biases. A linear model that fits no intercept has none to train.
    """
    if hasattr(estimator, "coefs_"):
        return [
            (name, i) for name in ("coefs_", "intercepts_") for i in range(estimator.n_layers_ - 1)
        ]
    return [("coef_", None), *([("intercept_", None)] if estimator.fit_intercept else [])]


def ravel(state: SklearnState) -> NDArray[Any]:
    """The parameters, shape (p,)."""
    return np.concatenate(
        [_at(state.estimator, place).ravel() for place in places(state.estimator)]
    )


def unravel(state: SklearnState, flat: NDArray[Any]) -> SklearnState:
    """A state with these parameters, and a fresh optimiser."""
    check_vector(flat.shape, len(ravel(state)))
    estimator = copy.copy(state.estimator)
    for name in ("coefs_", "intercepts_"):
        if hasattr(estimator, name):
            setattr(estimator, name, list(getattr(estimator, name)))
    start = 0
    for name, position in places(estimator):
        before = _at(estimator, (name, position))
        part = flat[start : start + before.size].reshape(before.shape)
        array = np.array(part, dtype=before.dtype, order="C")
        start += before.size
        if position is None:
            setattr(estimator, name, array)
        else:
            getattr(estimator, name)[position] = array
    return SklearnState(estimator)


def _at(estimator: Any, place: Place) -> NDArray[Any]:
    name, position = place
    found = getattr(estimator, name)
    return np.asarray(found if position is None else found[position])
