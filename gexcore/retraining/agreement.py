"""The linear datamodeling score: does influence rank what retraining on subsets gives?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats
from gexcore.decisions.metrics import rank_correlation
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.retraining.outcomes import Outcomes


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well influence ranks subsets by the output of models that are trained on them.

    Parameters
    ----------
    by_test : array, shape (tests,)
        Spearman's ρ over subsets, for each test sample.
    ceiling : float
        ρ that a perfect forecast is expected to have, because trainings differ by their seeds. NaN
        for one seed.
    outcomes : Outcomes
        The trainings, for the next method.
    """

    by_test: Floats
    ceiling: float
    outcomes: Outcomes

    @property
    def mean(self) -> float:
        """The linear datamodeling score (LDS): the mean over test samples, at most 1."""
        return float(np.mean(self.by_test))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean over test samples. It leaves out the choice of subsets."""
        return float(np.std(self.by_test, ddof=1) / math.sqrt(len(self.by_test)))

    def __repr__(self) -> str:
        return (
            f"<Agreement with retraining: LDS {self.mean:.3f} ± {self.standard_error:.3f} of at "
            f"most {self.ceiling:.2f}, {len(self.by_test)} test samples>"
        )


def lds(influence: Any, outcomes: Outcomes | None = None, **how: Any) -> Agreement:
    """Linear datamodeling score of influence (Park et al. 2023).

    The forecast for a subset is the sum of the influence of its samples. It is compared with the
    output of models that are trained on the subset, averaged over seeds.

    Parameters
    ----------
    influence : Influence, or array of shape (tests, samples)
        A result has its `influence()` taken, on the test data of its fit.
    outcomes : Outcomes, optional
        Trainings of an earlier call.
    **how
        Without `outcomes`: `train`, `data`, `test`, and other arguments of `Outcomes.of_subsets`.

    Raises
    ------
    InvalidDataError
        If the shapes do not agree.
    InvalidModelError, InvalidSettingError
        See `Outcomes.of_subsets`.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.retraining import Outcomes, lds
    >>> rng = np.random.default_rng(0)
    >>> masks, effect = rng.random((50, 20)) < 0.5, rng.normal(size=(3, 20))
    >>> outputs = masks @ effect.T + 0.1 * rng.normal(size=(2, 50, 3))
    >>> found = lds(effect, Outcomes(masks, outputs))
    >>> found.mean > 0.95, found.ceiling > 0.95
    (True, True)
    """
    found = Outcomes.of_subsets(**how) if outcomes is None else outcomes
    if outcomes is not None and how:
        raise InvalidSettingError(
            f"outcomes are given, and so is {next(iter(how))}; give outcomes or what to train"
        )
    values = matrix_of(influence)
    _, subsets, tests = found.outputs.shape
    if values.shape != (tests, found.masks.shape[1]) or found.masks.shape[0] != subsets:
        raise InvalidDataError(
            f"influence has shape {values.shape}, and the trainings are of {tests} test and "
            f"{found.masks.shape[1]} training samples; give the same samples to both"
        )
    forecast = found.masks.astype(np.float64) @ values.T
    truth = found.outputs.mean(axis=0)
    by_test = np.array([rank_correlation(forecast[:, t], truth[:, t]) for t in range(tests)])
    return Agreement(np.nan_to_num(by_test), _ceiling(found.outputs), found)


def matrix_of(influence: Any) -> NDArray[np.float64]:
    """Influence as an array of shape (tests, samples)."""
    given = influence.influence() if hasattr(influence, "influence") else influence
    values = np.asarray(given, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InvalidDataError(
            "influence must be finite numbers of shape (tests, samples); give a result, or its "
            "influence(test)"
        )
    return values


def _ceiling(outputs: Floats) -> float:
    """The root of the reliability of the mean over seeds, averaged over test samples."""
    seeds, _, tests = outputs.shape
    if seeds < 2:
        return math.nan
    halves = outputs[0 : seeds // 2 * 2 : 2].mean(axis=0), outputs[1::2].mean(axis=0)
    r = np.array([rank_correlation(halves[0][:, t], halves[1][:, t]) for t in range(tests)])
    r = np.clip(np.nan_to_num(r), 0.0, 1.0)
    return float(np.mean(np.sqrt(2 * r / (1 + r))))
