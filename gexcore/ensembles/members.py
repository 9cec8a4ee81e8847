"""States of members that a fit keeps for later questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.classes import class_scores, softmax
from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.protocols import Backend, Dataset, Indices, SupportsLogits
from gexcore.deviations.table import LossTable
from gexcore.deviations.uncertainty import member_groups
from gexcore.ensembles.parts import Function, means_over_states
from gexcore.evaluation.losses import evaluate, evaluate_many, in_order, outputs
from gexcore.evaluation.statistics import Refresher


@dataclass(frozen=True)
class Members:
    """Some members of a run, which can score any data.

    Parameters
    ----------
    rows : integer array, shape (kept,)
        Row of each member in the run's loss table.
    chains : integer array, shape (kept,)
    states : list of State
    """

    backend: Backend[Any, Any]
    refresh: Refresher
    batch_size: int
    rows: NDArray[np.intp]
    chains: NDArray[np.intp]
    states: list[Any]

    def evaluate(self, data: Any) -> LossTable:
        """Losses of θ* and of every kept member on `data`, in evaluation mode."""
        dataset = as_dataset(data, self.backend)
        trained = self.refresh(self.backend.initial_state())
        states = [trained, *self.refresh.of_members(self.states)]
        losses = evaluate_many(self.backend, states, dataset, batch_size=self.batch_size)
        return LossTable(losses[1:], losses[0], self.chains)

    def base(self, dataset: Dataset[Any]) -> NDArray[Any]:
        """Losses of θ* on `dataset`, measured in the same way as the members' losses."""
        trained = self.refresh(self.backend.initial_state())
        return evaluate(self.backend, trained, dataset, batch_size=self.batch_size)

    def parts(
        self, data: Dataset[Any], positions: Indices, of: Function
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A function of each part's loss: its mean over kept members, and that of θ*.

        Both have the shape (positions, …). Without a kept member both are those of θ*.

        Raises
        ------
        InvalidDataError, MissingCapabilityError
            See `gexcore.ensembles.parts.means_over_states`.
        """
        trained = [self.refresh(self.backend.initial_state())]
        base = self._parts([trained], np.zeros(1, np.intp), data, positions, of)[0]
        if not len(self.rows):
            return base, base
        kept = np.zeros(len(self.rows), np.intp)
        return self._parts(self._groups(), kept, data, positions, of)[0], base

    def parts_by_group(
        self, data: Dataset[Any], of: Function
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A function of each part's loss: its mean over each group of members, and that of θ*.

        Groups are those of `gexcore.deviations.uncertainty.member_groups`.

        Returns
        -------
        array, shape (groups, samples, …), and array, shape (samples, …)
            Without a kept member there is no group.
        """
        every = np.arange(len(data))
        trained = [self.refresh(self.backend.initial_state())]
        base = self._parts([trained], np.zeros(1, np.intp), data, every, of)[0]
        if not len(self.rows):
            return np.empty((0, *base.shape)), base
        return self._parts(self._groups(), member_groups(self.chains), data, every, of), base

    def _parts(
        self,
        groups: Iterable[Sequence[Any]],
        keys: NDArray[np.intp],
        data: Dataset[Any],
        positions: Indices,
        of: Function,
    ) -> NDArray[np.float64]:
        return means_over_states(
            self.backend, groups, keys, data, positions, batch_size=self.batch_size, of=of
        )

    def _groups(self) -> Iterator[Sequence[Any]]:
        """States of the kept members, in groups that are in memory together."""
        yield self.refresh.of_members(self.states)

    def probabilities(self, data: Dataset[Any]) -> NDArray[np.float64]:
        """Mean class probabilities of the kept members, or of θ* without any, shape (samples, K).

        Raises
        ------
        MissingCapabilityError
            Where the backend has no logits.
        """
        count = max(1, len(self.states))
        return np.concatenate([part.sum(axis=0) for part in self._sums(data)]) / count

    def sums_by_chain(self, data: Dataset[Any]) -> NDArray[np.float64]:
        """Class probabilities summed over the kept members of each chain.

        Returns
        -------
        array, shape (chains, samples, K)
            Chains are in the order of their numbers. Without any, there is one entry, of θ*.
        """
        return np.concatenate(list(self._sums(data)), axis=1)

    def _sums(self, data: Dataset[Any]) -> Iterator[NDArray[np.float64]]:
        """The sums by chain, batch by batch."""
        able = require(self.backend, SupportsLogits, by="the label suggestion")
        states = self.refresh.of_members(self.states)
        states = states or [self.refresh(self.backend.initial_state())]
        chains = self.chains if self.states else np.zeros(1, np.intp)
        _, groups = np.unique(chains, return_inverse=True)
        for indices in in_order(len(data), self.batch_size):
            batch = data.batch(indices)
            found: list[Any] = [0.0] * (int(groups.max()) + 1)
            for group, state in zip(groups.tolist(), states, strict=True):
                scores = class_scores(to_numpy(able.logits(state, batch)), len(indices))
                found[group] = found[group] + softmax(scores)
            yield np.stack(found)

    def checkpoint_logits(self, data: Dataset[Any]) -> NDArray[np.float64]:
        """Logits of the model as it was given, shape (samples, K).

        Raises
        ------
        MissingCapabilityError
            Where the backend has none.
        """
        able = require(self.backend, SupportsLogits, by="relabelling from the trained model")
        state = self.backend.initial_state()
        found = outputs(able.logits, state, data, batch_size=self.batch_size)
        return class_scores(found, len(data))
