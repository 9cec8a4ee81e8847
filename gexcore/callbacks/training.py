"""Records of a training: curves of every sample, and sparse checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import to_numpy
from gexcore.errors import InvalidDataError
from gexcore.scores.recorder import Recorder
from gexcore.settings import check_count


class TrainingRecord:
    """A record of one training, filled by two lines in its loop.

    `batch` keeps arrays as they are, on their device. They are read once, at the end of the epoch:
    a step of the training does not wait for them.

    Parameters
    ----------
    samples : int
        Number of training samples.
    every : int
        A checkpoint is kept after each epoch whose number this divides. 0 keeps none.

    Attributes
    ----------
    recorder : Recorder
        Curves, for `EL2N`, `AUM`, `Forgetting` and `MeanMemberLoss`.
    checkpoints : list
        Copies of the states given to `epoch`, for `TracIn`.

    Examples
    --------
    >>> from gexcore.callbacks import TrainingRecord
    >>> from gexcore.scores import AUM
    >>> record = TrainingRecord(samples=3, every=1)
    >>> for weights in ([0.1], [0.2]):
    ...     record.batch([2, 0], logits=[[1.0, 0.5], [1.0, 0.5]], labels=[1, 0])
    ...     record.batch([1], logits=[[1.0, 0.5]], labels=[1])
    ...     record.epoch(weights)
    >>> AUM(recorder=record.recorder).fit().values
    array([ 0.5, -0.5, -0.5])
    >>> record.checkpoints
    [[0.1], [0.2]]
    """

    def __init__(self, samples: int, *, every: int = 0) -> None:
        check_count("every", every, least=0, auto=False)
        self.recorder = Recorder(samples)
        self.checkpoints: list[Any] = []
        self._every = every
        self._batches: list[tuple[Any, dict[str, Any]]] = []
        self._epochs = 0

    def batch(
        self, indices: Any, *, losses: Any = None, logits: Any = None, labels: Any = None
    ) -> None:
        """Keep one batch. Arguments are those of `Recorder.add`; gradients are left behind.

        A sample that comes twice in an epoch counts once, by its first presentation.
        """
        given = {"losses": losses, "logits": logits, "labels": labels}
        kept = {name: detached(value) for name, value in given.items() if value is not None}
        self._batches.append((detached(indices), kept))

    def epoch(self, state: Any = None) -> None:
        """End an epoch: read its batches, and keep a copy of `state` if one is due.

        Parameters
        ----------
        state : native state, optional
            Parameters or weights in the form that checkpoints of the framework have.

        Raises
        ------
        InvalidDataError
            See `Recorder.add`. Batches of one epoch must give the same kinds of arrays.
        """
        self._flush()
        self._epochs += 1
        self.recorder.epoch()
        if state is not None and self._every and self._epochs % self._every == 0:
            self.checkpoints.append(copied(state))

    def _flush(self) -> None:
        batches, self._batches = self._batches, []
        if not batches:
            return
        kinds = batches[0][1].keys()
        if any(given.keys() != kinds for _, given in batches):
            raise InvalidDataError(
                "the batches of one epoch give different kinds of arrays; give the same for each"
            )
        indices = np.concatenate([to_numpy(at).reshape(-1) for at, _ in batches])
        columns = {
            name: np.concatenate([rows_of(given[name]) for _, given in batches]) for name in kinds
        }
        first = np.sort(np.unique(indices, return_index=True)[1])
        self.recorder.add(
            indices[first], **{name: column[first] for name, column in columns.items()}
        )


def detached(value: Any) -> Any:
    """An array without its gradients."""
    return value.detach() if hasattr(value, "detach") else value


def copied(state: Any) -> Any:
    """A copy of a state dict, a list of arrays, or a tree of arrays that never change."""
    if isinstance(state, dict):
        return {name: copied(value) for name, value in state.items()}
    if hasattr(state, "detach"):
        return state.detach().cpu().clone()
    if isinstance(state, list):
        return [copied(value) for value in state]
    return state.copy() if isinstance(state, np.ndarray) else state


def rows_of(value: Any) -> NDArray[Any]:
    """An array with one row per sample; bfloat16 becomes float32."""
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":
        value = value.float()
    return to_numpy(value)
