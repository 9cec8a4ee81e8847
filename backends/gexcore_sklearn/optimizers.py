"""Steps of the two families of estimators that can take one."""

from __future__ import annotations

import copy
import inspect
from typing import Any, NamedTuple, Protocol

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import Perceptron, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor

from gexcore.backend.optimizer import Optimizer
from gexcore.backend.rules import Memory, advance
from gexcore.errors import InvalidModelError
from gexcore_sklearn.data import Batch
from gexcore_sklearn.losses import Outputs, log_probabilities, outputs_of

RATES = ("learning_rate_init", "eta0", "learning_rate")
"""Names of the learning rate in estimators."""

ONE_PASS = {
    "learning_rate": "constant",
    "shuffle": False,
    "average": False,
    "early_stopping": False,
    "warm_start": False,
    "class_weight": None,
    "n_jobs": None,
    "verbose": 0,
}
"""Settings that make ``partial_fit`` of a linear model one pass over the batch, in order.
"""

HALVED = 2.0
"""Factor of the gradient of regressors: scikit-learn trains on half the squared error."""


class SklearnState(NamedTuple):
    """A fitted estimator, and the optimiser's memory of each of its arrays."""

    estimator: Any
    memory: tuple[Memory, ...] = ()


class Trainer(Protocol):
    """The steps of one family of estimators."""

    dtype: np.dtype[Any] | None
    """Type of the arithmetic. None if the estimator reads its inputs itself."""

    def copy(self, state: SklearnState) -> SklearnState:
        """A copy that a step in place on `state` does not change."""
        ...

    def step(
        self, state: SklearnState, batch: Batch, *, lr: float, seed: int
    ) -> tuple[SklearnState, Outputs]:
        """Take one step in place, and return the outputs before it."""
        ...


def trainer_of(estimator: Any, settings: Optimizer, classes: NDArray[Any] | None) -> Trainer:
    """The steps of this estimator, which is prepared for them.

    Parameters
    ----------
    estimator : fitted estimator
        Private copy, whose settings are changed.
    settings : Optimizer
    classes : array, shape (K,), or None
        Classes. None for a regressor.

    Raises
    ------
    InvalidModelError
        If the estimator has no steps or no learning rate, or does not have the optimiser.
    """
    if callable(settings.name):
        msg = (
            "the optimizer is a function, and scikit-learn has none to be given; choose 'sgd' or "
            "'adamw'"
        )
        raise InvalidModelError(msg)
    if isinstance(estimator, MLPClassifier | MLPRegressor):
        return NetworkTrainer(estimator, settings, classes)
    kind = type(estimator).__name__
    params = estimator.get_params(deep=False)
    rate = next((name for name in RATES if isinstance(params.get(name), int | float)), None)
    if rate is None or not hasattr(estimator, "partial_fit"):
        lacks = "no learning rate" if hasattr(estimator, "partial_fit") else "no partial_fit"
        offer = (
            f"gexcore.ConfidentLearning(train={kind}()).fit(data=(x, y)) scores its labels without "
            "them; "
            if hasattr(estimator, "predict_proba")
            else ""
        )
        msg = (
            f"{kind} cannot take optimiser steps, since it has {lacks}; {offer}GEX takes "
            "MLPClassifier, MLPRegressor, SGDClassifier, SGDRegressor, linear models, a Pipeline "
            "that ends in one of them, and estimators with partial_fit and a "
            f"parameter named {', '.join(RATES[:-1])} or {RATES[-1]}"
        )
        raise InvalidModelError(msg)
    if settings.name != "sgd":
        msg = (
            f"{kind} steps by its own partial_fit, which is SGD; the optimizer {settings.name!r} "
            "needs an MLP: choose 'sgd'"
        )
        raise InvalidModelError(msg)
    if isinstance(estimator, SGDClassifier | SGDRegressor | Perceptron):
        estimator.set_params(**{name: value for name, value in ONE_PASS.items() if name in params})
        if settings.weight_decay:
            estimator.set_params(penalty="l2", alpha=settings.weight_decay)
        estimator.densify()
        return PartialFitTrainer(estimator, rate, classes, estimator.coef_.dtype)
    return PartialFitTrainer(estimator, rate, classes, None)


class NetworkTrainer:
    """Exact steps of SGD with momentum or AdamW, on the gradient of the network's training.

    ``partial_fit`` takes the same step, but its checks of labels take ten times as long.
    """

    def __init__(
        self,
        network: MLPClassifier | MLPRegressor,
        settings: Optimizer,
        classes: NDArray[Any] | None,
    ) -> None:
        if settings.weight_decay:
            network.set_params(alpha=0.0)
        self.dtype = network.coefs_[0].dtype
        self._settings = settings
        self._classes = classes
        # scikit-learn 1.7 added an argument in the middle
        self._unweighted = (
            {"sample_weight": None} if "sample_weight" in _arguments(network._backprop) else {}
        )

    def copy(self, state: SklearnState) -> SklearnState:
        network = copy.copy(state.estimator)
        network.coefs_ = [array.copy() for array in network.coefs_]
        network.intercepts_ = [array.copy() for array in network.intercepts_]
        memory = tuple(Memory(m.steps, tuple(v.copy() for v in m.vectors)) for m in state.memory)
        return SklearnState(network, memory)

    def step(
        self, state: SklearnState, batch: Batch, *, lr: float, seed: int
    ) -> tuple[SklearnState, Outputs]:
        network = state.estimator
        params = [*network.coefs_, *network.intercepts_]
        depth = len(network.coefs_)
        activations = [batch.x, *[None] * depth]
        _, *gradients = network._backprop(
            X=batch.x,
            y=self._targets(batch.y),
            activations=activations,
            deltas=[None] * depth,
            coef_grads=[None] * depth,
            intercept_grads=[None] * depth,
            **self._unweighted,
        )
        scale = HALVED if self._classes is None else 1.0
        memory = tuple(
            advance(self._settings, param, np.asarray(scale * gradient, param.dtype), kept, lr=lr)
            for param, gradient, kept in zip(
                params,
                [*gradients[0], *gradients[1]],
                state.memory or [Memory()] * len(params),
                strict=True,
            )
        )
        return SklearnState(network, memory), self._outputs(activations[-1])

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        if self._classes is None or len(self._classes) == 2:
            return y.reshape(len(y), -1)
        return np.asarray(np.equal.outer(y, np.arange(len(self._classes))))

    def _outputs(self, last: NDArray[Any]) -> Outputs:
        if self._classes is None:
            return last
        return log_probabilities(np.column_stack([1 - last, last]) if last.shape[1] == 1 else last)


class PartialFitTrainer:
    """Steps by the estimator's own ``partial_fit``.

    Linear models of scikit-learn go through the batch sample by sample. Their learning rate is
    divided by the number of samples. To first order in the learning rate, the pass is one step on
    the mean loss of the batch.
    """

    def __init__(
        self, estimator: Any, rate: str, classes: NDArray[Any] | None, dtype: np.dtype[Any] | None
    ) -> None:
        self.dtype = dtype
        self._rate = rate
        self._classes = classes
        self._sample_by_sample = dtype is not None
        self._draws = "random_state" in estimator.get_params(deep=False)
        self._outputs = outputs_of(estimator, classifies=classes is not None)

    def copy(self, state: SklearnState) -> SklearnState:
        return SklearnState(copy.deepcopy(state.estimator))

    def step(
        self, state: SklearnState, batch: Batch, *, lr: float, seed: int
    ) -> tuple[SklearnState, Outputs]:
        estimator = state.estimator
        before = self._outputs(estimator, batch.x)
        if self._sample_by_sample:
            lr *= (HALVED if self._classes is None else 1.0) / len(batch.y)
        setattr(estimator, self._rate, lr)
        if self._draws:
            estimator.random_state = seed
        y = batch.y if self._classes is None else self._classes[batch.y]
        try:
            # a learning rate of zero is a valid step, but no valid setting
            with sklearn.config_context(skip_parameter_validation=True):
                estimator.partial_fit(batch.x, y)
        except ValueError as error:
            if not self._sample_by_sample or "overflow" not in str(error):
                raise
            # the losses of a diverged member show it
            estimator.coef_ = np.full_like(estimator.coef_, np.nan)
        return state, before


def _arguments(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)
