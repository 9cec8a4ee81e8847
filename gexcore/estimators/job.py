"""What the methods that take derivatives have in common, before and after their own work."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Backend, Dataset
from gexcore.deviations.table import Table
from gexcore.ensembles.directions import Tangents
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.first_look import Intake
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.influence.influence import Influence, Source
from gexcore.influence.record import Run, settings_of
from gexcore.progress import progress_bar

LARGEST_HESSIAN = 5000
"""Parameters up to which a Hessian is held as a matrix."""


@dataclass(frozen=True, eq=False)
class Job:
    """A method at work on a model and data that passed every check.

    Parameters
    ----------
    method : estimator
    backend : Backend
        With the chosen parameters trainable only.
    seen : Intake
    theta : array, shape (p,)
        Trainable parameters at θ*; empty where the backend does not give them.
    started : float
    progress : bool
    loss : str or callable, optional
        As the user gave it.
    """

    method: Any
    backend: Backend[Any, Any]
    data: Dataset[Any]
    tests: Dataset[Any] | None
    seen: Intake
    theta: NDArray[Any]
    started: float
    progress: bool
    loss: Any = None

    @property
    def name(self) -> str:
        """Of the method."""
        return type(self.method).__name__

    @property
    def size(self) -> int:
        """Number of trainable parameters p."""
        return len(self.theta)

    def check_size(self, largest: int = LARGEST_HESSIAN) -> None:
        """Refuse a Hessian that does not fit.

        Raises
        ------
        InvalidSettingError
        """
        if self.size > largest:
            msg = (
                f"{self.name} holds a Hessian of {self.size:,} × {self.size:,}, and takes up "
                f"to {largest:,} parameters; "
                "choose fewer with parameters= or LastLayer, or use Arnoldi, LiSSA or "
                "Laplace(structure='kfac')"
            )
            raise InvalidSettingError(msg)

    def run(self, passes: Sequence[Passes], **chosen: Any) -> Run:
        """The record, with the cost of the first look at the data."""
        return Run(
            method=self.name,
            settings=settings_of(self.method),
            plan=None,
            backend=self.backend.name,
            samples=len(self.data),
            classes=self.seen.classes,
            snapshots=(),
            passes=sum_passes([Passes(forward=len(self.data)), *passes]),
            seconds=time.perf_counter() - self.started,
            chosen={"parameters": self.size, **chosen},
        )

    def linear(self, members: Tangents, passes: Sequence[Passes] = (), **chosen: Any) -> Influence:
        """The result of members that are seen through directional derivatives."""
        datasets = [self.data] if self.tests is None else [self.data, self.tests]
        batches = sum(math.ceil(len(data) / members.batch_size) for data in datasets) * len(
            members.states
        )
        with progress_bar(batches, title=self.name, show=self.progress, unit="batch") as bar:
            tables = [members.evaluate(data, on_batch=lambda: bar.advance("")) for data in datasets]
        cost = members.passes(sum(map(len, datasets)))
        return self.result(members, tables, [*passes, cost], **chosen)

    def result(
        self, members: Source, tables: Sequence[Table], passes: Sequence[Passes], **chosen: Any
    ) -> Influence:
        """The result of a method, given the deviations on the data and, if there is any, on the
        test data."""
        return Influence(
            table=tables[0],
            checkpoint_losses=self.seen.losses.astype(np.float64),
            labels=self.seen.labels,
            data=self.data,
            members=members,
            run=self.run(passes, **chosen),
            test_table=tables[1] if len(tables) > 1 else None,
        )
