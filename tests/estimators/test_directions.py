"""TracIn, TracInRP, RandProj and GEX-lin against gradients that are written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gexcore as gx
from gexcore.backend.data import ArrayDataset
from gexcore.backend.protocols import SupportsJvp, SupportsSampleGradients
from gexcore.deviations import gradients
from gexcore.ensembles.directions import Tangents
from gexcore.ensembles.spectrum import full_spectrum
from gexcore.evaluation.derivatives import directional
from gexcore.evaluation.losses import evaluate
from gexcore_numpy import MLP, NumpyBackend

from .conftest import gradients_of

EXACT = {"rtol": 1e-9, "atol": 1e-11}
QUIET = {"progress": False}
CHAINS = {"chains": 2, "snapshots": 3, "lr": 0.05, "steps_per_snapshot": 4, "batch_size": 7}


class Plain(NumpyBackend):
    """Without gradients of samples: derivatives one direction at a time."""

    without: tuple[type, ...] = (SupportsSampleGradients,)

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.unsupported |= set(self.without)


class ForwardOnly(Plain):
    """Parameters and losses, no derivative at all."""

    without = (SupportsSampleGradients, SupportsJvp)


@pytest.fixture(scope="module")
def path(written: Any) -> list[MLP]:
    """Three checkpoints on the way to the model."""
    backend = NumpyBackend(written.model)
    states = [backend.initial_state()]
    for step in range(2):
        states.append(backend.sgd_step(states[-1], written.data, lr=0.2, seed=step))
    return [backend.to_model(state) for state in states]


def tracin(path: list[MLP], given: Any, data: Any) -> Any:
    return np.mean(
        [gradients_of(model, given) @ gradients_of(model, data).T for model in path], axis=0
    )


@pytest.mark.parametrize("batch_size", [3, 512])
def test_tracin_is_the_mean_product_of_gradients_over_checkpoints(
    written: Any, path: Any, batch_size: int
) -> None:
    method = gx.TracIn(checkpoints=path, batch_size=batch_size)
    found = method.fit(written.model, written.data, test=written.test, **QUIET)
    np.testing.assert_allclose(found.influence(), tracin(path, written.test, written.data), **EXACT)
    np.testing.assert_allclose(
        found.influence(written.data), tracin(path, written.data, written.data), **EXACT
    )
    np.testing.assert_allclose(
        found.self_influence(), np.diag(tracin(path, written.data, written.data)), **EXACT
    )
    dev = found.deviations()
    assert dev.shape == (len(found.table), 14) == (3 * written.size, 14)
    np.testing.assert_allclose((dev**2).mean(axis=0), found.self_influence(), **EXACT)
    assert found.run.passes.gradient == 3 * 14
    assert found.run.to_dict()["settings"]["checkpoints"] == "3 items"


def test_tracin_never_holds_all_gradients(
    written: Any, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    class Watched(NumpyBackend):
        def sample_gradients(self, state: Any, batch: Any, /) -> Any:
            held.append(len(batch[0]))
            return super().sample_gradients(state, batch)

    monkeypatch.setattr(gradients, "GRADIENT_BUDGET", 4 * written.size)
    found = gx.TracIn(checkpoints=path).fit(
        Watched(written.model), written.data, test=written.test, **QUIET
    )
    blocks = [block for _, block in found.influence_blocks(size=5)]
    assert max(held) == 4
    np.testing.assert_allclose(np.hstack(blocks), tracin(path, written.test, written.data), **EXACT)


@pytest.mark.parametrize("method", ["randproj", "tracin_rp"])
def test_random_projections_are_unbiased_within_their_standard_error(
    written: Any, path: Any, method: str
) -> None:
    states = path if method == "tracin_rp" else path[:1]
    exact = tracin(states, written.data, written.data)
    z = []
    for seed in range(12):
        projected = (
            gx.TracInRP(checkpoints=states, directions=150, seed=seed)
            if method == "tracin_rp"
            else gx.RandProj(directions=150, seed=seed)
        ).fit(written.model, written.data, **QUIET)
        z.append((projected.self_influence() - np.diag(exact)) / projected.standard_error())
        np.testing.assert_allclose(
            np.diag(projected.influence()), projected.self_influence(), **EXACT
        )
    z = np.concatenate(z)
    assert np.abs(z.mean()) < 0.35
    assert np.sqrt((z**2).mean()) == pytest.approx(1.0, abs=0.3)
    np.testing.assert_allclose(projected.influence(), exact, atol=0.4 * np.abs(exact).max())


def test_the_variance_of_a_projection_is_what_theory_says(written: Any) -> None:
    squares = (written.gradients**2).sum(axis=1)
    found = gx.RandProj(directions=4000, seed=1).fit(written.model, written.data, **QUIET)
    np.testing.assert_allclose(found.standard_error(), np.sqrt(2 / 4000) * squares, rtol=0.15)


@settings(derandomize=True, database=None, deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6), count=st.sampled_from([1, 5, 16, 17]), batch_size=st.integers(1, 20)
)
def test_every_way_to_derivatives_gives_the_same(
    written: Any, seed: int, count: int, batch_size: int
) -> None:
    moves = np.random.default_rng(seed).normal(size=(count, written.size))
    wanted = moves @ written.gradients.T
    for backend in (NumpyBackend(written.model), Plain(written.model), ForwardOnly(written.model)):
        data = ArrayDataset(*written.data)
        found = directional(backend, [backend.initial_state()], moves, data, batch_size=batch_size)
        tolerance = 1e-6 if isinstance(backend, ForwardOnly) else 1e-10
        np.testing.assert_allclose(
            found, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max()
        )


def test_all_directions_share_one_pass_over_the_data(written: Any) -> None:
    class Counted(ArrayDataset):
        calls = 0

        def batch(self, indices: Any, /) -> Any:
            self.calls += 1
            return super().batch(indices)

    data, backend = Counted(*written.data), Plain(written.model)
    directional(backend, [backend.initial_state()], np.ones((9, written.size)), data, batch_size=5)
    assert data.calls == 3


def test_no_move_has_no_derivative(written: Any) -> None:
    backend = ForwardOnly(written.model)
    zero = np.zeros((1, written.size))
    assert not directional(
        backend, [backend.initial_state()], zero, ArrayDataset(*written.data), batch_size=9
    ).any()
    none = directional(
        backend, [backend.initial_state()], zero[:0], ArrayDataset(*written.data), batch_size=9
    )
    assert none.shape == (0, 14)


@pytest.mark.parametrize("kind", [NumpyBackend, Plain, ForwardOnly])
def test_gex_lin_is_the_gradient_along_the_way_to_each_member(written: Any, kind: Any) -> None:
    backend = kind(written.model)
    found = gx.GEXLin(**CHAINS).fit(backend, written.data, test=written.test, **QUIET)
    members = gx.GEX(**CHAINS, keep=3).fit(backend, written.data, **QUIET).members.states
    moves = np.stack([backend.ravel(state) for state in members]) - backend.ravel(
        backend.initial_state()
    )
    np.testing.assert_allclose(
        found.deviations(), moves @ written.gradients.T, rtol=1e-5, atol=1e-8
    )
    wanted = (moves @ written.test_gradients.T).T @ (moves @ written.gradients.T) / len(moves)
    np.testing.assert_allclose(found.influence(), wanted, rtol=1e-4, atol=1e-8)
    np.testing.assert_array_equal(found.table.chains, [0, 0, 0, 1, 1, 1])
    assert (found.run.method, found.run.count()["member"]) == ("GEXLin", 6)
    assert found.run.passes.step > 0


def test_gex_lin_nears_gex_where_members_stay_near(written: Any) -> None:
    still = {**CHAINS, "lr": 1e-5}
    linear, full = (
        method(**still).fit(written.model, written.data, **QUIET) for method in (gx.GEXLin, gx.GEX)
    )
    np.testing.assert_allclose(linear.deviations(), full.deviations(), rtol=2e-3, atol=1e-9)


def test_sigma_points_seen_linearly_are_the_influence_function(convex: Any) -> None:
    backend = NumpyBackend(convex.model)
    moves, _ = full_spectrum(lambda v: convex.hessian @ v, convex.size).inverse(0.3)
    points = np.concatenate([moves, -moves])
    table = Tangents(backend, [backend.initial_state()], points, 512).evaluate(convex.data)
    found = np.hstack([block for _, block in table.cross(table)])
    np.testing.assert_allclose(found, convex.influence(0.3), **EXACT)
    np.testing.assert_allclose(
        found, gx.IF(damping=0.3).fit(convex.model, convex.data, **QUIET).influence(), **EXACT
    )


def test_tracin_on_a_geometric_ensemble_takes_gradients_at_its_members(written: Any) -> None:
    ensemble = gx.Geometric(**CHAINS, weight_decay=0.01)
    found = gx.TracInRP(ensemble=ensemble, directions=3000).fit(
        written.model, written.data, **QUIET
    )
    kept = (
        gx.GEX(**CHAINS, weight_decay=0.01, keep=3)
        .fit(written.model, written.data, **QUIET)
        .members
    )
    assert len(kept.states) == 6
    backend = kept.backend
    models = [backend.to_model(state) for state in kept.states]
    exact = np.diag(tracin(models, written.data, written.data))
    assert (np.abs(found.self_influence() - exact) < 5 * found.standard_error()).all()
    assert len(found.table) == 6 * 3000
    assert found.run.passes.step == 2 * 3 * 4 * 7


def test_statistics_follow_the_members_that_gradients_are_taken_at(written: Any) -> None:
    model = MLP.init((3, 4, 3), seed=2, activation="tanh", batch_norm=True)
    found = gx.TracInRP(ensemble=gx.Geometric(**CHAINS), directions=2).fit(
        model, written.data, **QUIET
    )
    members = found.members
    assert isinstance(members, Tangents)
    losses = [
        evaluate(members.backend, state, ArrayDataset(*written.data), batch_size=99)
        for state in members.states
    ]
    kept = gx.GEX(**CHAINS, keep=3).fit(model, written.data, **QUIET)
    np.testing.assert_array_equal(np.stack(losses), kept.losses)
