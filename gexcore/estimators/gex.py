"""GEX: scores and influence from an ensemble (Kim, Kim & Yang, NeurIPS 2023)."""

from __future__ import annotations

import math
import os
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from gexcore.backend.capabilities import CAPABILITIES, lacking
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsSelection
from gexcore.deviations.outputs import output_of
from gexcore.deviations.weighting import Weighting, Weights
from gexcore.ensembles.budget import Budget
from gexcore.ensembles.drawn import Drawn
from gexcore.ensembles.ensemble import Geometric
from gexcore.ensembles.plan import Cosine, Plan
from gexcore.ensembles.relearning import Relearning
from gexcore.estimators.choice import (
    check_ensemble,
    check_reference,
    chosen_ensemble,
    forgot_too_much,
    geometric_instead,
)
from gexcore.estimators.ensemble_method import EnsembleMethod
from gexcore.estimators.gexridge import GEXRidge
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import sum_passes
from gexcore.evaluation.selection import Parameters
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.record import Run, settings_of
from gexcore.settings import Auto, check_choice, check_count, check_number
from gexcore.store import Place, stored_at

RIDGE = Weighting(weights="ridge", center="ensemble")
"""Weights of members in `influence`, unless a run asks for the paper's mean."""


@dataclass(frozen=True, kw_only=True)
class GEX(EnsembleMethod[LossInfluence], Geometric):
    """Scores and influence from losses over an ensemble of members (paper Eq. 10).

    The ensemble is chosen for each run, see Notes, or it is the one in `ensemble`. The deviation is
    Δ = ℓ(z, ψ) − ℓ(z, θ*). The defaults choose everything.

    Parameters
    ----------
    chains, snapshots, lr, steps_per_snapshot, scoring, momentum, weight_decay, batch_size, \
    chance_loss, budget, pretraining_epochs, tolerance, first_chain, seed
        Settings of `gexcore.Geometric`.
    optimizer : {"auto", "sgd", "adamw"} or callable
        Optimiser of the members, where "auto" is SGD, and AdamW for some that relearn. These are
        heavy models, and texts and images from a `reference`. A callable chooses the geometric
        ensemble.
    ensemble : "auto", Geometric, Relearning or None
        Ensemble of the members. "auto" chooses for each run, see Notes. None is the geometric
        ensemble of the settings above. With an ensemble as a value they have no effect, and must
        not be set. A backend that cannot relearn has the geometric ensemble instead of
        `gexcore.Relearning`, and `diagnose` says so.
    reference : native model or state, or str, optional
        The pretrained weights of a fine-tuned model. With them "auto" relearns from near them, see
        `gexcore.Relearning`. Settings of the geometric ensemble must then not be set. A model of
        transformers takes a folder, or "pretrained": the weights that it names, from the disk only.
    weights : {"ridge", "mean"}
        How members become `influence`. A ridge over members forecasts retraining better than a
        mean. "mean" is the paper's E[ΔΔ']. No other score depends on it.
    floor : float
        Lower bound of the base loss in deviations.
    ceiling : "auto", float or None
        Upper bound of every loss in deviations. "auto" is the clip of `suspicion`. None means no
        bound, as in the paper's equation.
    keep : int
        Number of member states in memory, for test sets and label suggestions after the fit.
    parameters : str or sequence of str, optional
        Names, or patterns with ``*`` and ``?``, of the parameters that members change. All
        trainable ones by default.

    Notes
    -----
    ``ensemble="auto"`` relearns for labels of classes, if the backend can. If the relearned members
    keep less than a quarter of the skill of θ*, or if the scale of the start had to be raised, the
    geometric ensemble is drawn too, and replaces them. A budget pays for one ensemble only, so then
    they stay. It takes the geometric ensemble for other losses, for a backend that you made, and
    for a budget below the least of relearning. Any setting of the geometric ensemble chooses it,
    but not `batch_size`, `budget`, `chance_loss`, `optimizer`, `pretraining_epochs` and `seed`.
    A heavy model has a short run (`gexcore.ensembles.heavy`). `run.json` says which ensemble was
    taken, and why.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> rng = np.random.default_rng(0)
    >>> x = np.concatenate([rng.normal(-2, 1, (60, 2)), rng.normal(2, 1, (60, 2))])
    >>> y = np.repeat([0, 1], 60)
    >>> model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    >>> influence = gx.GEX(snapshots=10).fit(model, (x, y), progress=False)
    >>> influence.suspicion().shape
    (120,)
    """

    ensemble: Geometric | Relearning | Literal["auto"] | None = "auto"
    reference: Any | str = field(default=None, repr=False)
    weights: Weights = "ridge"
    floor: float = 0.0
    ceiling: float | Auto | None = "auto"
    keep: int = 8
    parameters: Parameters = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("weights", self.weights, ("ridge", "mean"))
        check_number("floor", self.floor)
        if self.ceiling is not None:
            check_number("ceiling", self.ceiling, least=self.floor, above=True, auto=True)
        check_count("keep", self.keep, least=0, auto=False)
        check_ensemble(self, self.ensemble)
        if self.reference is not None:
            check_reference(self, chosen=self.ensemble == "auto")

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities that the method needs."""
        # a backend that cannot relearn has the geometric ensemble
        own = self.ensemble.needs if isinstance(self.ensemble, Geometric) else super().needs
        return (*(() if self.parameters is None else (SupportsSelection,)), *own)

    @property
    def longest(self) -> int:
        """Most members that a chain can have."""
        return super().longest if self._own is None else self._own.longest

    def optimizer_for(self, samples: int) -> Optimizer:
        """The optimiser of the members for so many samples."""
        given = self._own
        return super().optimizer_for(samples) if given is None else given.optimizer_for(samples)

    def plan(self, opened: Opened) -> Plan:
        """The plan of the ensemble; see `gexcore.Geometric.plan`."""
        return super().plan(opened) if self._own is None else self._own.plan(opened)

    def draw(self, opened: Opened, **settings: Any) -> Drawn:
        """Run the chains of the ensemble; see `gexcore.Geometric.draw`."""
        if self._own is not None:
            return self._own.draw(opened, **settings)
        return super().draw(opened, **settings)

    @classmethod
    def paper(cls, *, chains: int = 32, steps: int = 800, lr: float = 0.05, **settings: Any) -> GEX:
        """The setting of the paper: independent members by cosine runs from θ* (Appendix E)."""
        check_number("lr", lr, above=True)
        defaults = {"weight_decay": 5e-4, "batch_size": 128, "ceiling": None, "weights": "mean"}
        recipe = {
            "ensemble": None,
            "chains": chains,
            "snapshots": 1,
            "lr": Cosine(lr, steps),
            "steps_per_snapshot": steps,
        }
        return cls(**{**defaults, **recipe, "scoring": "evaluated", **settings})

    @classmethod
    def public_code(cls, *, steps: int = 800, lr: float = 0.05, **settings: Any) -> GEX:
        """The setting of the public code: 8 chains of 4 chained members, with its loss floor."""
        chained = {"chains": 8, "snapshots": 4, "floor": 0.05}
        return cls.paper(steps=steps, lr=lr, **{**chained, **settings})

    @classmethod
    def for_influence(cls, *, budget: float | Budget = 100.0, **settings: Any) -> GEXRidge:
        """The method whose `influence` predicts retraining: a ridge over many cold members.

        Parameters
        ----------
        budget : float or Budget
            The most that a run may cost. A number is in forward passes over the data.
        **settings
            Other settings of `gexcore.GEXRidge`.
        """
        return GEXRidge(budget=budget, **settings)

    def first_ensemble(self, given: Opened) -> tuple[Geometric | Relearning, str]:
        """The ensemble that a run draws first, and why it is chosen.

        Parameters
        ----------
        given : Opened
            Model and data.
        """
        if self.ensemble == "auto":
            return chosen_ensemble(self._geometric_of_settings, given, self.reference)
        return self._able(given)[0], "as the settings say"

    def fit_opened(
        self, given: Opened, *, store: Place = None, executor: Executor | None = None
    ) -> LossInfluence:
        """Fit the method to a model and data that are already opened."""
        given = given.selecting(self.parameters, by="GEX")
        if self.ensemble != "auto":
            method, told = self._able(given)
            return self._fitted(method, told, given, store, executor)
        geometric = self._geometric_of_settings
        chosen, why = self.first_ensemble(given)
        if isinstance(chosen, Geometric):
            return self._fitted(chosen, _geometric(why), given, store, executor)
        found = self._fitted(chosen, {"why": why}, given, store, executor)
        failed = forgot_too_much(found, geometric)
        if failed is None:
            return found
        again = None if store is None else os.path.join(store, "geometric")
        instead = {**_geometric(failed), "instead_of": "relearning"}
        geometric = geometric_instead(geometric, given)
        return self._fitted(geometric, instead, given, again, executor, before=found.run)

    def _fitted(
        self,
        method: Geometric | Relearning,
        told: dict[str, Any],
        given: Opened,
        store: Place,
        executor: Executor | None,
        before: Run | None = None,
    ) -> LossInfluence:
        """The result of one ensemble; `told` is for the record, `before` ran in vain."""
        given = given.stepping_with(method.optimizer_for(len(given.data)))
        title = "GEX, relearning" if isinstance(method, Relearning) else "GEX"
        drawn = method.draw(
            given,
            keep=self.keep,
            store=stored_at(store),
            executor=executor,
            title=title if before is None else f"{title}, geometric members instead",
        )
        spent = [] if before is None else [before.passes]
        drawn = replace(
            drawn, chosen={**drawn.chosen, **told}, planned=sum_passes([*spent, drawn.planned])
        )
        return LossInfluence(
            table=drawn.table,
            test_table=drawn.test_table,
            checkpoint_losses=given.seen.losses.astype(np.float64),
            likelihood=given.seen.likelihood,
            several=given.seen.several,
            labels=given.seen.labels,
            data=given.data,
            members=drawn.members,
            all_members=drawn.all_members,
            clip=drawn.clip,
            output=output_of(given.seen, given.loss),
            weighting=Weighting() if self.weights == "mean" else RIDGE,
            floor=self.floor,
            ceiling=self._ceiling(drawn),
            run=Run.drawn("GEX", settings_of(self), given, drawn, spent),
        )

    @property
    def _geometric_of_settings(self) -> Geometric:
        return Geometric(**{f.name: getattr(self, f.name) for f in fields(Geometric)})

    @property
    def _own(self) -> Geometric | Relearning | None:
        """The ensemble that was given; None where this method's own settings are one."""
        return None if self.ensemble == "auto" else self.ensemble

    def _able(self, given: Opened) -> tuple[Geometric | Relearning, dict[str, Any]]:
        """The ensemble, which is geometric where the backend cannot relearn, and why."""
        asked = self.ensemble
        if not isinstance(asked, Relearning):
            return self, {}
        missing = lacking(given.backend, *asked.needs)
        if not missing:
            return asked, {}
        names = [name for name, capability in CAPABILITIES.items() if capability in missing]
        return asked.geometric(), {"ensemble": "geometric", "lacks": names}

    def _ceiling(self, drawn: Drawn) -> float:
        # a loss of unknown scale has no reliable clip
        found = (drawn.clip if drawn.scaled else None) if self.ceiling == "auto" else self.ceiling
        return math.inf if found is None else found


def _geometric(why: str) -> dict[str, Any]:
    return {"ensemble": "geometric", "why": why}
