"""RandProj: products of randomly projected gradients at θ*."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gexcore.ensembles.directions import Tangents, isotropic
from gexcore.estimators.method import GradientMethod
from gexcore.estimators.results import linear
from gexcore.evaluation.opening import Opened
from gexcore.influence.influence import Influence
from gexcore.settings import check_count, check_seed


@dataclass(frozen=True, kw_only=True)
class RandProj(GradientMethod[Influence]):
    """I(z', z) ≈ g'·g, from components of gradients along R random directions (paper Section 5).

    In the form of Theorem 4.1 the members are isotropic normal directions at θ*. Their mean is
    unbiased for g'·g. Its variance is 2‖g‖⁴/R for z' = z. The paper's public code leaves out the
    division by R between different samples.

    Parameters
    ----------
    directions : int
        Number of directions R.
    parameters, batch_size
        See `gexcore.estimators.method.GradientMethod`.
    seed : int
        Seed of the directions.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> found = gx.RandProj(directions=8).fit(model, (x, (x[:, 0] > 0).astype(int)), progress=False)
    >>> found.deviations().shape
    (8, 30)
    """

    directions: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("directions", self.directions, auto=False)
        check_seed(self.seed)

    def _score(self, given: Opened) -> Influence:
        moves = isotropic(given.theta, self.directions, seed=self.seed)
        state = given.backend.initial_state()
        return linear(
            self,
            given,
            Tangents(given.backend, [state], moves, self.batch_size, np.arange(self.directions)),
        )
