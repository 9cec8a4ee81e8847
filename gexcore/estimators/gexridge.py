"""GEXRidge: influence that predicts retraining, from losses alone."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import SupportsParams, SupportsSelection, SupportsSerialization
from gexcore.deviations.outputs import output_of
from gexcore.deviations.weighting import LEAST_MEMBERS, Center, Weighting
from gexcore.deviations.weights import COLD_STRENGTH
from gexcore.ensembles.anchored import Anchored
from gexcore.ensembles.anchored_plan import AnchoredPlan
from gexcore.errors import InvalidSettingError
from gexcore.estimators.ensemble_method import EnsembleMethod
from gexcore.evaluation.losses import STATE_BUDGET
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.selection import Parameters
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.record import Run, settings_of
from gexcore.settings import Auto, check_count, check_number
from gexcore.store import Place, stored_at


@dataclass(frozen=True, kw_only=True)
class GEXRidge(EnsembleMethod[LossInfluence], Anchored):
    """Influence as a ridge over many cold members, made to predict what retraining would change.

    The ensemble is `gexcore.Anchored`. The weights are a ridge, which divides the covariance of
    the members out. The result is the influence function of Gauss-Newton in the space that the
    members span. It needs losses and steps only, and works on every backend.
    `gexcore.GEX.for_influence` makes it. For wrong labels take `gexcore.GEX`.

    Parameters
    ----------
    anchors, restarts, anchor_steps, steps, anchor_lr, lr, momentum, weight_decay, batch_size, \
    subset, budget, first_chain, seed
        Settings of the ensemble. See `gexcore.Anchored`.
    strength : float
        Strength λ of the ridge, above 0. Members near the model need a small one: 0.01.
    keep : int or "auto"
        Member states of each anchor in memory, for test data after the fit. "auto" keeps all
        members if they fit into 1 GB in single precision. Members that are not kept are computed
        again for each question.
    parameters : str or sequence of str, optional
        Names or patterns of the parameters that members step in. All trainable ones by default.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> method = gx.GEX.for_influence(budget=30)
    >>> found = method.fit(model, (x, y), test=(x[:5], y[:5]), progress=False)
    >>> found.influence().shape
    (5, 60)
    """

    strength: float = COLD_STRENGTH
    keep: int | Auto = "auto"
    parameters: Parameters = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("strength", self.strength, above=True)
        check_count("keep", self.keep, least=0)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that it asks of the backend before any work."""
        return () if self.parameters is None else (SupportsSelection,)

    def fit_opened(
        self, given: Opened, *, store: Place = None, executor: Executor | None = None
    ) -> LossInfluence:
        """Fit the method to a model and data that are already opened."""
        given = given.selecting(self.parameters, by="GEXRidge")
        given = given.stepping_with(self.optimizer_for(len(given.data)))
        plan = self.plan(given)
        if plan.chains * plan.snapshots < LEAST_MEMBERS:
            raise InvalidSettingError(
                f"the plan has {plan.chains} × {plan.snapshots} members, and a ridge needs at "
                f"least {LEAST_MEMBERS}; raise the budget, or set restarts"
            )
        keep = self._kept(given, plan, portable=store is not None or executor is not None)
        drawn = self.draw(
            given, keep=keep, store=stored_at(store), executor=executor, title="GEXRidge"
        )
        if keep < plan.snapshots:
            drawn = replace(drawn, members=drawn.all_members)
        center: Center = "ensemble" if plan.snapshots < LEAST_MEMBERS or self.subset else "chains"
        return LossInfluence(
            table=drawn.table,
            test_table=drawn.test_table,
            checkpoint_losses=given.seen.losses.astype(np.float64),
            likelihood=given.seen.likelihood,
            several=given.seen.several,
            labels=given.seen.labels,
            data=given.data,
            members=drawn.members,
            clip=drawn.clip,
            output=output_of(given.seen, given.loss),
            weighting=Weighting(weights="ridge", center=center, strength=self.strength),
            run=Run.drawn("GEXRidge", settings_of(self), given, drawn),
        )

    def _kept(self, given: Opened, plan: AnchoredPlan, *, portable: bool) -> int:
        """States that each chain keeps: all of them, or none where they are computed again."""
        if isinstance(self.keep, int):
            return self.keep if self.keep >= plan.snapshots else 0
        if portable and not supports(given.backend, SupportsSerialization):
            return 0
        size = given.size if supports(given.backend, SupportsParams) else STATE_BUDGET
        return plan.snapshots if plan.chains * plan.snapshots * size <= STATE_BUDGET else 0
