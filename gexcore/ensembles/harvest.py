"""Where the losses of a snapshot come from: a pass of its own, or the batches that led to it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.ensembles.walker import Trail, training_batch
from gexcore.evaluation import Refresher, checked, evaluate, gather
from gexcore.passes import Passes
from gexcore.plan import Plan
from gexcore.protocols import Backend, Dataset, Indices


class Harvested(NamedTuple):
    """The losses of one snapshot.

    Parameters
    ----------
    losses : array, shape (samples,)
        NaN for a sample that was not seen.
    steering, steering_losses : arrays, shape (s,)
        Positions and losses that tell the controller where the chain is now.
    diverged : bool
        Whether any loss that was seen is not finite, or so large that its square is not.
    scored : Any
        The state that `losses` were measured on, if it is ready for further evaluation; else None.
    """

    losses: NDArray[Any]
    steering: Indices
    steering_losses: NDArray[Any]
    diverged: bool
    scored: Any


class Harvest(Protocol):
    """Measures θ* and the snapshots of a run in one and the same way."""

    passes: Passes
    """Cost of one snapshot, beyond its steps."""

    def base(self) -> NDArray[Any]:
        """Losses at θ*, shape (samples,)."""
        ...

    def __call__(self, state: Any, trail: Trail) -> Harvested:
        """The losses of the snapshot `state`, to which `trail` led."""
        ...


class EvaluatedHarvest:
    """Every sample, in evaluation mode, with statistics refreshed: one forward pass a snapshot."""

    def __init__(self, backend: Backend[Any, Any], data: Dataset[Any], refresh: Refresher, plan: Plan) -> None:
        self._backend = backend
        self._data = data
        self._refresh = refresh
        self._batch_size = plan.scoring_batch_size
        self.passes = Passes(forward=len(data) + refresh.samples)

    def base(self) -> NDArray[Any]:
        """Losses at θ* with statistics refreshed."""
        return self._measure(self._refresh(self._backend.initial_state()))

    def __call__(self, state: Any, trail: Trail) -> Harvested:
        """The losses of every sample."""
        scored = self._refresh(state)
        losses = self._measure(scored)
        everything = np.arange(len(losses))
        return Harvested(losses, everything, losses, _diverged(losses), scored)

    def _measure(self, state: Any) -> NDArray[Any]:
        return evaluate(self._backend, state, self._data, batch_size=self._batch_size)


class FreeHarvest:
    """The training losses of the chunk's own batches, a sample's last one where it was seen twice: no pass of its own."""

    def __init__(self, backend: Backend[Any, Any], train: Dataset[Any], plan: Plan) -> None:
        self._backend = backend
        self._train = train
        self._plan = plan
        self.passes = Passes()

    def base(self) -> NDArray[Any]:
        """Losses at θ* in training mode, in shuffled batches as in training."""
        n, size = len(self._train), self._plan.batch_size
        order = np.random.default_rng([self._plan.seed, 0xBA5E]).permutation(n)
        # the last batch reaches back into the one before it: a tiny batch has poor statistics
        starts = [*range(0, n - size, size), n - size]
        state = self._backend.initial_state()
        losses: NDArray[Any] | None = None
        for seed, start in enumerate(starts):
            indices = order[start : start + size]
            batch = training_batch(self._train, indices, seed=seed)
            part = gather([checked(self._backend.training_losses(state, batch, seed=seed), size)])  # type: ignore[attr-defined]
            losses = np.empty(n, part.dtype) if losses is None else losses
            losses[indices] = part
        assert losses is not None
        return losses

    def __call__(self, state: Any, trail: Trail) -> Harvested:
        """The losses along `trail`."""
        indices, seen = trail.all()
        losses = np.full(len(self._train), np.nan, seen.dtype)
        losses[indices] = seen
        steering, steering_losses = trail.later_half()
        return Harvested(losses, steering, steering_losses, _diverged(seen), None)


def _diverged(losses: NDArray[Any]) -> bool:
    with np.errstate(over="ignore"):
        return not bool(np.isfinite(np.square(losses)).all())
