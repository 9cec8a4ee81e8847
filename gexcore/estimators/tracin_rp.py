"""TracInRP: products of randomly projected gradients at several states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gexcore.backend.protocols import SupportsCheckpoints, SupportsParams
from gexcore.ensembles.checkpoints import load_states
from gexcore.ensembles.directions import Tangents, isotropic
from gexcore.ensembles.ensemble import Geometric
from gexcore.errors import InvalidSettingError
from gexcore.estimators.method import GradientMethod
from gexcore.estimators.results import linear
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore.influence.influence import NO_MEMBERS, Influence
from gexcore.settings import check_count, check_seed


@dataclass(frozen=True, kw_only=True)
class TracInRP(GradientMethod[Influence]):
    """I(z', z) ≈ (1/C) Σ_c g'_c · g_c, from components along R random directions.

    In the form of Theorem 4.1 the members are isotropic normal directions, the same at every state.
    Their mean is unbiased for `TracIn`. The states are checkpoints of the training (paper Section
    5), or members of a geometric ensemble around θ* (Appendix F.6).

    Parameters
    ----------
    checkpoints : sequence, optional
        Checkpoints of `gexcore.TracIn`.
    ensemble : Geometric, optional
        Ensemble whose members replace checkpoints.
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
    >>> weights = np.array([[-1.0, 1.0], [-1.0, 1.0]])
    >>> early, late = (MLP([s * weights], [np.zeros(2)]) for s in (0.1, 1.0))
    >>> method = gx.TracInRP(checkpoints=[early, late], directions=8)
    >>> method.fit(late, (x, (x[:, 0] > 0).astype(int)), progress=False).deviations().shape
    (16, 30)
    """

    checkpoints: Sequence[Any] | None = None
    ensemble: Geometric | None = None
    directions: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("directions", self.directions, auto=False)
        check_seed(self.seed)
        if (self.checkpoints is None) == (self.ensemble is None):
            told = "both" if self.ensemble is not None else "neither"
            msg = (
                f"TracInRP got {told} of checkpoints and ensemble; give one, such as "
                "checkpoints=[…] or ensemble=Geometric()"
            )
            raise InvalidSettingError(msg)
        if self.ensemble is not None and (
            not isinstance(self.ensemble, Geometric) or hasattr(self.ensemble, "fit")
        ):
            msg = (
                f"ensemble is a {type(self.ensemble).__name__}; TracInRP takes an ensemble, such "
                "as ensemble=gexcore.Geometric()"
            )
            raise InvalidSettingError(msg)

    def _needs(self) -> tuple[type, ...]:
        return (
            (SupportsParams,) if self.checkpoints is None else (SupportsParams, SupportsCheckpoints)
        )

    def _prepared(self, given: Opened) -> Opened:
        if self.ensemble is not None:
            given = given.stepping_with(self.ensemble.optimizer_for(len(given.data)))
        return super()._prepared(given)

    def _score(self, given: Opened) -> Influence:
        states, cost = self._states(given)
        moves = isotropic(given.theta, self.directions, seed=self.seed)
        draws = np.tile(np.arange(self.directions), len(states))
        members = Tangents(given.backend, states, moves, self.batch_size, draws)
        return linear(self, given, members, [cost], states=len(states), **given.chosen())

    def _states(self, given: Opened) -> tuple[list[Any], Passes]:
        if self.ensemble is None:
            given_states = [] if self.checkpoints is None else self.checkpoints
            states = load_states(given.backend, given_states, by="TracInRP")
            return states, Passes(copies=len(states))
        drawn = self.ensemble.draw(
            given.without_test(), keep=self.ensemble.longest, title="TracInRP"
        )
        states = [drawn.members.refresh(state) for state in drawn.members.states]
        if not states:
            raise InvalidSettingError(
                f"{NO_MEMBERS} to take gradients at; give the ensemble more snapshots or steps"
            )
        return states, drawn.passes._replace(copies=len(states))
