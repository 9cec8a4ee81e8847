"""The three forms of scores, by what they read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from gexcore.evaluation.given import together
from gexcore.influence.scores import Scores
from gexcore.scores.runs import Runs
from gexcore.scores.sweep import Sweep


class ModelScore(ABC):
    """A score that evaluates the trained model, or ``checkpoints`` of it, on the data."""

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
        backend: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Score every sample. Arguments are those of `gexcore.GEX.fit`.

        Raises
        ------
        MissingCapabilityError
            If the backend lacks a capability that the score ``needs``.
        InvalidDataError
            If a score of classes gets targets that are no classes.
        InvalidModelError
            If measurements of a model or checkpoint are not finite.
        """
        return self._from_model(
            Sweep(
                self,
                model,
                together(data, y, label, inputs, collate_fn),
                loss=loss,
                backend=backend,
                progress=progress,
            )
        )

    @abstractmethod
    def _from_model(self, sweep: Sweep) -> Scores:
        """The work of this score."""


class RecordedScore(ABC):
    """A score that reads the `Recorder` of a training loop."""

    def fit(
        self,
        model: Any = None,
        data: Any = None,
        y: Any = None,
        *,
        label: str | None = None,
        inputs: str | Sequence[str] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        loss: str | Callable[..., Any] | None = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Score every sample. Arguments are those of `gexcore.GEX.fit`; all are optional.

        Raises
        ------
        InvalidDataError
            If the needed curve was not recorded, or `data` and recorder differ in their number of
            samples.
        """
        return self._from_runs(
            Runs(self, model, together(data, y, label, inputs, collate_fn), backend=backend)
        )

    @abstractmethod
    def _from_runs(self, runs: Runs) -> Scores:
        """The work of this score."""


class EitherScore(RecordedScore):
    """A score of recorded runs if ``recorder`` is set, or else of a model on the data."""

    recorder: Any

    def fit(
        self,
        model: Any = None,
        data: Any = None,
        y: Any = None,
        *,
        label: str | None = None,
        inputs: str | Sequence[str] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        loss: str | Callable[..., Any] | None = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Score every sample. A recorder needs no arguments, else those of `gexcore.GEX.fit`.

        Raises
        ------
        MissingCapabilityError, InvalidModelError, InvalidDataError
        """
        if self.recorder is not None:
            return super().fit(model, data, y, label=label, backend=backend)
        return self._from_model(
            Sweep(
                self,
                model,
                together(data, y, label, inputs, collate_fn),
                loss=loss,
                backend=backend,
                progress=progress,
            )
        )

    @abstractmethod
    def _from_model(self, sweep: Sweep) -> Scores:
        """The work of this score on checkpoints."""
