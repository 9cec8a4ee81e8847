"""scikit-learn estimators behind gexcore's contract."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Array,
    Dataset,
    SupportsLogits,
    SupportsParams,
    SupportsSerialization,
    SupportsTrainingLosses,
)
from gexcore.errors import InvalidModelError
from gexcore_sklearn import vectors
from gexcore_sklearn.data import Batch, Reader, dataset_of
from gexcore_sklearn.linear import stepping
from gexcore_sklearn.losses import check_loss, cross_entropy, outputs_of, squared_error
from gexcore_sklearn.optimizers import SklearnState, trainer_of
from gexcore_sklearn.serialization import from_arrays, to_arrays

# a member may diverge: the core counts and excludes it, so warnings are off
_quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class SklearnBackend:
    """A fitted classifier or regressor with optimiser steps, as a `Backend`.

    Parameters
    ----------
    model : estimator
        An MLPClassifier, MLPRegressor, SGDClassifier, SGDRegressor, or any estimator with
        ``partial_fit`` and a learning rate. A Pipeline may end in one of them. Other steps of a
        pipeline are applied unchanged. The model is copied and never changed. Classifiers need
        ``predict_proba`` or ``decision_function``.
    loss : {"cross_entropy", "squared_error"}, optional
        Cross-entropy of a classifier is −log p of the given class. p is from ``predict_proba`` (at
        least its machine epsilon), or from the softmax of the decisions. Squared error of a
        regressor is summed over outputs.
    optimizer : Optimizer
        Optimiser that replaces the estimator's solver and schedule, and its penalty unless
        `weight_decay` is 0. MLPs step exactly by "sgd" with momentum, or by "adamw". Linear models
        make one pass over the batch, sample by sample, on their own loss. Their learning rate is
        divided by the size of the batch. They have no momentum and no "adamw". Other estimators
        step by ``partial_fit`` with the given learning rate and their own penalty.

    Notes
    -----
    A batch is (x, y). x is an array, a sparse matrix, a data frame or another input of the
    pipeline. y has any type, as in ``fit``. Datasets from `dataset` hold labels as positions in
    ``classes_``, 0 … K − 1. Results show these positions.

    MLPs and linear models have no randomness and no training mode.

    Raises
    ------
    InvalidModelError
        If the estimator is not fitted, cannot take steps, or has several labels per sample, or the
        loss or optimiser is not available.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import SGDClassifier
    >>> from gexcore_sklearn.backend import SklearnBackend
    >>> x, y = np.array([[-1.0], [1.0]]), np.array(["no", "yes"])
    >>> backend = SklearnBackend(SGDClassifier(loss="log_loss", random_state=0).fit(x, y))
    >>> losses = backend.forward(backend.initial_state(), (x, y))
    >>> losses.shape, bool(losses.max() < 0.1)
    ((2,), True)
    """

    name = "sklearn"
    reads_tables = True
    """Data frames, and labels of any type, are read by the estimator."""
    most_inputs = 1

    def __init__(
        self, model: Any, *, loss: str | None = None, optimizer: Optimizer | None = None
    ) -> None:
        transformers, last = _unpack(model)
        classifies = _check(last)
        check_loss(loss, classifies=classifies)
        estimator = copy.deepcopy(last)
        classes = _classes(estimator) if classifies else None
        self._fitted = stepping(estimator, classes)
        self._outputs = outputs_of(self._fitted, classifies=classifies)
        self._value = cross_entropy if classifies else squared_error
        self._classes = classes
        self.loss_name = "cross_entropy" if classifies else "squared_error"
        # the first step of a pipeline reads the data
        reader = transformers[0] if transformers else self._fitted
        names = getattr(reader, "feature_names_in_", None)
        width = getattr(self._fitted, "n_features_in_", None)
        self._start(optimizer or Optimizer())
        self._read = Reader(transformers, classes, self._trainer.dtype, width, names)
        self._structure = (transformers, type(last), last.get_params(), classes)
        # the training mode and memory of other estimators are unknown
        self.unsupported: frozenset[type] = frozenset(
            ([] if classifies else [SupportsLogits])
            + (
                []
                if self._trainer.dtype
                else [SupportsTrainingLosses, SupportsSerialization, SupportsParams]
            )
        )

    def structure(self) -> Any:
        """The steps of the pipeline as they were fitted, and the estimator's settings."""
        return self._structure

    @property
    def class_names(self) -> tuple[Any, ...] | None:
        """Labels in the order of their numbers, unless they are these numbers."""
        known = None if self._classes is None else self._classes.tolist()
        return None if known is None or known == list(range(len(known))) else tuple(known)

    def initial_state(self) -> SklearnState:
        """State of the fitted estimator, with a fresh optimiser."""
        return self._initial

    @_quiet
    def forward(self, state: SklearnState, batch: Any, /) -> Array:
        """Per-sample losses, shape (b,)."""
        x, y = self._read(batch)
        return self._value(self._outputs(state.estimator, x), y)

    def sgd_step(self, state: SklearnState, batch: Any, /, *, lr: float, seed: int) -> SklearnState:
        """State after one step on the batch."""
        return self.sgd_step_(self.copy(state), batch, lr=lr, seed=seed)[0]

    def with_optimizer(self, optimizer: Optimizer, /) -> SklearnBackend:
        """The same estimator and loss with another optimiser."""
        other = copy.copy(self)
        other._start(optimizer)
        return other

    def _start(self, optimizer: Optimizer) -> None:
        # on a copy, because the settings of the estimator follow the optimiser
        estimator = copy.copy(self._fitted)
        self._trainer = trainer_of(estimator, optimizer, self._classes)
        if self._trainer.dtype is not None and hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_  # the reader checks the inputs, once for all batches
        self._initial = SklearnState(estimator)

    def restart(self, state: SklearnState, /) -> SklearnState:
        """State of the same estimator, with a fresh optimiser."""
        return SklearnState(state.estimator)

    def copy(self, state: SklearnState, /) -> SklearnState:
        """A state that may be given to `sgd_step_`."""
        return self._trainer.copy(state)

    @_quiet
    def sgd_step_(
        self, state: SklearnState, batch: Any, /, *, lr: float, seed: int
    ) -> tuple[SklearnState, Array]:
        """State after a step in the arrays of `state`, and the losses before the step."""
        ready: Batch = self._read(batch)
        after, outputs = self._trainer.step(state, ready, lr=float(lr), seed=seed)
        return after, self._value(outputs, ready.y)

    def training_losses(self, state: SklearnState, batch: Any, /, *, seed: int) -> Array:
        """The losses of `forward`: there is no training mode."""
        return self.forward(state, batch)

    @_quiet
    def logits(self, state: SklearnState, batch: Any, /) -> Array:
        """Log-probabilities of the classes, shape (b, K)."""
        return self._outputs(state.estimator, self._read(batch).x)

    def ravel(self, state: SklearnState, /) -> Array:
        """Weights and biases of a network, coefficients and intercepts of a linear model."""
        return vectors.ravel(state)

    def unravel(self, state: SklearnState, flat: Any, /) -> SklearnState:
        """The estimator with these parameters, and a fresh optimiser."""
        return vectors.unravel(state, np.asarray(flat))

    def to_arrays(self, state: SklearnState, /) -> Mapping[str, NDArray[Any]]:
        """The numbers of the estimator and the memory of the optimiser."""
        return to_arrays(state)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], /) -> SklearnState:
        """The state that `to_arrays` wrote."""
        return from_arrays(arrays, self._initial)

    def dataset(self, data: Any, /) -> Dataset[Batch] | None:
        """A dataset of (x, y) or a ``Bunch``, with labels 0 … K − 1; else None."""
        return dataset_of(data, self._read)


def _unpack(model: Any) -> tuple[tuple[Any, ...], Any]:
    """The transformers of a pipeline, and its last step."""
    transformers: list[Any] = []
    while isinstance(model, Pipeline) or hasattr(model, "best_estimator_"):
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
            continue
        # steps without transform ("passthrough", samplers) do nothing in predictions
        transformers += [step for _, step in model.steps[:-1] if hasattr(step, "transform")]
        model = model.steps[-1][1]
    return tuple(transformers), model


def _check(estimator: Any) -> bool:
    """Whether the estimator is a classifier. Refused unless a fitted classifier or regressor."""
    kind = type(estimator).__name__
    if not isinstance(estimator, BaseEstimator) or not (
        is_classifier(estimator) or is_regressor(estimator)
    ):
        msg = f"the model is a {kind}; the scikit-learn backend takes a classifier or a regressor"
        raise InvalidModelError(msg)
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        msg = f"{kind} is not fitted; the method starts from a trained model: call fit first"
        raise InvalidModelError(msg) from error
    return bool(is_classifier(estimator))


def _classes(estimator: Any) -> NDArray[Any]:
    classes = estimator.classes_
    binarizer = getattr(estimator, "_label_binarizer", None)
    if isinstance(classes, list) or getattr(binarizer, "y_type_", "").startswith("multilabel"):
        msg = (
            f"{type(estimator).__name__} gives a sample several labels; only one label per "
            "sample can be scored"
        )
        raise InvalidModelError(msg)
    if len(classes) < 2:
        msg = (
            f"{type(estimator).__name__} knows only the class {classes[0]!r}; fit it on two "
            "classes or more"
        )
        raise InvalidModelError(msg)
    return np.asarray(classes)
