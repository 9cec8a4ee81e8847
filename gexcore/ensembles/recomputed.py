"""Members whose states are computed again: nothing of them is kept but their record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.protocols import Dataset, SupportsParams
from gexcore.deviations.table import LossTable
from gexcore.ensembles.chain import Snapshot
from gexcore.ensembles.members import Members
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.start import Shrunk, begin_of
from gexcore.ensembles.stepper import Stepper
from gexcore.ensembles.thermostat import AnyController, Reading
from gexcore.evaluation.losses import STATE_BUDGET, evaluate
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.statistics import Refresher


@dataclass(frozen=True)
class Recomputed(Members):
    """All members of a run, stepped again for a question.

    Their steps cost less than their losses on the training set, which are not computed again. The
    first question keeps the states if all of them fit into 1 GB in single precision.

    Parameters
    ----------
    train : Dataset
        The samples that the members step on.
    plan : Plan
    controller : Controller
    snapshots : tuple of Snapshot
        Record of the run.
    start : Shrunk, optional
        The first state of every chain. θ* if not given.
    """

    train: Dataset[Any]
    plan: Plan
    controller: AnyController
    snapshots: tuple[Snapshot, ...]
    start: Shrunk | None = None

    @classmethod
    def of(
        cls,
        opened: Opened,
        plan: Plan,
        controller: AnyController,
        snapshots: tuple[Snapshot, ...],
        start: Shrunk | None = None,
    ) -> Recomputed:
        """All members of the run that this record tells of."""
        chains = [each.chain for each in snapshots if each.status == "member"]
        own = not plan.shares_statistics
        return cls(
            backend=opened.backend,
            refresh=Refresher(opened.backend, opened.data, seed=plan.seed, members=own),
            batch_size=plan.scoring_batch_size,
            rows=np.arange(len(chains)),
            chains=np.array(chains, np.intp),
            states=[],
            train=opened.train,
            plan=plan,
            controller=controller,
            snapshots=snapshots,
            start=start,
        )

    @cached_property
    def held(self) -> Members:
        """The same members with their states in memory, or these where they do not fit there."""
        if not supports(self.backend, SupportsParams):
            return self
        size = len(to_numpy(self.backend.ravel(self.backend.initial_state())))
        if len(self.rows) * size > STATE_BUDGET:
            return self
        return Members(
            self.backend, self.refresh, self.batch_size, self.rows, self.chains,
            list(self._states()),
        )  # fmt: skip

    def evaluate(self, data: Any) -> LossTable:
        """Losses of θ* and of every member on `data`, in evaluation mode."""
        dataset = as_dataset(data, self.backend)
        rows = [
            evaluate(self.backend, state, dataset, batch_size=self.batch_size)
            for group in self._groups()
            for state in group
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
        return (self.refresh.of_members([state]) for state in self._states())

    def _states(self) -> Iterator[Any]:
        for chain in self.plan.numbers:
            taken = [snapshot for snapshot in self.snapshots if snapshot.chain == chain]
            yield from self._replayed(chain, taken)

    def _replayed(self, chain: int, snapshots: Sequence[Snapshot]) -> Iterator[Any]:
        """The state of each member of one chain, from the steps that its record tells."""
        begin = begin_of(self.backend, self.start)
        stepper = Stepper(
            self.backend, self.train, self.plan, chain, begin=begin, refresh=self.refresh
        )
        memory, chunk = self.controller.start()
        for snapshot in snapshots:
            if chunk is None:
                return
            steps = self.plan.steps_of(snapshot.number, warmup=snapshot.warmup)
            stepper.advance(chunk.schedule, steps)
            if snapshot.status == "member":
                yield stepper.snapshot(stepper.member)
            broken = snapshot.status == "diverged"
            reading = Reading(snapshot.skill, snapshot.mean_loss, broken, snapshot.error)
            memory, decision = self.controller.update(memory, reading)
            chunk = decision.chunk
            stepper.follow(decision.after)
