"""GEX-lin: the geometric ensemble seen through linear deviations."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import SupportsParams, SupportsSelection
from gexcore.ensembles.directions import Tangents
from gexcore.ensembles.ensemble import Geometric
from gexcore.estimators.ensemble_method import EnsembleMethod
from gexcore.estimators.results import influence_of, linear_tables
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.selection import Parameters
from gexcore.influence.influence import Influence
from gexcore.influence.record import Run, settings_of
from gexcore.store import Place, stored_at


@dataclass(frozen=True, kw_only=True)
class GEXLin(EnsembleMethod[Influence], Geometric):
    """Mean product of linear deviations over a geometric ensemble (paper Section 5).

    The ensemble is `gexcore.Geometric`. The deviation is Δ = gᵀ(ψ − θ*). All weights are equal. A
    deviation is one directional derivative per member, or a central difference of forward passes.
    The difference to `GEX` shows the effect of the losses' curvature.

    Parameters
    ----------
    chains, snapshots, lr, steps_per_snapshot, scoring, optimizer, momentum, weight_decay, \
    batch_size, chance_loss, budget, pretraining_epochs, tolerance, first_chain, seed
        Settings of `gexcore.Geometric`.
    parameters : str or sequence of str, optional
        Parameters of `gexcore.GEX`.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> found = gx.GEXLin(chains=2, snapshots=4, lr=0.1).fit(model, (x, y), progress=False)
    >>> found.deviations().shape
    (8, 60)
    """

    parameters: Parameters = None

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the method needs."""
        chosen = () if self.parameters is None else (SupportsSelection,)
        return (SupportsParams, *chosen, *super().needs)

    def fit_opened(
        self, given: Opened, *, store: Place = None, executor: Executor | None = None
    ) -> Influence:
        """Fit the method to a model and data that are already opened."""
        require(given.backend, SupportsParams, by="GEXLin")
        given = given.selecting(self.parameters, by="GEXLin")
        given = given.stepping_with(self.optimizer_for(len(given.data)))
        drawn = self.draw(
            given.without_test(),
            keep=self.longest,
            store=stored_at(store),
            executor=executor,
            title="GEXLin",
        )
        able, trained = (
            require(given.backend, SupportsParams, by="GEXLin"),
            given.backend.initial_state(),
        )
        moves = np.empty((len(drawn.members.states), given.size), given.theta.dtype)
        for row, state in zip(moves, drawn.members.states, strict=True):
            row[:] = to_numpy(able.ravel(state)) - given.theta
        members = Tangents(
            given.backend, [trained], moves, drawn.plan.scoring_batch_size, drawn.table.chains
        )
        tables, cost = linear_tables(self, given, members)
        run = Run.drawn("GEXLin", settings_of(self), given, drawn, [cost])
        return influence_of(given, members, tables, run)
