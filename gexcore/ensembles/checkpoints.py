"""Checkpoints of a training as members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gexcore.backend.capabilities import require
from gexcore.backend.data import as_dataset
from gexcore.backend.protocols import Backend, SupportsCheckpoints
from gexcore.deviations.gradients import GradientTable
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.passes import Passes


def load_states(backend: Backend[Any, Any], checkpoints: Sequence[Any], *, by: str) -> list[Any]:
    """The states of native checkpoints.

    Raises
    ------
    InvalidSettingError
        If no checkpoint is given.
    MissingCapabilityError
        If the backend cannot load checkpoints.
    """
    if not isinstance(checkpoints, list | tuple) or not checkpoints:
        msg = (
            f"{by} needs a list of checkpoints of the training run, such as "
            "checkpoints=[state_1, state_2], and got none"
        )
        raise InvalidSettingError(msg)
    able = require(backend, SupportsCheckpoints, by=by)
    return [able.load(checkpoint) for checkpoint in checkpoints]


@dataclass(frozen=True, eq=False)
class Gradients:
    """Fixed states whose gradients can be taken on any data."""

    backend: Backend[Any, Any]
    states: Sequence[Any]
    size: int
    batch_size: int

    def evaluate(self, data: Any, /) -> GradientTable:
        """The gradients on `data`. They are computed when they are needed."""
        dataset = as_dataset(data, self.backend)
        return GradientTable(self.backend, self.states, dataset, self.size, self.batch_size)

    def passes(self, samples: int) -> Passes:
        """Passes of the self-influence of this many samples."""
        return Passes(gradient=len(self.states) * samples, copies=len(self.states))
