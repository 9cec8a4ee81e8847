"""Every method that the study compares: what it is given, and what it costs beyond its own run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

import gexcore as gx
from bench.studies.recorded import EARLY_RUNS, Trained
from gexcore.estimators.lissa import Solved
from gexcore.estimators.loo import Retrained

FOLDS = 3
SUBSET = 50
"""Wrong labels, and as many right ones, that a method with one solve or training per sample is
shown."""
MORE = "a training each"


class Scored(NamedTuple):
    """A ranking of some samples.

    Parameters
    ----------
    view : str
        Which of the method's scores; empty where it has one.
    scores : array
        High = suspicious.
    positions : integer array, or None for all samples
    """

    view: str
    scores: np.ndarray
    positions: np.ndarray | None = None


@dataclass(frozen=True)
class Method:
    """One line of the comparison.

    Parameters
    ----------
    name : str
        The call.
    make : callable
        From the training and a seed to the estimator.
    on : {"model", "head"}
        The model, or its last layer alone (which gives what `gexcore.LastLayer` gives, faster).
    needs : str
        What must be there besides the trained model.
    extra : callable
        Passes over the data that this costs, where it is not left over from the training.
    only, instead : str, optional
        The one problem it is run on, and why not on others.
    """

    name: str
    make: Callable[[Trained, int], Any]
    on: Literal["model", "head"] = "model"
    needs: str = "–"
    extra: Callable[[Trained], float] = lambda t: 0.0
    only: str = ""
    instead: str = ""

    def run(self, t: Trained, seed: int) -> tuple[list[Scored], float, dict[str, Any]]:
        """Scores, passes, and what else there is to tell."""
        estimator = self.make(t, seed)
        model, x = (t.head, t.features) if self.on == "head" else (t.model, t.x)
        found = estimator.fit(model, (x, t.labels), progress=False)
        passes = found.run.passes.epochs(len(t.x)) + self.extra(t) + (self.on == "head")
        more = {"chosen": dict(found.run.chosen)}
        if isinstance(found, Solved):
            chosen = subset(t, seed)
            own = found.influence((x[chosen], t.labels[chosen]))[np.arange(len(chosen)), chosen]
            solves = len(chosen) * found.run.chosen["hvp_per_solve"]
            return [Scored("", own, chosen)], passes + 6 * solves / len(t.x), more
        if isinstance(found, Retrained):
            return [Scored("", found.self_influence(), found.indices)], passes, more
        if isinstance(found, gx.LossInfluence):
            more |= {"members": len(found.table)}
            return (
                [Scored(v, getattr(found, v)()) for v in ("suspicion", "self_influence")],
                passes,
                more,
            )
        if isinstance(found, gx.Influence):
            return [Scored("", found.self_influence())], passes, more
        return [Scored("", ranked(found))], passes, more


def ranked(found: gx.Scores) -> np.ndarray:
    """Suspicion; where the method breaks ties, the places in its ranking."""
    if found.tie_break is None:
        return found.suspicion()
    places = np.empty(len(found))
    places[found.ranking()] = -np.arange(len(found))
    return places


def subset(t: Trained, seed: int) -> np.ndarray:
    """As many right labels as wrong ones; their AUC is that of all samples, but for chance."""
    rng = np.random.default_rng([seed, 4])
    parts = [
        rng.choice(np.flatnonzero(kind), SUBSET, replace=False) for kind in (t.wrong, ~t.wrong)
    ]
    return np.sort(np.concatenate(parts))


def early(t: Trained) -> float:
    return EARLY_RUNS * t.early_epochs * (3 + t.recording)


def folds(t: Trained) -> float:
    return (FOLDS - 1) * t.epochs * 3


def paper(seed: int) -> gx.Geometric:
    """The members of `GEX.paper(chains=5, steps=50)`."""
    return gx.Geometric(
        chains=5, snapshots=1, lr=gx.Cosine(0.05, 50), steps_per_snapshot=50, weight_decay=5e-4,
        batch_size=128, scoring="evaluated", seed=seed,
    )  # fmt: skip


CHECKPOINTS = "5 checkpoints of the training"
RECORDED = "the training's own curves"
EARLY = f"{EARLY_RUNS} early trainings"

METHODS = [
    Method("Loss()", lambda t, s: gx.Loss()),
    Method("Margin()", lambda t, s: gx.Margin()),
    Method("GraNd()", lambda t, s: gx.GraNd()),
    Method("DeepKNN()", lambda t, s: gx.DeepKNN()),
    Method('DeepKNN(features="features")', lambda t, s: gx.DeepKNN(features="features")),
    Method("GEX()", lambda t, s: gx.GEX(seed=s)),
    Method("GEX.paper(chains=8, steps=50)", lambda t, s: gx.GEX.paper(chains=8, steps=50, seed=s)),
    Method("GEXLin(chains=1)", lambda t, s: gx.GEXLin(chains=1, seed=s)),
    Method("LastLayer(GEX(chains=1))", lambda t, s: gx.LastLayer(gx.GEX(chains=1, seed=s))),
    Method("RandProj(directions=10)", lambda t, s: gx.RandProj(directions=10, seed=s)),
    Method(
        "TracInRP(ensemble=Geometric(chains=5, snapshots=1, …), directions=5)",
        lambda t,
            s: gx.TracInRP(ensemble=paper(s), directions=5, seed=s),
    ),
    Method(
        "TracInRP(ensemble=Geometric(chains=1), directions=5)",
        lambda t, s: gx.TracInRP(ensemble=gx.Geometric(chains=1, seed=s), directions=5, seed=s),
        only="digits", instead="40 states of 5 directions, beyond this study's time",
    ),
    Method("Arnoldi(iterations=50, rank=20)", lambda t,
        s: gx.Arnoldi(iterations=50, rank=20, samples=1000, seed=s)),
    Method("LastLayer(Arnoldi())", lambda t, s: gx.Arnoldi(seed=s), on="head"),
    Method("LastLayer(IF(damping=0.01))", lambda t, s: gx.IF(), on="head"),
    Method(
        "LastLayer(LiSSA(depth=200, scale=5))",
        lambda t, s: gx.LiSSA(depth=200, scale=5.0, damping=0.002, batch_size=64, seed=s),
            on="head",
    ),
    Method("Laplace()", lambda t, s: gx.Laplace(seed=s)),
    Method('LastLayer(Laplace(structure="full"))', lambda t,
        s: gx.Laplace(structure="full", seed=s), on="head"),
    Method(
        'LastLayer(Laplace(structure="full", scale=1))',
        lambda t, s: gx.Laplace(structure="full", scale=1.0, seed=s), on="head",
        only="digits", instead="beyond this study's time",
    ),
    Method("IF()", lambda t, s: gx.IF()),
    Method(
        "LiSSA(depth=100, scale=200)",
        lambda t, s: gx.LiSSA(depth=100, scale=200.0, batch_size=32, seed=s),
        only="digits", instead="one solve of 100 Hessian products for each sample",
    ),
    Method(
        'LOO(start="warm")',
        lambda t, s: gx.LOO(train=t.finish, indices=subset(t, s), seed=s),
        needs=MORE, extra=lambda t: 3 * 5 * 2 * SUBSET, only="digits",
            instead="one training for each sample",
    ),
    Method("TracIn(checkpoints=[…])", lambda t, s: gx.TracIn(checkpoints=t.checkpoints),
        needs=CHECKPOINTS),
    Method(
        "TracInRP(checkpoints=[…], directions=5)",
        lambda t, s: gx.TracInRP(checkpoints=t.checkpoints, directions=5, seed=s),
            needs=CHECKPOINTS,
    ),
    Method(
        "MeanMemberLoss(checkpoints=[…])",
        lambda t, s: gx.MeanMemberLoss(checkpoints=t.checkpoints), needs=CHECKPOINTS,
    ),
    Method("DeepKNN(checkpoints=[…])", lambda t, s: gx.DeepKNN(checkpoints=t.checkpoints),
        needs=CHECKPOINTS),
    Method("MeanMemberLoss(recorder=…)", lambda t, s: gx.MeanMemberLoss(recorder=t.recorder),
        needs=RECORDED),
    Method("Forgetting(recorder=…)", lambda t, s: gx.Forgetting(recorder=t.recorder),
        needs=RECORDED),
    Method("AUM(recorder=…)", lambda t, s: gx.AUM(recorder=t.recorder), needs=RECORDED),
    Method(
        "EL2N(recorder=[…])",
        lambda t, s: gx.EL2N(recorder=t.early_recorders, epoch=t.early_epochs), needs=EARLY,
            extra=early,
    ),
    Method("GraNd(checkpoints=[…])", lambda t, s: gx.GraNd(checkpoints=t.early), needs=EARLY,
        extra=early),
    Method(
        "MeanMemberLoss(recorder=[…])",
        lambda t, s: gx.MeanMemberLoss(recorder=t.early_recorders), needs=EARLY, extra=early,
    ),
    Method(
        f"ConfidentLearning(folds={FOLDS})",
        lambda t, s: gx.ConfidentLearning(train=t.train, folds=FOLDS, seed=s),
        needs=f"{FOLDS} trainings", extra=folds,
    ),
]  # fmt: skip
