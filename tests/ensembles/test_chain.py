"""Chains of members: reproducible, independent, as a straight-line loop would have them, and
without side effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.backend.data import ArrayDataset
from gexcore.backend.optimizer import Optimizer
from gexcore.evaluation.statistics import Refresher
from gexcore_numpy import NumpyBackend

OPEN = {"chains": 2, "snapshots": 3, "lr": 0.02, "steps_per_snapshot": 5, "batch_size": 16}
CLOSED = {"chains": 2, "snapshots": 20, "steps_per_snapshot": 8, "batch_size": 16}
BOTH_LOOPS = pytest.mark.parametrize("settings", [OPEN, CLOSED], ids=["open", "closed"])
BOTH_HARVESTS = pytest.mark.parametrize("scoring", ["evaluated", "training_batches"])


def fit(model: Any, data: Any, **settings: Any) -> gx.Influence:
    return gx.GEX(**settings).fit(model, data, progress=False)


class Plain:
    """The four mandatory methods of another backend, and no capability."""

    name = "plain"

    def __init__(self, backend: NumpyBackend) -> None:
        self.backend = backend

    def initial_state(self) -> Any:
        return self.backend.initial_state()

    def forward(self, state: Any, batch: Any, /) -> Any:
        return self.backend.forward(state, batch)

    def sgd_step(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
        return self.backend.sgd_step(state, batch, lr=lr, seed=seed)

    def restart(self, state: Any, /) -> Any:
        return self.backend.restart(state)


@settings(derandomize=True, database=None, deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 999), chain=st.integers(0, 9), data=st.data())
def test_epochs_are_permutations_cut_into_full_batches(
    n: int, seed: int, chain: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, n))
    order, again = (training_order(n, size, seed=seed, chain=chain) for _ in range(2))
    for _ in range(3):
        epoch = [next(order) for _ in range(n // size)]
        used = np.concatenate([indices for indices, _ in epoch])
        assert len(set(used)) == len(used) == n // size * size
        assert set(used) <= set(range(n))
        for indices, noise in epoch:
            assert 0 <= noise < 2**32
            same, same_noise = next(again)
            assert (same == indices).all()
            assert noise == same_noise


def test_chains_and_seeds_have_their_own_order() -> None:
    orders = [
        next(training_order(1000, 900, seed=s, chain=c))[0]
        for s, c in [(0, 0), (0, 1), (1, 0), (1, 1)]
    ]
    assert all((a != b).mean() > 0.9 for i, a in enumerate(orders) for b in orders[:i])


@BOTH_LOOPS
@BOTH_HARVESTS
def test_equal_seeds_give_equal_bits(trained: Any, settings: Any, scoring: str) -> None:
    one, two, other = (
        fit(trained.model, trained.data, **settings, scoring=scoring, seed=s) for s in (3, 3, 4)
    )
    assert one.run.snapshots == two.run.snapshots
    assert len(one.table) > 0
    np.testing.assert_array_equal(one.losses, two.losses)
    np.testing.assert_array_equal(one.suspicion(), two.suspicion())
    assert one.run.snapshots != other.run.snapshots


@BOTH_LOOPS
@BOTH_HARVESTS
def test_a_chain_does_not_depend_on_how_many_there_are(
    trained: Any, settings: Any, scoring: str
) -> None:
    few, many = (
        fit(trained.model, trained.data, **{**settings, "chains": chains}, scoring=scoring)
        for chains in (4, 8)
    )
    assert [s for s in many.run.snapshots if s.chain < 4] == list(few.run.snapshots)
    for chain in range(4):
        rows = few.losses[few.table.chains == chain]
        assert len(rows)
        np.testing.assert_array_equal(many.losses[many.table.chains == chain], rows)
    np.testing.assert_array_equal(many.base_losses, few.base_losses)


@pytest.mark.parametrize("fixture", ["trained", "normalised"])
def test_an_evaluated_chain_is_the_straight_line_of_the_paper(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    given_model = request.getfixturevalue(fixture)
    found = fit(
        given_model.model,
        given_model.data,
        **OPEN,
        scoring="evaluated",
        momentum=0.8,
        weight_decay=1e-3,
    )
    backend = NumpyBackend(given_model.model, optimizer=Optimizer(momentum=0.8, weight_decay=1e-3))
    refresh = Refresher(backend, found.data, seed=0)
    rows = []
    for chain in range(2):
        order = training_order(96, 16, seed=0, chain=chain)
        state = backend.initial_state()
        for _ in range(3):
            for _ in range(5):
                indices, seed = next(order)
                batch = (given_model.x[indices], given_model.y[indices])
                state = backend.sgd_step(state, batch, lr=0.02, seed=seed)
            rows.append(backend.forward(refresh(state), given_model.data))
            state = backend.restart(state)
    np.testing.assert_array_equal(found.losses, rows)
    np.testing.assert_array_equal(
        found.base_losses, backend.forward(refresh(backend.initial_state()), given_model.data)
    )
    np.testing.assert_array_equal(found.table.chains, [0, 0, 0, 1, 1, 1])


def test_a_free_row_holds_the_samples_seen_and_no_others(normalised: Any) -> None:
    found = fit(
        normalised.model,
        normalised.data,
        **{**OPEN, "steps_per_snapshot": 4},
        scoring="training_batches",
    )
    backend = NumpyBackend(normalised.model, optimizer=Optimizer())
    row = 0
    for chain in range(2):
        order = training_order(96, 16, seed=0, chain=chain)
        state = backend.initial_state()
        for _ in range(3):
            wanted = np.full(96, np.nan)
            for _ in range(
                4
            ):  # 4 of an epoch's 6 batches: some chunks cross its end and see samples twice
                indices, seed = next(order)
                batch = (normalised.x[indices], normalised.y[indices])
                wanted[indices] = backend.training_losses(state, batch, seed=seed)
                state = backend.sgd_step(state, batch, lr=0.02, seed=seed)
            np.testing.assert_array_equal(found.losses[row], wanted)
            assert 0 < np.isnan(wanted).sum() < 96
            state = backend.restart(state)
            row += 1
    assert len(found.losses) == row
    assert np.isfinite(found.base_losses).all()


def test_the_free_base_is_measured_in_training_mode_on_augmented_samples(normalised: Any) -> None:
    class Mirrored(ArrayDataset):
        def augmented(self, indices: Any, /, *, seed: int) -> Any:
            x, y = self.batch(indices)
            return x[:, ::-1], y

    settings = {**OPEN, "batch_size": 96, "scoring": "training_batches"}
    found = fit(NumpyBackend(normalised.model), Mirrored(*normalised.data), **settings)
    backend = NumpyBackend(normalised.model)
    state = backend.initial_state()
    wanted = backend.training_losses(state, (normalised.x[:, ::-1], normalised.y), seed=0)
    np.testing.assert_allclose(found.base_losses, wanted, rtol=1e-9)
    assert np.abs(wanted - backend.forward(state, normalised.data)).max() > 0.1


@BOTH_LOOPS
@pytest.mark.parametrize("fixture", ["trained", "normalised"])
def test_kept_states_have_the_losses_of_their_rows(
    fixture: str, settings: Any, request: Any
) -> None:
    given_model = request.getfixturevalue(fixture)
    found = fit(given_model.model, given_model.data, **settings, scoring="evaluated", keep=4)
    kept = found.members.evaluate(given_model.data)
    np.testing.assert_array_equal(kept.losses, found.losses[found.members.rows])
    np.testing.assert_array_equal(kept.chains, found.table.chains[found.members.rows])
    np.testing.assert_array_equal(kept.base_losses, found.base_losses)
    assert len({row.tobytes() for row in kept.losses}) == len(kept) >= 2


@pytest.mark.parametrize(
    ("keep", "rows"), [(0, []), (1, [0]), (3, [0, 4, 8]), (8, [0, 2, 4, 6, 8]), (50, range(10))]
)
def test_kept_members_are_spread_evenly_along_a_chain(
    trained: Any, keep: int, rows: list[int]
) -> None:
    settings = {**OPEN, "chains": 2, "snapshots": 10, "lr": 1e-3, "steps_per_snapshot": 1}
    found = fit(trained.model, trained.data, **settings, scoring="evaluated", keep=keep)
    assert found.members.rows.tolist() == [*rows, *(10 + row for row in rows)]
    assert len(found.members.states) == 2 * len(rows)


@BOTH_LOOPS
def test_stepping_in_place_changes_no_loss(trained: Any, settings: Any) -> None:
    backend = NumpyBackend(trained.model, optimizer=Optimizer())
    owned = fit(backend, trained.data, **settings, scoring="evaluated")
    plain = fit(Plain(backend), trained.data, **settings, scoring="evaluated")
    np.testing.assert_array_equal(plain.losses, owned.losses)
    assert plain.run.snapshots == owned.run.snapshots


@BOTH_LOOPS
@BOTH_HARVESTS
def test_the_model_comes_back_as_it_was(normalised: Any, settings: Any, scoring: str) -> None:
    def arrays() -> list[bytes]:
        norms = [
            a
            for norm in normalised.model.batch_norm
            for a in (norm.scale, norm.offset, norm.mean, norm.var)
        ]
        return [a.tobytes() for a in (*normalised.model.weights, *normalised.model.biases, *norms)]

    before = arrays()
    fit(normalised.model, normalised.data, **settings, scoring=scoring)
    assert arrays() == before
