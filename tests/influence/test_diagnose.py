"""Every doubt about a run is raised by a run that deserves it, and by no sound one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.backend.protocols import SupportsParams
from gexcore.decisions.metrics import average_precision
from gexcore.influence.diagnose import CHECKS
from gexcore_numpy import MLP, NumpyBackend

Data = tuple[np.ndarray, np.ndarray]
LIMITS = {check.name: (check.limit, check.least) for check in CHECKS}


SIZES = {"normalised": (16, 96, 4), "plain": (16, 96, 4), "deep": (16, 48, 48, 48, 48, 4)}
RATES = {"normalised": 0.1, "plain": 0.05, "deep": 0.01}


def memorise(*, steps: int = 1500, noise: float = 0.1, net: str = "normalised") -> tuple[MLP, Data]:
    """A network that memorised 300 samples of four classes, some of them with wrong labels."""
    rng = np.random.default_rng(3)
    true = np.arange(300) % 4
    apart = 2.0 if net == "plain" else 1.5
    x = apart * rng.normal(size=(4, 16))[true] + rng.normal(size=(300, 16))
    y = true.copy()
    wrong = rng.choice(300, round(300 * noise), replace=False)
    y[wrong] = (true[wrong] + rng.integers(1, 4, len(wrong))) % 4
    backend = NumpyBackend(MLP.init(SIZES[net], seed=1, batch_norm=net == "normalised"))
    state = backend.copy(backend.initial_state())
    batches = training_order(300, 30, seed=0, chain=0)
    for _ in range(steps):
        indices, seed = next(batches)
        state, _ = backend.sgd_step_(state, (x[indices], y[indices]), lr=RATES[net], seed=seed)
    return backend.to_model(state), (x, y)


def confused(*, rare: bool) -> tuple[MLP, Data]:
    """A model of eight clusters: class 0 taken for class 1, or a rare class that is not learnt."""
    rng = np.random.default_rng(5)
    true = np.repeat(np.arange(8), [100] * 7 + [8 if rare else 100])
    x = 5.0 * np.eye(8)[true] + rng.normal(size=(len(true), 8))
    y = true.copy()
    if rare:
        x[true == 7] = 5.0 * np.eye(8)[rng.integers(0, 7, 8)] + rng.normal(size=(8, 8))
    else:
        y[:25] = 1
    return MLP([2.0 * np.eye(8)], [np.zeros(8)]), (x, y)


class Still(NumpyBackend):
    """Cannot be trained."""

    def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
        return super().sgd_step_(state, batch, lr=0.0, seed=seed)


class Opaque(NumpyBackend):
    """Shows no flat parameters."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.unsupported |= {SupportsParams}


RELEARNED: dict[str, tuple[type[NumpyBackend], str, dict[str, Any]]] = {
    "relearned": (NumpyBackend, "plain", {}),
    "slow": (NumpyBackend, "plain", {"lr": 1e-3, "epochs": 4}),
    "knows": (NumpyBackend, "plain", {"epochs": 4}),
    "too slow": (NumpyBackend, "normalised", {"lr": 1e-9, "epochs": 4}),
    "still": (Still, "deep", {"epochs": 4}),
    "opaque": (Opaque, "plain", {}),
}
"""Runs that ask for relearning. The first is sound."""


@pytest.fixture(scope="module")
def runs(trained: Any) -> Callable[[str], gx.LossInfluence]:
    """Runs by name, each made once; all but the first deserve a finding."""
    model, data = memorise()
    settings: dict[str, Any] = {
        "sound": {},
        "sound, with a floor": {"floor": 0.05},
        "frozen": {"lr": 1e-6, "floor": 0.05},
        "short": {"chains": 1, "snapshots": 3, "lr": 0.1},
        "hot": {"lr": 3.0},
        "hot, without a ceiling": {"lr": 3.0, "ceiling": None},
        "decayed": {"weight_decay": 0.5},
    }
    made: dict[str, gx.LossInfluence] = {}

    def make(name: str) -> gx.LossInfluence:
        usual = gx.GEX(
            **{"chains": 2, "snapshots": 6, "lr": 0.3, "batch_size": 9, **settings.get(name, {})}
        )
        if name == "stale":
            (norm,) = model.batch_norm or ()
            old = replace(model, batch_norm=[replace(norm, mean=norm.mean + 3.0)])
            return usual.fit(old, data, progress=False)
        if name in ("early", "clean"):
            return usual.fit(
                *memorise(**{"early": {"steps": 60}, "clean": {"noise": 0.0}}[name]), progress=False
            )
        if name == "molten":
            return gx.GEX(lr=3.0, chains=2, snapshots=10).fit(
                trained.model, trained.data, progress=False
            )
        if name in ("pair", "rare"):
            return gx.GEX(chains=2, snapshots=6).fit(*confused(rare=name == "rare"), progress=False)
        if name in RELEARNED:
            backend, net, how = RELEARNED[name]
            known, given = memorise(net=net)
            near = replace(known, biases=[bias + 1e-6 for bias in known.biases])
            reference = near if name == "knows" else None
            ensemble = gx.Relearning(reference=reference, **how)
            return gx.GEX(ensemble=ensemble).fit(backend(known), given, progress=False)
        if name == "asked for influence":
            found = gx.GEX(chains=2, snapshots=6).fit(model, data, progress=False)
            assert "not_for_influence" not in [finding.name for finding in found.diagnose()]
            found.top(3)
            return found
        return usual.fit(model, data, progress=False)

    def get(name: str) -> gx.LossInfluence:
        if name not in made:
            made[name] = make(name)
        return made[name]

    return get


PROVOKED = {
    "cold": ("frozen", 1.0),
    "melted": ("molten", 0.55),
    "few_members": ("short", 3.0),
    "not_memorised": ("early", 0.09),
    "stale_statistics": ("stale", 0.5),
    "no_separate_mode": ("clean", 0.0),
    "unreliable": ("hot", 0.6),
    "floor": ("frozen", 1.0),
    "heavy_tail": ("hot, without a ceiling", 1.0),
    "unskilled": ("decayed", 0.13),
    "one_class_pair": ("pair", 8.0),
    "rare_class_on_top": ("rare", 1.0),
    "not_for_influence": ("asked for influence", 0.6),
    "no_relearning": ("opaque", 1.0),
    "never_relearned": ("too slow", 1.0),
    "plain_loss_may_rank_better": ("slow", 0.3),
    "relearned_at_once": ("knows", 1.0),
    "scale_raised": ("still", 0.8),
}


def test_every_check_is_provoked() -> None:
    assert list(PROVOKED) == [check.name for check in CHECKS]


@pytest.mark.parametrize("name", PROVOKED)
def test_a_run_that_deserves_it_is_told(runs: Any, name: str) -> None:
    run, number = PROVOKED[name]
    (finding,) = [finding for finding in runs(run).diagnose() if finding.name == name]
    limit, least = LIMITS[name]
    assert finding.limit == limit
    assert finding.number < limit if least else finding.number > limit
    assert finding.number == pytest.approx(number, abs=max(0.3, number / 2))
    assert "{" not in finding.sentence


def test_a_sound_run_has_no_finding(runs: Any) -> None:
    assert runs("sound").diagnose() == []
    assert runs("sound, with a floor").diagnose() == []
    assert repr(runs("sound")).endswith("diagnose(): 0 findings>")


@pytest.mark.parametrize(
    ("name", "silent"), [("stale", "stale_statistics"), ("early", "not_memorised")]
)
def test_a_finding_is_its_own(runs: Any, name: str, silent: str) -> None:
    """Stale statistics are not taken for labels that were not learnt, nor the other way round."""
    other = {"stale_statistics": "not_memorised", "not_memorised": "stale_statistics"}[silent]
    found = {finding.name for finding in runs(name).diagnose()}
    assert silent in found
    assert other not in found


def test_relearning_that_went_well_is_not_doubted(runs: Any) -> None:
    causes = {"no_relearning", "never_relearned", "relearned_at_once", "scale_raised"}
    for sound in ("sound", "relearned"):
        found = {finding.name for finding in runs(sound).diagnose()}
        assert not {*causes, "plain_loss_may_rank_better"} & found
    for name in ("knows", "too slow", "still", "opaque"):  # one cause, not another one beside it
        assert len(causes & {finding.name for finding in runs(name).diagnose()}) == 1
    assert not causes & {finding.name for finding in runs("slow").diagnose()}
    (told,) = [f.sentence for f in runs("opaque").diagnose() if f.name == "no_relearning"]
    assert told.startswith("the backend lacks params, and cannot relearn")


def test_a_pair_is_named_and_only_where_it_is_one(runs: Any) -> None:
    (told,) = [f.sentence for f in runs("pair").diagnose() if f.name == "one_class_pair"]
    assert told.startswith("samples of class 0 are given label 1 ")
    assert runs("pair").confusion()[:2] == (0, 1)
    for name in ("sound", "early", "rare"):  # uniform noise, or none
        assert "one_class_pair" not in {finding.name for finding in runs(name).diagnose()}


def test_what_is_not_memorised_ranks_better_by_mean_loss_than_by_self_influence(runs: Any) -> None:
    rng = np.random.default_rng(3)
    rng.normal(size=(4, 16)), rng.normal(size=(300, 16))
    wrong = np.isin(np.arange(300), rng.choice(300, 30, replace=False))
    found = runs("early")
    scores = found.suspicion(), found.self_influence()
    by_mean_loss, by_influence = (average_precision(score, wrong) for score in scores)
    assert by_mean_loss > by_influence


def test_without_a_member_only_that_is_told(trained: Any) -> None:
    class Still(NumpyBackend):
        def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
            return super().sgd_step_(state, batch, lr=0.0, seed=seed)

    found = gx.GEX(chains=1, snapshots=2).fit(Still(trained.model), trained.data, progress=False)
    assert len(found.table) == 0
    assert {finding.name for finding in found.diagnose()} == {
        "cold",
        "few_members",
        "not_memorised",
    }


def test_the_record_tells_the_findings_in_plain_values(runs: Any) -> None:
    found = runs("short")
    assert found.record()["findings"] == json.loads(
        json.dumps([f._asdict() for f in found.diagnose()])
    )
    assert found.record()["method"] == "GEX"
    assert repr(found).endswith(f"diagnose(): {len(found.diagnose())} findings>")


def test_the_ceiling_keeps_a_few_losses_from_deciding(runs: Any) -> None:
    for name, told in [("hot", False), ("hot, without a ceiling", True)]:
        assert ("heavy_tail" in {finding.name for finding in runs(name).diagnose()}) == told


def test_influence_of_hot_members_is_told_for_what_it_is_worth(runs: Any) -> None:
    found = runs("asked for influence")
    told = {finding.name: finding.sentence for finding in found.diagnose()}["not_for_influence"]
    assert "four fifths of the agreement with retraining" in told
    mean = found.weighted("mean", center="checkpoint")
    assert "not_for_influence" not in [finding.name for finding in mean.diagnose()]
    mean.influence()
    told = {finding.name: finding.sentence for finding in mean.diagnose()}["not_for_influence"]
    assert "no more than a weak correlation" in told
