"""The methods of `retraining`, each with its cost in forward passes over the data."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import gexcore as gx
from bench.studies.retraining_problems import CHOSEN_ON, Problem
from gexcore.deviations.weights import COLD_STRENGTH, SHRINKAGE
from gexcore.estimators.lissa import Solved
from gexcore.evaluation.passes import sum_passes
from gexcore.retraining import Outcomes, lds

CHECKPOINTS = 5
STRENGTHS = (0.003, 0.01, 0.03, 0.1)
SHRINKAGES = (0.0, 2.0, 6.0, 12.0)
TRAK_STRENGTHS = (0.0, 10.0, 100.0, 1000.0)
BUDGETS = (50, 100, 200, 400)
LARGE = 100_000
"""Parameters from which costly estimators are left out."""

ALL_OWN = ("digits_clean_decay",)
"""Problems on which every estimator of the library runs."""

COSTLY_ON = ("digits_clean", "digits_memorised")
"""Problems with a budget of 2,000 passes too."""

PARTS_OF_DATA: dict[str, Any] = {"subset": 0.25, "steps": 120}
"""Members that each see a quarter of the data."""

Found = tuple[NDArray[np.float64], float]
Named = tuple[str, Callable[[], Found]]


class Model(NamedTuple):
    """A trained network, its checkpoints, and its problem."""

    problem: Problem
    net: torch.nn.Module
    checkpoints: list[Any]

    @property
    def parameters(self) -> int:
        """How many."""
        return sum(v.numel() for v in self.net.parameters())

    @property
    def costly(self) -> bool:
        """Whether a pass costs much."""
        return self.parameters >= LARGE or len(self.problem.x) > 2000 or not self.problem.stacks

    def fit(self, method: Any) -> Any:
        """The result of a method on the problem."""
        p = self.problem
        return method.fit(
            self.net, (p.x, p.y), test=(p.test_x, p.test_y), loss=p.loss, progress=False
        )


def cosine(model: Model) -> Found:
    """Cosine of the last hidden layer, for samples of the same label."""
    with torch.no_grad():
        body = torch.nn.Sequential(*list(model.net.children())[:-1])
        train, tests = (
            torch.nn.functional.normalize(body(torch.from_numpy(x)).flatten(1)).double().numpy()
            for x in (model.problem.x, model.problem.test_x)
        )
    found = tests @ train.T
    if model.problem.loss == "cross_entropy":
        found = found * (model.problem.test_y[:, None] == model.problem.y[None])
    return found, 1.0


def methods(model: Model) -> Iterator[Named]:
    """Every estimator of the library with a name, in the order of the table."""
    p, n = model.problem, len(model.problem.x)
    kept: dict[str, Any] = {}

    def of(name: str, method: Any, view: Callable[[Any], Any] = lambda found: found) -> Found:
        if name not in kept:
            kept[name] = model.fit(method)
        found, solved = view(kept[name]).influence(), kept[name]
        spent = [solved.run.passes]
        if isinstance(solved, Solved):  # it solves when it is asked
            spent.append(solved.passes(len(p.test_x)))
        return found, sum_passes(spent).epochs(n)

    hot = gx.GEX(ensemble=gx.Geometric())
    yield "`GEX(ensemble=Geometric())`", lambda: of("gex", hot)
    yield (
        'the same with `weights="mean"`, E[ΔΔ\']',
        lambda: of("gex", hot, lambda f: f.weighted("mean", center="checkpoint")),
    )
    yield (
        'the same with `weights="mean"`, centred',
        lambda: of("gex", hot, lambda f: f.weighted("mean", center="ensemble")),
    )
    if p.loss == "cross_entropy":
        yield '`GEX(ensemble="auto")`', lambda: of("auto", gx.GEX(ensemble="auto"))
    for budget in BUDGETS:
        ridge = gx.GEX.for_influence(budget=budget)
        for told, settings in _ridges(p.name in CHOSEN_ON, budget):
            yield (
                f"`GEX.for_influence({budget})`{told}",
                lambda budget=budget, ridge=ridge, settings=settings: of(  # type: ignore[misc]
                    str(budget), ridge, lambda f: f.weighted(**settings)
                ),
            )
    if p.name in COSTLY_ON:
        for told, settings in (("", {}), (", subset=0.25, steps=120", PARTS_OF_DATA)):
            yield (
                f"`GEX.for_influence(2000{told})`",
                lambda told=told, settings=settings: of(  # type: ignore[misc]
                    f"2000{told}", gx.GEX.for_influence(budget=2000, **settings)
                ),
            )
    yield "gradient dot product", lambda: of("dot", gx.TracIn(checkpoints=[model.net]))
    yield (
        f"`TracIn`, {CHECKPOINTS} checkpoints",
        lambda: of("tracin", gx.TracIn(checkpoints=model.checkpoints)),
    )
    yield (
        f"`TracInRP`, {CHECKPOINTS} checkpoints",
        lambda: of("tracinrp", gx.TracInRP(checkpoints=model.checkpoints)),
    )
    if not model.costly:
        yield "`Arnoldi()`", lambda: of("arnoldi", gx.Arnoldi())
        yield (
            "`LastLayer(IF(damping=0.1))`",
            lambda: of("last", gx.LastLayer(gx.IF(damping=0.1))),
        )
    if p.name in ALL_OWN:
        yield "`RandProj()`", lambda: of("randproj", gx.RandProj())
        yield "`LiSSA(damping=0.01)`", lambda: of("lissa", gx.LiSSA(damping=0.01))
        yield (
            "`Laplace(damping=0.1, samples=256)`",
            lambda: of("laplace", gx.Laplace(damping=0.1, samples=256)),
        )
        yield (
            "the same with a ridge",
            lambda: of("laplace", None, lambda f: f.weighted("ridge")),
        )
    yield "cosine of features, same label", lambda: cosine(model)


def _ridges(chosen: bool, budget: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The ridge, and others to compare it with: all of them where settings are chosen."""
    yield "", {}
    for strength in STRENGTHS if chosen else ():
        if strength != COLD_STRENGTH:
            yield f", λ = {strength:g}", {"strength": strength}
    for shrinkage in SHRINKAGES if chosen else (0.0,) if budget == 100 else ():
        if shrinkage != SHRINKAGE:
            yield f", shrinkage {shrinkage:g}", {"shrinkage": shrinkage}


def peers(model: Model, outcomes: Callable[[], Outcomes] | None) -> Iterator[Named]:
    """Estimators of other libraries. Dampings and ridges are the best on the trainings."""
    from bench.studies import retraining_peers as others

    p = model.problem
    net = functools.partial(copy.deepcopy, model.net)

    yield "EK-FAC (kronfluence)", lambda: others.kronfluence(p, net())
    if not p.is_image:
        yield "EK-FAC (dattri)", lambda: others.dattri(p, net())
    if p.loss == "cross_entropy":
        yield (
            f"`TracInCP` (captum), {CHECKPOINTS} checkpoints",
            lambda: others.captum(p, net(), model.checkpoints),
        )
        yield "TRAK (traker)", lambda: others.trak(p, net(), 0.0)
    if outcomes is None:
        return

    def best(found: Iterable[Found]) -> Found:
        return max(found, key=lambda each: lds(each[0], outcomes()).mean)

    if p.loss == "cross_entropy" and model.parameters < 5 * LARGE and p.stacks:
        yield (
            "TRAK (traker), best ridge",
            lambda: best(others.trak(p, net(), strength) for strength in TRAK_STRENGTHS),
        )
    if len(p.x) <= 2000 and model.parameters < LARGE and p.stacks:
        yield (
            "Gauss-Newton, best damping",
            lambda: best(found for _, found in others.gauss_newton(p, net())),
        )
