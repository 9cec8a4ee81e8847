"""Recorded passes equal those in the table of methods, and those that the backend saw."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.cli.catalogue import METHODS
from gexcore.estimators.lissa import Solved
from gexcore.evaluation import derivatives
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore_numpy import MLP, NumpyBackend

N, P = 14, 31
CHAINS = {"chains": 2, "snapshots": 3, "lr": 0.05, "steps_per_snapshot": 4, "batch_size": 7}
SEEN = {
    "forward": ("forward", "logits", "features", "training_losses"),
    "step": ("sgd_step", "sgd_step_"),
    "jvp": ("jvp",),
    "hvp": ("hvp",),
    "gradient": ("sample_gradients", "kronecker"),
}


class Counted(NumpyBackend):
    """Counts the samples that go through each method."""

    def __init__(self, model: MLP) -> None:
        super().__init__(model)
        self.counts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.intakes = 1

    def select(self, names: Any, /) -> Any:
        chosen = super().select(names)
        chosen.counts = self.counts
        return chosen

    def forward_many(self, stacked: Any, batch: Any, /) -> Any:
        losses = super().forward_many(stacked, batch)
        self.counts["forward"] += losses.size
        return losses


def _counting(kind: str, name: str) -> Any:
    def method(self: Any, state: Any, *rest: Any, **settings: Any) -> Any:
        # a batch comes last: (x, y)
        before = self.counts.copy()
        result = getattr(NumpyBackend, name)(self, state, *rest, **settings)
        # what it calls of its own is part of it
        self.counts.clear()
        self.counts.update(before)
        self.calls[name] += 1
        # the first batch's logits tell the number of classes, which no account is kept of
        self.counts[kind] += (
            0 if name == "logits" and self.calls[name] <= self.intakes else len(rest[-1][0])
        )
        return result

    return method


for _kind, _names in SEEN.items():
    for _name in _names:
        setattr(Counted, _name, _counting(_kind, _name))


def cases(model: MLP) -> dict[str, tuple[Any, dict[str, float]]]:
    """A method for each label in the table, and the symbols of its cost."""
    two = {"checkpoints": [model, model]}
    return {
        "GEX()": (
            gx.GEX(ensemble=gx.Relearning(chains=2, epochs=3, lr=0.05, batch_size=7)),
            {"R": 6},
        ),
        "GEX(ensemble=…)": (
            gx.GEX(ensemble=gx.Geometric(**CHAINS, scoring="evaluated")),
            {"M": 6, "E": 2},
        ),
        "GEX(scoring='training_batches')": (
            gx.GEX(**CHAINS, scoring="training_batches"),
            {"M": 6, "E": 2},
        ),
        "GEXLin()": (gx.GEXLin(**CHAINS), {"M": 6, "E": 2}),
        "GEXRidge()": (
            gx.GEXRidge(anchors=2, restarts=3, anchor_steps=2, steps=4, batch_size=7),
            {"M": 6, "A": 2, "E": 2},
        ),
        "IF()": (gx.IF(), {}),
        "Arnoldi()": (gx.Arnoldi(iterations=12, rank=10, samples=7), {"J": 12, "h": 0.5}),
        "LiSSA()": (gx.LiSSA(depth=3, scale=9.0, batch_size=5), {"J": 3, "B": 5}),
        "Laplace()": (gx.Laplace(samples=4), {"S": 4}),
        "Laplace(structure='full')": (
            gx.Laplace(structure="full", damping=0.6, samples=4),
            {"S": 4},
        ),
        "RandProj()": (gx.RandProj(directions=12), {}),
        "TracIn(checkpoints=…)": (gx.TracIn(**two), {"C": 2}),
        "TracInRP(checkpoints=…)": (gx.TracInRP(**two, directions=12), {"C": 2}),
        "TracInRP(ensemble=…)": (
            gx.TracInRP(ensemble=gx.Geometric(**CHAINS), directions=12),
            {"M": 6, "E": 2},
        ),
        "LastLayer(method=…)": (gx.LastLayer(gx.IF(damping=0.1)), {"p": 15}),
        "Loss()": (gx.Loss(), {}),
        "Margin()": (gx.Margin(), {}),
        "MeanMemberLoss(checkpoints=…)": (gx.MeanMemberLoss(**two), {"C": 2}),
        "EL2N(checkpoints=…)": (gx.EL2N(**two), {"C": 2}),
        "GraNd()": (gx.GraNd(), {}),
        "GraNd(checkpoints=…)": (gx.GraNd(**two), {"C": 2}),
        "DeepKNN()": (gx.DeepKNN(k=3), {}),
        "DeepKNN(features='features')": (gx.DeepKNN(k=3, features="features"), {}),
        "DeepKNN(checkpoints=…)": (gx.DeepKNN(k=3, **two), {"C": 2}),
    }


WAYS = {method.label(way): way for method in METHODS for way in method.ways}
NOT_BY_THE_BACKEND = {"LOO(train=…)", "ConfidentLearning(train=…)"}
"""Whose passes are those of other models."""
LABELS = [label for label, way in WAYS.items() if way.passes and label not in NOT_BY_THE_BACKEND]


def test_every_way_that_costs_passes_is_counted() -> None:
    tried = set(cases(MLP([np.zeros((1, 2))], [np.zeros(2)]))) - NOT_BY_THE_BACKEND
    assert tried == set(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_recorded_stated_and_seen_are_the_same(
    written: Any, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # so few directions would be taken one by one
    monkeypatch.setattr(derivatives, "FEWEST_DIRECTIONS", 2)
    method, symbols = cases(written.model)[label]
    backend = Counted(written.model)
    backend.intakes = 2 if label == "TracInRP(ensemble=…)" else 1
    found = method.fit(backend, written.data, progress=False)
    recorded = found.run.passes
    if isinstance(found, Solved):
        found.self_influence()
        recorded = sum_passes([recorded, found.passes(len(found))])
    counted = {kind: n for kind, n in recorded._asdict().items() if n and kind != "copies"}
    values = {"N": N, "p": P, "C": 1, **symbols}
    stated = {kind: N * number.value(values) for kind, number in WAYS[label].passes.items()}
    assert counted == pytest.approx(stated)
    assert dict(backend.counts) == pytest.approx(stated)


def test_a_retraining_counts_its_evaluations_and_not_its_training(written: Any) -> None:
    found = gx.LOO(train=lambda data, start, seed: start, indices=[0, 1, 2]).fit(
        written.model, written.data, progress=False
    )
    stated = WAYS["LOO(train=…)"].passes["forward"].value({"N": N, "K": 3})
    assert found.run.passes == Passes(forward=round(N * stated))
