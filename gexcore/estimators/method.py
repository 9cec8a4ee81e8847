"""The form of the methods that take derivatives: settings, and one way to be fitted."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsParams, SupportsSelection
from gexcore.estimators.job import Job
from gexcore.evaluation.first_look import take_in
from gexcore.evaluation.opening import open_inputs
from gexcore.evaluation.selection import Parameters, selected
from gexcore.settings import check_count

Result = TypeVar("Result", covariant=True)


@dataclass(frozen=True, kw_only=True)
class GradientMethod(ABC, Generic[Result]):
    """A method that takes derivatives of a trained model.

    Parameters
    ----------
    parameters : str or sequence of str, optional
        Names, or patterns with ``*`` and ``?``, of the parameters to take derivatives by; all
        trainable ones where not given.
    batch_size : int
        Samples per derivative call.
    """

    parameters: Parameters = None
    batch_size: int = 512

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size, auto=False)

    def fit(
        self,
        model: Any,
        data: Any,
        *,
        loss: str | Callable[..., Any] | None = None,
        test: Any = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Result:
        """Score the training set of a trained model.

        Parameters
        ----------
        model : native model or Backend
            Never changed.
        data : (x, y), mapping, native dataset, or Dataset
            The training samples.
        loss : str or callable, optional
            A name such as "cross_entropy" (the default), "squared_error" or
            "binary_cross_entropy", or the framework's own loss without reduction.
        test : same forms as `data`, optional
            Other samples, for influence on them.
        backend : str, optional
            Only where the model's type leaves a choice.
        progress : bool
            Show a bar on standard error.

        Raises
        ------
        MissingCapabilityError
            Before any work, naming everything the backend lacks for this method.
        InvalidDataError, InvalidModelError, InvalidSettingError
            Before any work beyond one pass over the data, save what only the work can show.
        """
        started, name = time.perf_counter(), type(self).__name__
        inputs = open_inputs(
            model, data, test=test, loss=loss, backend=backend, optimizer=self._optimizer()
        )
        require(inputs.backend, *self._needs(), by=name)
        engine, samples, _, tests, _ = selected(inputs, self.parameters, by=name)
        seen = take_in(engine, samples, loss=loss, batch_size=self.batch_size)
        theta = to_numpy(engine.ravel(engine.initial_state()))  # type: ignore[attr-defined]
        return self._score(Job(self, engine, samples, tests, seen, theta, started, progress, loss))

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities it asks of the backend before any work."""
        return self._needs() if self.parameters is None else (*self._needs(), SupportsSelection)

    def _needs(self) -> tuple[type, ...]:
        """Those it asks whatever the parameters are."""
        return (SupportsParams,)

    def _optimizer(self) -> Callable[[int], Optimizer] | None:
        """What it steps with, by the number of samples, if it does."""
        return None

    @abstractmethod
    def _score(self, job: Job) -> Result:
        """The method's own work."""
