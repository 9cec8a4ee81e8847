"""Brittleness: what retraining without the strongest proponents does to a test sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gexcore.backend.data import as_dataset
from gexcore.backend.protocols import Floats
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.retraining.agreement import matrix_of
from gexcore.retraining.outcomes import Train, retrain_on
from gexcore.settings import check_count


@dataclass(frozen=True, eq=False)
class Brittleness:
    """Outputs of test samples before and after their proponents are removed.

    Parameters
    ----------
    full, without, random : arrays, shape (tests,)
        Output after training on all samples, without the proponents of the test sample, and
        without as many random samples.
    """

    full: Floats
    without: Floats
    random: Floats

    @property
    def drop(self) -> float:
        """Mean fall of the output when the proponents are removed."""
        return float(np.mean(self.full - self.without))

    @property
    def random_drop(self) -> float:
        """Mean fall of the output when random samples are removed."""
        return float(np.mean(self.full - self.random))

    @property
    def standard_error(self) -> float:
        """Standard error of `drop` over test samples."""
        return float(np.std(self.full - self.without, ddof=1) / math.sqrt(len(self.full)))

    @property
    def flipped(self) -> float:
        """Share of the samples with p > ½ before that have p < ½ after; for margins only."""
        right = self.full > 0
        return float(np.mean(self.without[right] < 0)) if right.any() else math.nan

    def __repr__(self) -> str:
        return (
            f"<Brittleness: without proponents the output falls by {self.drop:.2f} ± "
            f"{self.standard_error:.2f}, without random samples by {self.random_drop:.2f}, "
            f"{len(self.full)} test samples>"
        )


def brittleness(
    influence: Any, *, train: Train, data: Any, test: Any, k: int = 30, tests: int = 30, **how: Any
) -> Brittleness:
    """Train again without the `k` strongest proponents of each test sample.

    Parameters
    ----------
    influence : Influence, or array of shape (tests, samples)
        See `lds`.
    train, data, test
        See `retrain_on`.
    k : int
        Samples to remove, fewer than all.
    tests : int
        Test samples, the first ones. Each costs a training for each seed.
    **how
        Other arguments of `retrain_on`, such as `seeds`, `store` and `executor`.

    Raises
    ------
    InvalidDataError
        If influence is of other samples.
    InvalidSettingError
        If `k` is not smaller than the number of samples.
    InvalidModelError
        If `train` fails, or ignores its data.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.retraining import brittleness
    >>> from gexcore_numpy import MLP, NumpyBackend
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> def train(data, seed):
    ...     backend = NumpyBackend(MLP([np.zeros((2, 2))], [np.zeros(2)]))
    ...     state = backend.initial_state()
    ...     for _ in range(30):
    ...         state = backend.sgd_step(state, data, lr=0.5, seed=seed)
    ...     return backend.to_model(state)
    >>> like = (2 * y - 1)[:4, None] * (2 * y - 1) * (x[:4] @ x.T)
    >>> found = brittleness(
    ...     like, train=train, data=(x, y), test=(x[:4], y[:4]), k=5, seeds=1, progress=False
    ... )
    >>> found.drop > found.random_drop
    True
    """
    check_count("k", k, auto=False)
    check_count("tests", tests, auto=False)
    values, n = matrix_of(influence)[:tests], len(as_dataset(data))
    if values.shape[1] != n or len(values) > len(as_dataset(test)):
        raise InvalidDataError(
            f"influence has shape {values.shape}, and there are {len(as_dataset(test))} test and "
            f"{n} training samples; give the same samples to both"
        )
    if k >= n:
        raise InvalidSettingError(f"k is {k}, and the data has {n} samples; remove fewer than all")
    rng = np.random.default_rng(0xB817)
    everything, count = np.arange(n), len(values)
    removed = [np.argsort(-row, kind="stable")[:k] for row in values]
    removed += [rng.permutation(n)[:k] for _ in range(count)]
    parts = [everything, *(np.setdiff1d(everything, each) for each in removed)]
    found = retrain_on(parts, train=train, data=data, test=test, **how).mean(axis=0)
    own = np.arange(count)
    return Brittleness(found[0, :count], found[1 + own, own], found[1 + count + own, own])
