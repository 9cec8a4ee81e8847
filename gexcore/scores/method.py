"""The forms of scores: what they read, and one way to be fitted for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from gexcore.scores.result import Scores
from gexcore.scores.runs import Runs
from gexcore.scores.sweep import Sweep


class ModelScore(ABC):
    """A score that takes the trained model, or ``checkpoints`` of its training, through the data."""

    def fit(
        self,
        model: Any,
        data: Any,
        *,
        loss: str | Callable[..., Any] | None = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Score every sample; arguments as in `gexcore.GEX.fit`.

        Raises
        ------
        MissingCapabilityError
            Where the backend lacks what the score ``needs``.
        InvalidDataError
            For targets that are no classes, of a score that judges classes.
        InvalidModelError
            For a model or checkpoint whose measurements are not finite.
        """
        return self._from_model(
            Sweep(self, model, data, loss=loss, backend=backend, progress=progress)
        )

    @abstractmethod
    def _from_model(self, sweep: Sweep) -> Scores:
        """The score's own work."""


class RecordedScore(ABC):
    """A score that reads what a training loop told a `Recorder`."""

    def fit(
        self,
        model: Any = None,
        data: Any = None,
        *,
        loss: str | Callable[..., Any] | None = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Score every sample; arguments as in `gexcore.GEX.fit`, and none needed.

        Raises
        ------
        InvalidDataError
            Where what the score reads was not recorded, or `data` has another number of samples
            than the recorder.
        """
        return self._from_runs(Runs(self, model, data, backend=backend))

    @abstractmethod
    def _from_runs(self, runs: Runs) -> Scores:
        """The score's own work."""


class EitherScore(RecordedScore):
    """A score of recorded runs, or of a model taken through the data: its field ``recorder``
    decides."""

    def fit(
        self,
        model: Any = None,
        data: Any = None,
        *,
        loss: str | Callable[..., Any] | None = None,
        backend: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Score every sample; arguments as in `gexcore.GEX.fit`, and none needed with a recorder.

        Raises
        ------
        MissingCapabilityError, InvalidModelError
            As for a score of checkpoints.
        InvalidDataError
            As for a score of recorders, or for targets that are no classes.
        """
        if self.recorder is not None:  # type: ignore[attr-defined]
            return super().fit(model, data, backend=backend)
        return self._from_model(
            Sweep(self, model, data, loss=loss, backend=backend, progress=progress)
        )

    @abstractmethod
    def _from_model(self, sweep: Sweep) -> Scores:
        """The score's own work on checkpoints."""
