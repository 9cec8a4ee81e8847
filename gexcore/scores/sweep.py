"""Sweeps: one pass over the data for a model or each of its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.classes import class_scores
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import (
    Backend,
    Floats,
    SupportsCheckpoints,
    SupportsFeatures,
    SupportsLogits,
    SupportsParams,
    SupportsSampleGradients,
)
from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore.evaluation.derivatives import GRADIENT_BUDGET
from gexcore.evaluation.losses import evaluate, in_order, outputs
from gexcore.evaluation.opening import BATCH_SIZE, opened
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.influence.scores import High, Scores
from gexcore.progress import progress_bar
from gexcore.scores.fitting import make_scores


class Sweep:
    """One fit that evaluates a model, or its checkpoints, on the data.

    Parameters
    ----------
    method : dataclass
        Method of the fit, with its ``needs``. It may have ``checkpoints`` in the framework's form.
        Without them θ* is evaluated.
    model, data, loss, backend, progress
        The arguments of `gexcore.GEX.fit`.

    Raises
    ------
    MissingCapabilityError, InvalidDataError, InvalidModelError
        If an input is wrong. Raised before any work beyond one pass over the data.
    """

    def __init__(
        self,
        method: Any,
        model: Any,
        data: Any,
        *,
        loss: str | Callable[..., Any] | None,
        backend: str | None,
        progress: bool,
    ) -> None:
        self._method = method
        self._checkpoints: Sequence[Any] = getattr(method, "checkpoints", ())
        self._name = type(method).__name__
        if model is None:
            raise InvalidDataError(
                f"{self._name} takes a model through its data, and got none; call fit(model, data)"
            )
        self._given = opened(model, data, loss=loss, backend=backend, progress=progress)
        self.engine: Backend[Any, Any] = self._given.backend
        self.data = self._given.data
        require(self.engine, *method.needs, by=self._name)
        self.seen = self._given.seen
        self._passes = [Passes(forward=len(self.data))]

    def labels(self) -> NDArray[np.intp]:
        """Given classes, shape (samples,).

        Raises
        ------
        InvalidDataError
            For targets that are no classes.
        """
        if self.seen.labels is None:
            raise InvalidDataError(
                f"{self._name} needs one class per sample, and the targets are no classes"
            )
        return self.seen.labels

    def mean(self, measure: Callable[[Any], NDArray[Any]]) -> Floats:
        """Mean of a measurement over all checkpoints, or its value at θ*, shape (samples,)."""
        total, count = np.zeros(len(self.data)), max(1, len(self._checkpoints))
        with progress_bar(
            count, title=self._name, show=self._given.progress and count > 1, unit="checkpoint"
        ) as bar:
            for number, state in enumerate(self._states(), start=1):
                values = measure(state)
                if not np.isfinite(values).all():
                    which = (
                        f"checkpoint {number} of {count}"
                        if self._checkpoints
                        else "the trained model"
                    )
                    msg = (
                        f"{self._name} is not finite at {which}, first for sample "
                        f"{int(np.isfinite(values).argmin())}; check its weights, or leave it out"
                    )
                    raise InvalidModelError(msg)
                total += values
                bar.advance(f"checkpoint {number}/{count}")
        return total / count

    def _states(self) -> Iterator[Any]:
        if not self._checkpoints:
            yield self.engine.initial_state()
        for checkpoint in self._checkpoints:
            yield require(self.engine, SupportsCheckpoints, by=self._name).load(checkpoint)

    def losses(self, state: Any) -> NDArray[Any]:
        """Losses of a state, shape (samples,)."""
        self._passes.append(Passes(forward=len(self.data)))
        return evaluate(self.engine, state, self.data, batch_size=BATCH_SIZE)

    def logits(self, state: Any) -> Floats:
        """Class scores of a state, shape (samples, K) with K ≥ 2."""
        able = require(self.engine, SupportsLogits, by=self._name)
        return class_scores(self._outputs(able.logits, state), len(self.data))

    def features(self, state: Any) -> Floats:
        """Inputs of the last layer for every sample, shape (samples, h)."""
        able = require(self.engine, SupportsFeatures, by=self._name)
        return self._outputs(able.features, state)

    def _outputs(self, method: Callable[[Any, Any], Any], state: Any) -> Floats:
        """Results of a forward method for every sample, shape (samples, …)."""
        self._passes.append(Passes(forward=len(self.data)))
        return outputs(method, state, self.data, batch_size=BATCH_SIZE).astype(np.float64)

    def gradient_norms(self, state: Any) -> Floats:
        """‖∇ℓ‖₂ of every sample's loss by the trainable parameters, shape (samples,)."""
        self._passes.append(Passes(gradient=len(self.data)))
        flat = require(self.engine, SupportsParams, by=self._name).ravel(state)
        size = max(1, int(np.prod(np.shape(flat))))
        at_once = max(1, min(BATCH_SIZE, GRADIENT_BUDGET // size))
        able = require(self.engine, SupportsSampleGradients, by=self._name)
        parts = [
            np.linalg.norm(
                to_numpy(able.sample_gradients(state, self.data.batch(i))).astype(np.float64),
                axis=1,
            )
            for i in in_order(len(self.data), at_once)
        ]
        return np.concatenate(parts)

    def scores(
        self,
        values: NDArray[Any],
        *,
        unit: str,
        high: High = "mislabelled",
        tie_break: NDArray[Any] | None = None,
    ) -> Scores:
        """The result of the fit."""
        return make_scores(
            self._method,
            values,
            labels=self.seen.labels,
            names=self._given.names,
            unit=unit,
            high=high,
            started=self._given.started,
            backend=self.engine.name,
            classes=self.seen.classes,
            passes=sum_passes(self._passes),
            tie_break=tie_break,
        )
