"""What every method's result answers, and that the answers agree with each other."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.report.audit import Audit
from gexcore_numpy import MLP, NumpyBackend

QUIET = {"progress": False}
CHAINS = {"chains": 2, "snapshots": 3, "lr": 0.05, "steps_per_snapshot": 4, "batch_size": 7}
COLD = {**CHAINS, "lr": "auto", "snapshots": 1, "weight_decay": 0.0}


def methods(model: MLP) -> dict[str, Any]:
    """One of each that is a mean over members."""
    return {
        "GEX": gx.GEX(**CHAINS, weights="mean"),
        "GEXLin": gx.GEXLin(**CHAINS),
        "IF": gx.IF(damping=0.05),
        "Arnoldi": gx.Arnoldi(iterations=12, rank=6),
        "RandProj": gx.RandProj(directions=5),
        "TracIn": gx.TracIn(checkpoints=[model, model]),
        "TracInRP": gx.TracInRP(checkpoints=[model, model], directions=5),
        "TracInRP on GEX": gx.TracInRP(ensemble=gx.Geometric(**CHAINS), directions=2),
        "Laplace": gx.Laplace(samples=5),
        "Laplace, full": gx.Laplace(structure="full", damping=0.6, samples=5),
        "last layer": gx.LastLayer(gx.IF(damping=0.1)),
        "last layer of GEX": gx.LastLayer(gx.GEX(**CHAINS, weights="mean")),
    }


NAMES = list(methods(MLP([np.zeros((1, 2))], [np.zeros(2)])))


@pytest.fixture(scope="module", params=NAMES)
def found(request: pytest.FixtureRequest, written: Any) -> gx.Influence:
    before = copy.deepcopy(written.model)
    result = methods(written.model)[request.param].fit(written.model, written.data, **QUIET)
    for array, other in zip(before.weights, written.model.weights, strict=True):
        np.testing.assert_array_equal(array, other)
    assert isinstance(result, gx.Influence)
    return result


def test_influence_on_itself_is_self_influence(found: gx.Influence, written: Any) -> None:
    matrix = found.influence()
    assert matrix.shape == (14, 14)
    assert len(found) == 14
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.diag(matrix), found.self_influence(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.influence(written.data), matrix, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.ranking(), np.argsort(-_score(found), kind="stable"))


def _score(found: gx.Influence) -> Any:
    return found.suspicion() if isinstance(found, gx.LossInfluence) else found.self_influence()


def test_groups_and_top_are_views_of_the_matrix(found: gx.Influence, written: Any) -> None:
    matrix = found.influence(written.test)
    groups = np.arange(14) % 3
    summed = np.stack([matrix[:, groups == g].sum(axis=1) for g in range(3)], axis=1)
    np.testing.assert_allclose(
        found.group_influence(groups, written.test), summed, rtol=1e-9, atol=1e-12
    )
    top = found.top(4, written.test)
    np.testing.assert_array_equal(top.proponents, np.argsort(-matrix, axis=1, kind="stable")[:, :4])
    blocks = list(found.influence_blocks(written.test, size=4))
    assert [part.stop for part, _ in blocks] == [4, 8, 12, 14]
    np.testing.assert_allclose(
        np.hstack([block for _, block in blocks]), matrix, rtol=1e-9, atol=1e-12
    )


def test_deviations_hold_the_whole_result(found: gx.Influence) -> None:
    dev = found.deviations()
    assert dev.shape == (len(found.table), 14)
    weights = getattr(found.table, "weights", None)
    weights = np.ones(len(dev)) if weights is None else weights
    wanted = (weights[:, None] * dev).T @ dev / np.abs(weights).sum()
    np.testing.assert_allclose(found.influence(), wanted, rtol=1e-9, atol=1e-12)


def test_a_record_is_plain(found: gx.Influence) -> None:
    record = json.loads(json.dumps(found.run.to_dict()))
    assert record["method"] in repr(found)
    assert record["passes"]["epochs"] == pytest.approx(found.run.passes.epochs(14), abs=1e-3)
    assert record["passes"]["forward"] >= 14
    # chains are on record where there are chains
    assert ("plan" in record) == ("snapshots" in record) == (found.run.plan is not None)


def test_a_method_without_losses_ranks_by_self_influence(
    found: gx.Influence, tmp_path: Path
) -> None:
    columns = found.columns()
    frame = found.to_frame()
    assert list(frame.columns) == list(columns)
    if isinstance(found, gx.LossInfluence):
        return
    assert list(columns) == ["index", "label", "self_influence", "standard_error", "suspect"]
    audit = Audit.of(found.columns(), found.suspects().threshold, found.record())
    np.testing.assert_array_equal(audit.suspicion, np.maximum(found.self_influence(), 0))
    assert audit.suggested is None
    text = found.report(tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "wherever the page says suspicion, it shows self-influence" in text


def test_suspects_of_a_linear_method_are_above_a_threshold_on_its_scores() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-2, 0.5, (150, 2)), rng.normal(2, 0.5, (150, 2))])
    y = np.repeat([0, 1], 150)
    wrong = np.arange(300) % 10 == 3
    model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    found = gx.RandProj(directions=200).fit(model, (x, np.where(wrong, 1 - y, y)), **QUIET)
    indices, threshold = found.suspects()
    assert set(indices) == set(np.flatnonzero(wrong))
    assert (np.diff(found.self_influence()[indices]) <= 0).all()
    assert threshold.value is not None
    assert (found.self_influence() > threshold.value).sum() == len(indices)
    few, _ = found.suspects("known_rate", rate=0.05)
    np.testing.assert_array_equal(few, indices[: len(few)])
    np.testing.assert_array_equal(found.columns()["suspect"], wrong)


def test_a_run_without_members_says_so(trained_cold: Any, written: Any) -> None:
    found = trained_cold
    assert len(found.table) == 0
    assert np.isnan(found.self_influence()).all()
    assert found.suspects().threshold.reason == "the run has no usable member"
    with pytest.raises(
        ValueError, match="the run has no usable member, and influence is a mean over members"
    ):
        found.influence()
    cold = gx.Geometric(**COLD)
    with pytest.raises(ValueError, match="the run has no usable member to take gradients at"):
        gx.TracInRP(ensemble=cold).fit(*memorised(), **QUIET)


def memorised() -> Any:
    """A model far better than a guess, that one chunk of cold steps does not move."""
    x = np.concatenate([np.full((20, 2), -2.0), np.full((20, 2), 2.0)])
    return MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)]), (x, np.repeat([0, 1], 20))


@pytest.fixture(scope="module")
def trained_cold() -> gx.Influence:
    return gx.GEXLin(**COLD).fit(*memorised(), **QUIET)


def test_parameters_restrict_every_method(written: Any) -> None:
    last = NumpyBackend(written.model).parameter_names()
    columns = np.repeat([name in ("weight1", "bias1") for name in last], list(last.values()))
    g, h = written.gradients[:, columns], written.hessian[np.ix_(columns, columns)]
    wanted = g @ np.linalg.inv(h + 0.1 * np.eye(len(h))) @ g.T
    for parameters in ("*1", ["weight1", "bias1"], ("bias1", "weight1*")):
        found = gx.IF(damping=0.1, parameters=parameters).fit(written.model, written.data, **QUIET)
        np.testing.assert_allclose(found.influence(), wanted, rtol=1e-8)
    last_layer = gx.LastLayer(gx.IF(damping=0.1)).fit(written.model, written.data, **QUIET)
    np.testing.assert_allclose(last_layer.influence(), wanted, rtol=1e-8)
    tracin = gx.LastLayer(gx.TracIn(checkpoints=[written.model])).fit(
        written.model, written.data, **QUIET
    )
    np.testing.assert_allclose(tracin.influence(), g @ g.T, rtol=1e-8, atol=1e-12)
    lin = gx.LastLayer(gx.GEXLin(**CHAINS)).fit(written.model, written.data, **QUIET)
    assert np.linalg.matrix_rank(lin.influence()) == 6
    drawn = gx.Laplace(parameters="*1", samples=2, keep=2).fit(written.model, written.data, **QUIET)
    for state in drawn.members.states:
        moved = drawn.members.backend.to_model(state)
        np.testing.assert_array_equal(moved.weights[0], written.model.weights[0])
        assert (moved.weights[1] != written.model.weights[1]).all()
    solved = gx.LiSSA(parameters="*1", depth=300, scale=1.0, damping=0.1, batch_size=99)
    np.testing.assert_allclose(
        solved.fit(written.model, written.data, **QUIET).influence(written.data),
        wanted,
        rtol=1e-6,
        atol=1e-8,
    )


@pytest.mark.parametrize("scoring", ["evaluated", "training_batches"])
def test_members_step_in_the_chosen_parameters_only(written: Any, scoring: Any) -> None:
    ensemble = gx.GEX(**CHAINS, scoring=scoring, keep=3)
    whole = ensemble.fit(written.model, written.data, **QUIET)
    moved = [whole.members.backend.to_model(state).weights[0] for state in whole.members.states]
    assert all((weight != written.model.weights[0]).any() for weight in moved)
    found = gx.LastLayer(ensemble).fit(
        written.model, written.data, train_data=written.data, test=written.test, **QUIET
    )
    assert len(found.members.states) == 6
    for state in found.members.states:
        moved = found.members.backend.to_model(state)
        np.testing.assert_array_equal(moved.weights[0], written.model.weights[0])
        np.testing.assert_array_equal(moved.biases[0], written.model.biases[0])
        assert (moved.weights[1] != written.model.weights[1]).all()
    by_name = dataclasses.replace(ensemble, parameters="*1").fit(
        written.model, written.data, **QUIET
    )
    np.testing.assert_array_equal(by_name.losses, found.losses)
    assert found.influence().shape == (4, 14)
    assert found.run.settings["parameters"] == ["weight1", "bias1"]
