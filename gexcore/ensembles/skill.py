"""Skill: the share of the knowledge of θ* that a member still has, from losses and labels."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Indices
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore.evaluation.first_look import FirstLook

Losses = NDArray[Any]

BROKEN_LOSS = 1e4
"""The value of a non-finite loss: worse than any real loss."""


def finite(losses: Losses) -> Losses:
    """Losses with every non-finite one replaced by `BROKEN_LOSS`."""
    return np.where(np.isfinite(losses), losses, BROKEN_LOSS)


def default_clip(classes: int | None) -> float:
    """max(3, 2.5 ln K): well above the loss ln K of a guess, far below an exploded loss."""
    return max(3.0, 2.5 * math.log(classes)) if classes else 3.0


class Skill(Protocol):
    """A scale of members: θ* has skill 1, a model that knows nothing has skill 0."""

    ceiling: float
    """Clip of losses in means that steer: well above the loss of a guess."""

    chance: float
    """Loss of a model that knows nothing."""

    def __call__(self, losses: Losses, indices: Indices, /) -> float:
        """Skill of a member from its losses, shape (n,), at positions `indices`, shape (n,)."""
        ...


class ClassSkill:
    """Skill for a loss with exp(−loss) = p_y: the mean class median of p_y, above chance.

    The median of a class ignores a minority of wrong labels in it. With one median per class, a
    large class cannot hide a small class that has melted.

    Parameters
    ----------
    labels : integer array, shape (samples,)
        Given labels, right or wrong.
    classes : int
        Number of classes K. Chance is 1/K.
    base_losses : array, shape (samples,)
        Losses at θ*, measured in the mode of the members.
    by_size : bool
        Whether classes are weighted by their number of samples. Equal weights have proved better
        where few samples of a small class are seen at a time.
    """

    def __init__(
        self, labels: NDArray[Any], classes: int, base_losses: Losses, *, by_size: bool
    ) -> None:
        self._labels = labels
        self._classes = classes
        self._base = base_losses
        self._by_size = by_size
        self.ceiling = default_clip(classes)
        self.chance = math.log(classes)

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
    """The median loss of a model that knows nothing. None for a loss without a name.

    Such a model predicts the mean of numbers, one half for yes or no, and each token by its
    frequency.
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
    """Skill for any other loss: 1 − median loss ÷ the median loss of a model that knows nothing.

    Parameters
    ----------
    chance : float
        Median loss of a model that knows nothing.
    base_losses : array, shape (samples,)
        Losses at θ*, measured in the mode of the members.
    """

    def __init__(self, chance: float, base_losses: Losses) -> None:
        self._chance = self.chance = chance
        self.ceiling = 3.0 * chance
        self._base = base_losses

    def __call__(self, losses: Losses, indices: Indices, /) -> float:
        base = 1.0 - float(np.median(finite(self._base[indices]))) / self._chance
        return (
            (1.0 - float(np.median(finite(losses))) / self._chance) / base
            if base > 0
            else float("nan")
        )


KNOWN = 0.8
"""Skill of a reference from which on it knows the labels, and so leaves nothing to gain."""


class Gained:
    """Skill that a reference lacks: (skill − known) ÷ (1 − known), with the reference's own skill.

    Both are of the same samples. A reference that is worse than a guess knows nothing.

    Parameters
    ----------
    skill : Skill
    reference : array, shape (samples,)
        Losses at the reference, measured as those of members are.
    """

    def __init__(self, skill: Skill, reference: Losses) -> None:
        self._skill = skill
        self._reference = reference
        self.ceiling, self.chance = skill.ceiling, skill.chance

    def __call__(self, losses: Losses, indices: Indices, /) -> float:
        known = float(np.clip(self._skill(self._reference[indices], indices), 0.0, KNOWN))
        return (self._skill(losses, indices) - known) / (1.0 - known)


def gained(skill: Skill, reference: Losses) -> Skill:
    """Skill beyond that of a reference; the skill itself if the reference knows the labels."""
    known = skill(reference, np.arange(len(reference)))
    return Gained(skill, reference) if known < KNOWN else skill


def skill_of(
    seen: FirstLook,
    base: Losses,
    loss: object,
    *,
    given: float | None,
    steers: bool,
    by_size: bool,
) -> Skill | None:
    """The measure of skill that a loss allows; None where it has no scale and nothing is steered.

    Parameters
    ----------
    seen : FirstLook
    base : array, shape (samples,)
        Losses at θ*, in the mode in which members are going to be measured.
    loss : str, callable or None
        Loss as the user gave it.
    given : float or None
        The user's loss of a model that knows nothing.
    steers : bool
        Whether a learning rate follows the skill.
    by_size : bool
        See `ClassSkill`.

    Raises
    ------
    InvalidSettingError
        For a loss of unknown scale, where the skill steers.
    InvalidModelError
        For a model that is no better than a guess, where the skill steers.
    """
    if seen.labels is not None and seen.classes is not None:
        skill: Skill = ClassSkill(seen.labels, seen.classes, base, by_size=by_size)
    else:
        chance = chance_loss(loss, seen.targets) if given is None else given
        if chance is None:
            if not steers:
                return None
            msg = (
                "lr='auto' has no measure of skill for this loss; it knows classification by "
                "integer labels, 'squared_error', 'binary_cross_entropy' and your own positive "
                "loss of batches (x, y): name the loss, or set chance_loss to what a model that "
                "knows nothing would have, or lr to a number"
            )
            raise InvalidSettingError(msg)
        skill = LossSkill(chance, base)
    if steers and not np.isfinite(skill(base, np.arange(len(base)))):
        msg = (
            "the model predicts the given targets no better than a guess; the method starts from a "
            "trained model: check that its weights are loaded, and that data and loss are those of "
            "its training"
        )
        raise InvalidModelError(msg)
    return skill
