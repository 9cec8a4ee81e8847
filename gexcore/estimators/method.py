"""The common settings and `fit` of methods that take derivatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gexcore.backend.capabilities import require
from gexcore.backend.protocols import SupportsParams, SupportsSelection
from gexcore.evaluation.given import together
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
        Names, or patterns with ``*`` and ``?``, of the parameters of the derivatives. All trainable
        ones by default.
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
        data: Any = None,
        y: Any = None,
        *,
        label: str | None = None,
        inputs: str | Sequence[str] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        loss: str | Callable[..., Any] | None = None,
        test: Any = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Result:
        """Score the training set of a trained model.

        Parameters
        ----------
        model : native model or Backend
            Trained model, which is never changed.
        data : x, (x, y), table, mapping, list of samples, native dataset, or Dataset
            The training samples.
        y : array of labels, optional
            Targets, where `data` is x alone. Labels that are no numbers are numbered in sorted
            order; results show them as they were given.
        label : str, optional
            Column of the labels, where `data` is a data frame, a mapping, or a dataset of mappings.
        inputs : str or sequence of str, optional
            Columns that are inputs of the model. All others by default.
        collate_fn : callable, optional
            Function from a list of samples to a batch, such as one that pads texts.
        loss : str or callable, optional
            A name such as "cross_entropy" (the default), "squared_error" or
            "binary_cross_entropy", or the framework's own loss without reduction.
        test : same forms as `data`, optional
            Other samples, whose losses are influenced.
        backend : str, optional
            Name of the backend, needed only if the model's type leaves a choice.
        progress : bool
            Whether to show a bar on standard error.

        Raises
        ------
        MissingCapabilityError
            If the backend lacks anything that this method needs; raised before any work.
        InvalidDataError, InvalidModelError, InvalidSettingError
            If an input is wrong. Most are raised before any work beyond one pass over the data.
        """
        given = opened(
            model,
            together(data, y, label, inputs, collate_fn),
            test=test,
            loss=loss,
            backend=backend,
            batch_size=self.batch_size,
            progress=progress,
        )
        return self.fit_opened(given)

    def fit_opened(self, given: Opened) -> Result:
        """Fit the method to a model and data that are already opened."""
        name = type(self).__name__
        require(given.backend, *self._needs(), by=name)
        return self._score(self._prepared(given.selecting(self.parameters, by=name)))

    def _prepared(self, given: Opened) -> Opened:
        """The same, with the first look taken: it refuses what no method can work on."""
        given.seen  # noqa: B018
        return given

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the method needs."""
        return self._needs() if self.parameters is None else (*self._needs(), SupportsSelection)

    def _needs(self) -> tuple[type, ...]:
        """Capabilities that the method needs with any choice of parameters."""
        return (SupportsParams,)

    @abstractmethod
    def _score(self, given: Opened) -> Result:
        """The work of this method."""
