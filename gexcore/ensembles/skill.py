"""How much of what θ* knows a member still knows, from losses and given labels alone."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Indices

Losses = NDArray[Any]

BROKEN_LOSS = 1e4
"""What a non-finite loss counts as: worse than any real one."""


def finite(losses: Losses) -> Losses:
    """Losses with every non-finite one replaced by `BROKEN_LOSS`."""
    return np.where(np.isfinite(losses), losses, BROKEN_LOSS)


def default_clip(classes: int | None) -> float:
    """max(3, 2.5 ln K): well above the loss ln K of a guess, far below that of an accident."""
    return max(3.0, 2.5 * math.log(classes)) if classes else 3.0


class Skill(Protocol):
    """θ* has skill 1, a model that knows nothing has skill 0."""

    ceiling: float
    """Losses count up to this much in means that steer: well above the loss of a guess."""

    def __call__(self, losses: Losses, indices: Indices, /) -> float:
        """Skill of a member from its losses, shape (n,), at positions `indices`, shape (n,)."""
        ...


class ClassSkill:
    """For a loss with exp(−loss) = p_y: the mean over classes of the class median of p_y, above
    chance.

    A median per class ignores a minority of wrong labels in it and does not let a large class
    hide that a small one has melted.

    Parameters
    ----------
    labels : integer array, shape (samples,)
        As given, right or wrong.
    classes : int
        K; chance is 1/K.
    base_losses : array, shape (samples,)
        At θ*, in the mode in which members are going to be measured.
    by_size : bool
        Weight classes by their number of samples; where few samples of a small class are seen
        at a time its median is noisy, and equal weights have proved better.
    """

    def __init__(
        self, labels: NDArray[Any], classes: int, base_losses: Losses, *, by_size: bool
    ) -> None:
        self._labels = labels
        self._classes = classes
        self._base = base_losses
        self._by_size = by_size
        self.ceiling = default_clip(classes)

    def __call__(self, losses: Losses, indices: Indices, /) -> float:
        labels = self._labels[indices]
        base = self._absolute(self._base[indices], labels)
        return self._absolute(losses, labels) / base if base > 0 else float("nan")

    def _absolute(self, losses: Losses, labels: NDArray[Any]) -> float:
        p = np.exp(-finite(losses).astype(np.float64))
        order = np.argsort(labels, kind="stable")
        present, starts = np.unique(labels[order], return_index=True)
        medians = [float(np.median(part)) for part in np.split(p[order], starts[1:])]
        sizes = np.diff(np.append(starts, len(labels)))
        weights = sizes if self._by_size else np.ones(len(present))
        return float(np.average(medians, weights=weights)) - 1.0 / self._classes


def chance_loss(loss: object, targets: NDArray[Any] | None) -> float | None:
    """The median loss of a model that knows nothing, for losses with a name; else None.

    It predicts the mean of numbers, one half for yes or no, and a token by how often it occurs.
    """
    if targets is None:
        return None
    if loss in (None, "cross_entropy") and targets.ndim > 1 and targets.dtype.kind in "iu":
        counts = np.unique(targets[targets >= 0], return_counts=True)[
            1
        ]  # a negative label counts nowhere
        return float(-np.average(np.log(counts / counts.sum()), weights=counts)) or None
    if loss == "squared_error":
        residual = (targets - targets.mean(axis=0)).astype(np.float64) ** 2
        return float(np.median(residual.reshape(len(targets), -1).sum(axis=1)))
    if loss == "binary_cross_entropy":
        return float(np.log(2.0) * targets.size / len(targets))
    return None


class LossSkill:
    """For any other loss: 1 − median loss ÷ the median loss of a model that knows nothing.

    Parameters
    ----------
    chance : float
        That second median.
    base_losses : array, shape (samples,)
        At θ*, in the mode in which members are going to be measured.
    """

    def __init__(self, chance: float, base_losses: Losses) -> None:
        self._chance = chance
        self.ceiling = 3.0 * chance
        self._base = base_losses

    def __call__(self, losses: Losses, indices: Indices, /) -> float:
        base = 1.0 - float(np.median(finite(self._base[indices]))) / self._chance
        return (
            (1.0 - float(np.median(finite(losses))) / self._chance) / base
            if base > 0
            else float("nan")
        )
