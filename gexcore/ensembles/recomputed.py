"""Members whose states are computed again: nothing of them is kept but their record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import as_dataset
from gexcore.backend.protocols import Backend, Dataset
from gexcore.deviations.table import LossTable
from gexcore.ensembles.chain import Snapshot
from gexcore.ensembles.drawn import Drawn
from gexcore.ensembles.members import Members
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.stepper import Stepper
from gexcore.ensembles.thermostat import AnyController, Reading
from gexcore.evaluation.losses import evaluate
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.statistics import Refresher


@dataclass(frozen=True)
class Recomputed(Members):
    """All members of a run, stepped again for every question.

    Their steps cost far less than their losses on the training set, which are not computed again.

    Parameters
    ----------
    train : Dataset
        The samples that the members step on.
    plan : Plan
    controller : Controller
    snapshots : tuple of Snapshot
        Record of the run.
    """

    train: Dataset[Any]
    plan: Plan
    controller: AnyController
    snapshots: tuple[Snapshot, ...]

    @classmethod
    def of(cls, opened: Opened, drawn: Drawn, controller: AnyController) -> Recomputed:
        """All members of a run that measured each of them by a pass of its own."""
        return cls(
            backend=opened.backend,
            refresh=Refresher(opened.backend, opened.data, seed=drawn.plan.seed),
            batch_size=drawn.plan.scoring_batch_size,
            rows=np.arange(len(drawn.table)),
            chains=drawn.table.chains,
            states=[],
            train=opened.train,
            plan=drawn.plan,
            controller=controller,
            snapshots=drawn.snapshots,
            names=opened.names,
        )

    def evaluate(self, data: Any) -> LossTable:
        """Losses of θ* and of every member on `data`, in evaluation mode."""
        dataset = as_dataset(self.names.read(data), self.backend)
        rows = [
            evaluate(self.backend, self.refresh(state), dataset, batch_size=self.batch_size)
            for state in self._states()
        ]
        return LossTable(np.stack(rows), self.base(dataset), self.chains)

    def probabilities(self, data: Dataset[Any]) -> NDArray[np.float64]:
        """Mean class probabilities of all members, shape (samples, K)."""
        return np.asarray(self.sums_by_chain(data).sum(axis=0) / len(self.rows))

    def sums_by_chain(self, data: Dataset[Any]) -> NDArray[np.float64]:
        """Class probabilities summed over the members of each chain, (chains, samples, K)."""
        found: dict[int, NDArray[np.float64]] = {}
        for chain, state in zip(self.chains.tolist(), self._states(), strict=True):
            row, own = self.rows[:1], self.chains[:1]
            one = Members(self.backend, self.refresh, self.batch_size, row, own, [state])
            found[chain] = found.get(chain, np.zeros(())) + one.probabilities(data)
        return np.stack([found[chain] for chain in sorted(found)])

    def _groups(self) -> Iterator[Sequence[Any]]:
        return ([self.refresh(state)] for state in self._states())

    def _states(self) -> Iterator[Any]:
        for chain in self.plan.numbers:
            taken = [snapshot for snapshot in self.snapshots if snapshot.chain == chain]
            yield from _replayed(self.backend, self.train, self.plan, self.controller, chain, taken)


def _replayed(
    backend: Backend[Any, Any],
    train: Dataset[Any],
    plan: Plan,
    controller: AnyController,
    chain: int,
    snapshots: Sequence[Snapshot],
) -> Iterator[Any]:
    """The state of each member of one chain, from the steps that its record tells."""
    stepper = Stepper(backend, train, plan, chain)
    memory, chunk = controller.start()
    for snapshot in snapshots:
        if chunk is None:
            return
        stepper.advance(chunk.schedule, plan.warmup_steps if snapshot.warmup else plan.steps)
        if snapshot.status == "member":
            yield stepper.state
        reading = Reading(snapshot.skill, snapshot.mean_loss, snapshot.status == "diverged")
        memory, decision = controller.update(memory, reading)
        chunk = decision.chunk
        if decision.after == "reset":
            stepper.reset()
        elif decision.after == "back":
            stepper.back()
        elif decision.after == "restart":
            stepper.restart()
