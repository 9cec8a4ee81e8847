"""GEX-lin: the geometric ensemble seen through linear deviations."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import SupportsParams
from gexcore.ensembles.directions import Tangents
from gexcore.ensembles.resolve import longest
from gexcore.estimators.gex import GEX
from gexcore.estimators.job import Job
from gexcore.evaluation.first_look import Intake
from gexcore.evaluation.opening import open_inputs
from gexcore.evaluation.passes import sum_passes
from gexcore.evaluation.selection import selected
from gexcore.influence.influence import Influence
from gexcore.influence.record import settings_of
from gexcore.store import Place


@dataclass(frozen=True, kw_only=True)
class GEXLin(GEX):
    """Influence as the mean product of linear deviations over the members of `GEX` (paper Section
    5).

    Δ = gᵀ(ψ − θ*): one directional derivative for each member, or where the backend has none, a
    central difference of forward passes. Beside `GEX` it shows what the curvature of the losses
    adds.

    Parameters
    ----------
    chains, …
        As for `gexcore.GEX`, of the members; `keep`, `floor` and `ceiling` have no effect.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> found = gx.GEXLin(chains=2, snapshots=4, lr=0.1).fit(model, (x, (x[:, 0] > 0).astype(int)), progress=False)
    >>> found.deviations().shape
    (8, 60)
    """

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities it asks of the backend before any work."""
        return (SupportsParams, *super().needs)

    def fit(  # type: ignore[override]
        self,
        model: Any,
        data: Any,
        *,
        train_data: Any = None,
        loss: str | Callable[..., Any] | None = None,
        test: Any = None,
        backend: str | None = None,
        store: Place = None,
        executor: Executor | None = None,
        progress: bool = True,
    ) -> Influence:
        """Score the training set of a trained model; for arguments and errors see
        `gexcore.GEX.fit`.

        Raises
        ------
        MissingCapabilityError
            Before any work, where the backend has no flat parameters.
        """
        started = time.perf_counter()
        inputs = open_inputs(
            model,
            data,
            train_data=train_data,
            test=test,
            loss=loss,
            backend=backend,
            optimizer=self.steps_with,
        )
        require(inputs.backend, SupportsParams, by="GEXLin")
        inputs = selected(inputs, self.parameters, by="GEXLin")
        engine, samples, _, tests, _ = inputs
        chains = replace(self, keep=longest(self.snapshots))
        found = chains.fit_opened(
            inputs._replace(test=None),
            loss=loss,
            store=store,
            executor=executor,
            progress=progress,
            started=started,
        )
        trained = engine.initial_state()
        theta = to_numpy(engine.ravel(trained))  # type: ignore[attr-defined]
        moves = np.empty((len(found.members.states), len(theta)), theta.dtype)
        for row, state in zip(moves, found.members.states, strict=True):
            row[:] = to_numpy(engine.ravel(state)) - theta  # type: ignore[attr-defined]
        assert found.run.plan is not None
        members = Tangents(
            engine, [trained], moves, found.run.plan.scoring_batch_size, found.table.chains
        )
        seen = Intake(found.checkpoint_losses, None, found.labels, found.run.classes)
        job = Job(self, engine, samples, tests, seen, theta, started, progress, loss)
        result = job.linear(members)
        passes = sum_passes([found.run.passes, members.passes(len(samples) + len(tests or ()))])
        run = replace(
            found.run,
            settings=settings_of(self),
            passes=passes,
            seconds=time.perf_counter() - started,
        )
        return replace(result, run=run)
