"""The form of the methods that take derivatives: settings, and one way to be fitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gexcore.backend.capabilities import require
from gexcore.backend.protocols import SupportsParams, SupportsSelection
from gexcore.evaluation.opening import Opened, opened
from gexcore.evaluation.selection import Parameters
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
        given = opened(
            model,
            data,
            test=test,
            loss=loss,
            backend=backend,
            batch_size=self.batch_size,
            progress=progress,
        )
        return self.fit_opened(given)

    def fit_opened(self, given: Opened) -> Result:
        """As `fit`, on a model and data that were opened before."""
        name = type(self).__name__
        require(given.backend, *self._needs(), by=name)
        return self._score(self._prepared(given.selecting(self.parameters, by=name)))

    def _prepared(self, given: Opened) -> Opened:
        """The same, with the first look taken: it refuses what no method can work on."""
        given.seen  # noqa: B018
        return given

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities it asks of the backend before any work."""
        return self._needs() if self.parameters is None else (*self._needs(), SupportsSelection)

    def _needs(self) -> tuple[type, ...]:
        """Those it asks whatever the parameters are."""
        return (SupportsParams,)

    @abstractmethod
    def _score(self, given: Opened) -> Result:
        """The method's own work."""
