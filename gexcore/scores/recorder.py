"""Recorders: training curves of every sample, filled by the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.scores.batch import CURVES, Curve, never_told, read_batch, refuse_conflicts
from gexcore.scores.recorder_file import Recorded, read_recorded, write_recorded
from gexcore.settings import check_count


class Recorder:
    """A record of the training curves of each sample, epoch by epoch.

    It keeps four float32 numbers per sample and epoch. Added batches count once `epoch` ends their
    epoch.

    Parameters
    ----------
    samples : int
        Number of training samples. Indices are positions among them.

    Examples
    --------
    >>> from gexcore.scores import AUM, Recorder
    >>> recorder = Recorder(samples=3)
    >>> recorder.add([2, 0], logits=[[1.0, 0.5], [1.0, 0.5]], labels=[1, 0])
    >>> recorder.add([1], logits=[[1.0, 0.5]], labels=[1])
    >>> recorder.epoch()
    >>> AUM(recorder=recorder).fit().values
    array([ 0.5, -0.5, -0.5])
    """

    def __init__(self, samples: int) -> None:
        check_count("samples", samples, auto=False)
        self.samples = samples
        self._numbers: list[int] = []
        self._ended: dict[Curve, list[NDArray[np.float32]]] = {name: [] for name in CURVES}
        self._given = np.full(samples, -1, np.intp)
        self._begin()

    def __repr__(self) -> str:
        return f"<Recorder: {self.samples} samples, {len(self._numbers)} epochs>"

    def add(
        self, indices: Any, *, losses: Any = None, logits: Any = None, labels: Any = None
    ) -> None:
        """Add one batch, in arrays of any framework.

        Parameters
        ----------
        indices : integer array, shape (b,)
            Positions in the training set, in any order, each at most once per epoch.
        losses : array, shape (b,), optional
            Losses without reduction.
        logits : array, shape (b, K), optional
            Scores before the softmax. A binary task may also have shape (b,) or (b, 1).
        labels : integer array, shape (b,), optional
            Given classes, needed with `logits`.

        Raises
        ------
        InvalidDataError
            If shapes are wrong, indices are outside the data, a sample comes twice in one epoch, a
            label changes, or numbers are not finite. Then nothing of the batch is kept.
        """
        batch = read_batch(indices, losses, logits, labels, samples=self.samples)
        refuse_conflicts(batch, self._seen, self._given)
        if batch.labels is not None:
            self._given[batch.indices] = batch.labels
        self._seen[batch.indices] = True
        for name, curve in batch.curves.items():
            self._open[name][batch.indices] = curve

    def epoch(self, number: int | None = None) -> None:
        """End an epoch.

        Parameters
        ----------
        number : int, optional
            Number of the epoch that ends, above the number of the last epoch. By default epochs are
            counted from 1.

        Raises
        ------
        InvalidDataError, InvalidSettingError
            If no batch was added since the last epoch, or the number is not above the last one.
        """
        least = self._numbers[-1] + 1 if self._numbers else 0
        number = max(1, least) if number is None else number
        check_count("number", number, least=least, auto=False)
        if not self._seen.any():
            raise InvalidDataError(
                f"nothing was recorded in epoch {number}; call add() for every batch, then epoch()"
            )
        for name in CURVES:
            self._ended[name].append(self._open[name])
        self._numbers.append(number)
        self._begin()

    @property
    def epochs(self) -> tuple[int, ...]:
        """Numbers of the epochs that have ended."""
        return tuple(self._numbers)

    @property
    def labels(self) -> NDArray[np.intp] | None:
        """Given classes, shape (samples,). None unless known for every sample."""
        return self._given.copy() if (self._given >= 0).all() else None

    def curve(self, name: Curve, *, by: str = "this") -> NDArray[np.float32]:
        """One curve per sample, shape (epochs, samples); NaN for an unseen sample.

        Parameters
        ----------
        name : {"losses", "errors", "margins", "correct"}
        by : str
            Name of the caller, for the error.

        Raises
        ------
        InvalidDataError, InvalidSettingError
            If the curve was not recorded, or the name is unknown.
        """
        if name not in CURVES:
            raise InvalidSettingError(f"no curve named {name!r}; allowed are {', '.join(CURVES)}")
        if not self._numbers:
            msg = (
                "the recorder has no epoch; call add() for every batch of the training and "
                "epoch() after each epoch"
            )
            raise InvalidDataError(msg)
        found = np.stack(self._ended[name])
        if np.isnan(found).all():
            raise InvalidDataError(never_told(name, by=by))
        return found

    def save(self, path: str | Path) -> None:
        """Write the epochs that have ended to an .npz file, over an older one."""
        curves = {name: np.array(rows, np.float32) for name, rows in self._ended.items()}
        write_recorded(Path(path), Recorded(np.array(self._numbers, np.intp), self._given, curves))

    @classmethod
    def load(cls, path: str | Path) -> Recorder:
        """The recorder that `save` wrote, ready for the next epoch.

        Another file raises `InvalidDataError`.
        """
        recorded = read_recorded(Path(path))
        recorder = cls(len(recorded.labels))
        recorder._given = recorded.labels
        recorder._numbers = recorded.numbers.tolist()
        recorder._ended = {name: list(rows) for name, rows in recorded.curves.items()}
        return recorder

    @classmethod
    def merged(cls, parts: Sequence[Recorder]) -> Recorder:
        """One recorder of those that the ranks of one distributed training filled.

        Parameters
        ----------
        parts : sequence of Recorder
            Each saw a part of the samples. A sample that two saw counts once, by the first.

        Raises
        ------
        InvalidDataError
            If there is none, they differ in samples or epochs, or a sample has two labels.
        """
        if not parts or any(
            (part.samples, part.epochs) != (parts[0].samples, parts[0].epochs) for part in parts
        ):
            raise InvalidDataError(
                "the recorders differ in their samples or epochs; give those of the ranks of one "
                "training"
            )
        whole = cls(parts[0].samples)
        whole._numbers = list(parts[0]._numbers)
        for part in parts:
            both = (whole._given >= 0) & (part._given >= 0) & (whole._given != part._given)
            if both.any():
                raise InvalidDataError(
                    f"sample {int(both.argmax())} has two labels; give positions in the training "
                    "set on every rank"
                )
            whole._given = np.where(whole._given >= 0, whole._given, part._given)
        for name in CURVES:
            for number in range(len(whole._numbers)):
                row = parts[0]._ended[name][number]
                for part in parts[1:]:
                    row = np.where(np.isnan(row), part._ended[name][number], row)
                whole._ended[name].append(row)
        return whole

    def _begin(self) -> None:
        self._seen = np.zeros(self.samples, bool)
        self._open = {name: np.full(self.samples, np.nan, np.float32) for name in CURVES}
