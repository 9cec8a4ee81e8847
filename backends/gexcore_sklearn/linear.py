"""Networks without hidden layers, with the coefficients of a linear model that takes no steps."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier, MLPRegressor

from gexcore.errors import GexWarning
from gexcore_sklearn.losses import outputs_of

PROBES = 16
"""Random inputs on which a twin must agree with its model."""


def stepping(estimator: Any, classes: NDArray[Any] | None) -> Any:
    """The estimator, or its twin where it is linear and has no ``partial_fit``.

    A twin gives the same outputs and takes exact steps. A warning tells that it is used.
    """
    if hasattr(estimator, "partial_fit") or not hasattr(estimator, "coef_"):
        return estimator
    twin = _twin(estimator, classes)
    if twin is None:
        return estimator
    kind = type(estimator).__name__
    warnings.warn(
        f"{kind} takes no optimiser steps; its members are steps of a network without hidden "
        "layers that has the same coefficients and the same outputs",
        GexWarning,
        stacklevel=4,
    )
    return twin


def _twin(estimator: Any, classes: NDArray[Any] | None) -> Any:
    coef = np.asarray(estimator.coef_)
    if coef.dtype.kind != "f" or coef.ndim not in (1, 2):
        return None
    coef = np.atleast_2d(coef)
    outputs, features = coef.shape
    intercept = np.broadcast_to(np.asarray(getattr(estimator, "intercept_", 0.0)), (outputs,))
    if classes is not None and outputs != (1 if len(classes) == 2 else len(classes)):
        return None
    rows = np.zeros((max(2, len(classes) if classes is not None else 2), features), coef.dtype)
    twin: Any
    if classes is None:
        twin = MLPRegressor(hidden_layer_sizes=(), alpha=0.0)
        twin.partial_fit(rows, np.zeros((2, outputs)) if outputs > 1 else np.zeros(2))
    else:
        twin = MLPClassifier(hidden_layer_sizes=(), alpha=0.0)
        twin.partial_fit(rows, classes, classes=classes)
    twin.coefs_ = [np.array(coef.T, order="C")]
    twin.intercepts_ = [np.array(intercept, coef.dtype)]
    if hasattr(estimator, "feature_names_in_"):
        twin.feature_names_in_ = estimator.feature_names_in_
    return twin if _agree(estimator, twin, features, classifies=classes is not None) else None


def _agree(estimator: Any, twin: Any, features: int, *, classifies: bool) -> bool:
    x = np.random.default_rng(0).normal(size=(PROBES, features))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an array has no names of features
        found, wanted = (outputs_of(e, classifies=classifies)(e, x) for e in (twin, estimator))
    return found.shape == wanted.shape and bool(np.allclose(found, wanted, rtol=1e-3, atol=1e-3))
