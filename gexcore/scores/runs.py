"""Runs: recorders of one or several trainings, for one score."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.influence.scores import High, Scores
from gexcore.scores.batch import Curve
from gexcore.scores.fitting import check_checkpoints, make_scores, open_data
from gexcore.scores.recorder import Recorder


def recorders_of(recorder: Any) -> tuple[Recorder, ...]:
    """One recorder, or one recorder per run, as a tuple.

    Raises
    ------
    InvalidSettingError
        If a value is no recorder.
    InvalidDataError
        If runs differ in their number of samples.
    """
    runs = (recorder,) if isinstance(recorder, Recorder) else recorder
    if (
        not isinstance(runs, list | tuple)
        or not runs
        or not all(isinstance(run, Recorder) for run in runs)
    ):
        msg = (
            f"recorder is of type {type(recorder).__name__}; give a gexcore.Recorder, or a list "
            "with one of each run"
        )
        raise InvalidSettingError(msg)
    sizes = sorted({run.samples for run in runs})
    if len(sizes) > 1:
        raise InvalidDataError(
            f"the recorders have {sizes[0]} and {sizes[-1]} samples; give runs on the same data"
        )
    return tuple(runs)


def check_sources(recorder: Any, checkpoints: Any, *, by: str) -> None:
    """Refuse both, or neither, of recorders and checkpoints.

    Raises
    ------
    InvalidSettingError, InvalidDataError
    """
    check_checkpoints(checkpoints)
    if (recorder is None) == (not checkpoints):
        msg = (
            f"{by} reads either a recorder or checkpoints; give one of recorder=... and "
            "checkpoints=[...]"
        )
        raise InvalidSettingError(msg)
    if recorder is not None:
        recorders_of(recorder)


class Runs:
    """One fit that reads recorders. Given data must have as many samples.

    Raises
    ------
    InvalidDataError
    """

    def __init__(self, method: Any, model: Any, data: Any, *, backend: str | None) -> None:
        self._started = time.perf_counter()
        self._method, self._name = method, type(method).__name__
        self.recorders = recorders_of(method.recorder)
        self.samples = self.recorders[0].samples
        if data is not None:
            size = len(open_data(model, data, backend=backend))
            if size != self.samples:
                msg = (
                    f"the recorder has {self.samples} samples and data {size}; give the data "
                    "that was trained on"
                )
                raise InvalidDataError(msg)

    def curves(self, name: Curve) -> list[NDArray[np.float32]]:
        """One curve of each run, shape (epochs, samples).

        Raises
        ------
        InvalidDataError
            If the curve was not recorded.
        """
        return [run.curve(name, by=self._name) for run in self.recorders]

    def mean(self, name: Curve) -> Floats:
        """Mean of a curve over epochs, then over runs, shape (samples,); NaN if never seen."""
        return known_mean(np.stack([known_mean(curve) for curve in self.curves(name)]))

    def scores(
        self,
        values: NDArray[Any],
        *,
        unit: str,
        high: High = "mislabelled",
        tie_break: NDArray[Any] | None = None,
        details: dict[str, NDArray[Any]] | None = None,
    ) -> Scores:
        """The result, with the labels of the recorders."""
        labels = next((run.labels for run in self.recorders if run.labels is not None), None)
        return make_scores(
            self._method,
            values,
            labels=labels,
            unit=unit,
            high=high,
            started=self._started,
            tie_break=tie_break,
            details=details,
        )


def known_mean(rows: NDArray[Any]) -> Floats:
    """Mean over rows without NaN entries; NaN if all entries are NaN."""
    known = ~np.isnan(rows)
    count = known.sum(axis=0)
    total = np.where(known, rows, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
