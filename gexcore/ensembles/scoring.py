"""Scorers: the losses of a snapshot come from a pass of its own, or from its training batches."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.protocols import Backend, Dataset, Indices, SupportsTrainingLosses
from gexcore.ensembles.plan import Plan, steering_size
from gexcore.ensembles.stepper import Trail, training_batches
from gexcore.evaluation.losses import checked, evaluate, gather
from gexcore.evaluation.passes import Passes
from gexcore.evaluation.statistics import Refresher


class Probe(NamedTuple):
    """The losses of a few samples, which tell the controller where a chain is.

    Parameters
    ----------
    indices, losses : arrays, shape (s,)
        Positions and losses of the samples that steer.
    scored : Any
        The state with refreshed statistics. None if training batches give the losses.
    """

    indices: Indices
    losses: NDArray[Any]
    scored: Any


class Collected(NamedTuple):
    """The losses of one snapshot.

    Parameters
    ----------
    losses : array, shape (samples,)
        One loss per sample. NaN if the sample was not seen.
    diverged : bool
        Whether any seen loss is not finite, or too large to square.
    """

    losses: NDArray[Any]
    diverged: bool


class Scorer(Protocol):
    """The measure of losses of θ* and of snapshots, the same for both."""

    def base(self) -> NDArray[Any]:
        """Losses at θ*, shape (samples,)."""
        ...

    def refresh(self, state: Any) -> Any:
        """The state with the statistics of normalisation layers that it is scored with."""
        ...

    def probe(self, state: Any, trail: Trail) -> Probe:
        """Some losses of the state at the end of `trail`."""
        ...

    def collect(self, probe: Probe, trail: Trail) -> Collected:
        """All losses of the same state."""
        ...

    @property
    def probe_passes(self) -> Passes:
        """Cost of a probe, beyond the steps."""
        ...

    @property
    def collect_passes(self) -> Passes:
        """Cost of all losses after a probe."""
        ...

    @property
    def anchor_passes(self) -> Passes:
        """Cost of the statistics that the members of an anchor share."""
        ...


class EvaluatedScorer:
    """Losses in evaluation mode, with refreshed statistics.

    A random part of the samples steers the chain. Members are scored on all samples.
    """

    def __init__(
        self, backend: Backend[Any, Any], data: Dataset[Any], refresh: Refresher, plan: Plan
    ) -> None:
        self._backend = backend
        self._data = data
        self.refresh = refresh
        self._shared = plan.shares_statistics
        self._batch_size = plan.scoring_batch_size
        order = np.random.default_rng([plan.seed, 0x57EE]).permutation(len(data))
        size = steering_size(len(data))
        self._steering, self._rest = np.sort(order[:size]), np.sort(order[size:])
        own, shared = (0, refresh.samples) if self._shared else (refresh.samples, 0)
        self.probe_passes = Passes(forward=size + own)
        self.collect_passes = Passes(forward=len(data) - size)
        self.anchor_passes = Passes(forward=shared)

    def base(self) -> NDArray[Any]:
        """Losses at θ* with statistics refreshed."""
        return evaluate(
            self._backend,
            self.refresh(self._backend.initial_state()),
            self._data,
            batch_size=self._batch_size,
        )

    def probe(self, state: Any, trail: Trail) -> Probe:
        """Losses of the samples that steer."""
        scored = state if self._shared else self.refresh(state)
        return Probe(self._steering, self._measure(scored, self._steering), scored)

    def collect(self, probe: Probe, trail: Trail) -> Collected:
        """Losses of every sample."""
        losses = np.empty(len(self._data), probe.losses.dtype)
        losses[probe.indices] = probe.losses
        if len(self._rest):
            losses[self._rest] = self._measure(probe.scored, self._rest)
        return Collected(losses, diverged(losses))

    def _measure(self, state: Any, positions: Indices) -> NDArray[Any]:
        return evaluate(
            self._backend, state, self._data, positions=positions, batch_size=self._batch_size
        )


class TrainingBatchScorer:
    """Training losses of the chunk's own batches, without an extra pass.

    A sample that was seen twice counts with its last loss.
    """

    def __init__(self, backend: Backend[Any, Any], train: Dataset[Any], plan: Plan) -> None:
        self._backend = backend
        self._train = train
        self._plan = plan
        self.probe_passes = self.collect_passes = self.anchor_passes = Passes()

    def base(self) -> NDArray[Any]:
        """Losses at θ* in training mode, in shuffled batches as in training."""
        return self.losses_at(self._backend.initial_state())

    def refresh(self, state: Any) -> Any:
        """The state itself: in training mode a batch has statistics of its own."""
        return state

    def losses_at(self, state: Any) -> NDArray[Any]:
        """Losses at a state, measured as those at θ* are, shape (samples,)."""
        n, size = len(self._train), self._plan.batch_size
        order = np.random.default_rng([self._plan.seed, 0xBA5E]).permutation(n)
        # the last batch overlaps the one before it: a tiny batch has poor statistics
        starts = [*range(0, n - size, size), n - size]
        seen = training_batches(self._train)
        able = require(self._backend, SupportsTrainingLosses, by='scoring="training_batches"')
        batches = [order[start : start + size] for start in starts]
        parts = [
            gather([checked(able.training_losses(state, seen(indices, seed), seed=seed), size)])
            for seed, indices in enumerate(batches)
        ]
        losses = np.empty(n, parts[0].dtype)
        for indices, part in zip(batches, parts, strict=True):
            losses[indices] = part
        return losses

    def probe(self, state: Any, trail: Trail) -> Probe:
        """The losses along the later half of `trail`."""
        return Probe(*trail.later_half(), None)

    def collect(self, probe: Probe, trail: Trail) -> Collected:
        """The losses along all of `trail`."""
        indices, seen = trail.all()
        losses = np.full(len(self._train), np.nan, seen.dtype)
        losses[indices] = seen
        return Collected(losses, diverged(seen))


class EpochScorer(TrainingBatchScorer):
    """Training losses of whole epochs. All losses of a chunk steer."""

    def probe(self, state: Any, trail: Trail) -> Probe:
        """The losses along all of `trail`."""
        return Probe(*trail.all(), None)


def diverged(seen: NDArray[Any]) -> bool:
    """Whether a loss is not finite, or so large that its square is not."""
    with np.errstate(over="ignore"):
        return not bool(np.isfinite(np.square(seen)).all())
