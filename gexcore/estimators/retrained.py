"""Results of LOO: differences of losses after training without a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats, Indices
from gexcore.influence.record import Run
from gexcore.influence.scores import Scored, Scores


@dataclass(frozen=True, repr=False, eq=False)
class Retrained(Scored):
    """Differences of losses after training without a sample.

    Parameters
    ----------
    differences : array, shape (repeats, removed, tests)
        Differences on the test data of the fit, or without it on the training set.
    own : array, shape (repeats, removed)
        Differences on the removed sample itself.
    indices : integer array, shape (removed,)
        Positions of the removed samples.
    run : Run
        Record of the fit. Its passes leave out the trainings.
    labels : integer array, shape (samples,), or None
        Given classes.
    """

    differences: Floats
    own: Floats
    indices: Indices
    run: Run
    labels: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        repeats, removed, tests = self.differences.shape
        return (
            f"<Retrained by LOO: without each of {removed} samples, {repeats} times; influence(): "
            f"loss without z minus loss with it, of {tests} test samples, + = removing z hurts; "
            "self_influence(): that of z itself>"
        )

    def influence(self) -> Floats:
        """Mean of ℓ(z', θ* without z) − ℓ(z', θ*) over repeats, shape (tests, removed)."""
        return np.asarray(self.differences.mean(axis=0).T)

    def standard_error(self) -> Floats:
        """Standard error of `influence`, by the spread of the repeats; NaN for one repeat."""
        repeats = len(self.differences)
        if repeats < 2:
            return np.full(self.differences.shape[:0:-1], np.nan)
        return np.asarray(self.differences.std(axis=0, ddof=1).T / np.sqrt(repeats))

    def self_influence(self) -> Floats:
        """Mean of ℓ(z, θ* without z) − ℓ(z, θ*), shape (removed,); high = memorised."""
        return np.asarray(self.own.mean(axis=0))

    def scores(self) -> Scores:
        """Self-influence as a score of all samples; NaN for samples that were not removed."""
        own = np.full(self.run.samples, np.nan)
        own[self.indices] = self.self_influence()
        return Scores(own, self.labels, "self-influence", "mislabelled", self.run)
