"""Whatever asks several states about the same data reads each sample once: it may have to be
decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gexcore as gx
from gexcore.backend.data import ArrayDataset
from gexcore.backend.protocols import Backend
from gexcore.ensembles.checkpoints import Gradients
from gexcore.ensembles.directions import Tangents
from gexcore.ensembles.members import Members
from gexcore.estimators import laplace
from gexcore.evaluation.losses import evaluate
from gexcore.evaluation.statistics import Refresher
from gexcore_numpy import NumpyBackend

STATES, BATCH_SIZE = 5, 40


class Counted(ArrayDataset):
    """Counts how often each sample was read."""

    def __init__(self, *columns: Any) -> None:
        super().__init__(*columns)
        self.reads = np.zeros(len(self), int)

    def batch(self, indices: Any, /) -> Any:
        self.reads[indices] += 1
        return super().batch(indices)


def states_of(backend: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    flat = backend.ravel(backend.initial_state())
    return [
        backend.unravel(backend.initial_state(), flat + 0.1 * rng.normal(size=flat.shape))
        for _ in range(STATES)
    ]


def members_of(backend: Backend[Any, Any], data: Any, states: list[Any]) -> Members:
    numbers = np.arange(len(states))
    return Members(backend, Refresher(backend, data, seed=0), BATCH_SIZE, numbers, numbers, states)


def losses_of_members(backend: Any, data: Counted, states: list[Any]) -> NDArray[Any]:
    return members_of(backend, Counted(*data.columns), states).evaluate(data).losses


def probabilities(backend: Any, data: Counted, states: list[Any]) -> NDArray[Any]:
    return members_of(backend, Counted(*data.columns), states).probabilities(data)


def derivatives(backend: Any, data: Counted, states: list[Any]) -> NDArray[Any]:
    moves = np.random.default_rng(1).normal(size=(3, len(backend.ravel(states[0]))))
    return Tangents(backend, states, moves, BATCH_SIZE).evaluate(data).deviations


def gradients(backend: Any, data: Counted, states: list[Any]) -> NDArray[Any]:
    size = len(backend.ravel(states[0]))
    return Gradients(backend, states, size, BATCH_SIZE).evaluate(data).measured().self_influence()


@pytest.mark.parametrize("ask", [losses_of_members, probabilities, derivatives, gradients])
@pytest.mark.parametrize("kind", ["trained", "normalised"])
def test_all_states_share_one_pass(
    ask: Callable[..., Any], kind: str, request: pytest.FixtureRequest
) -> None:
    trained = request.getfixturevalue(kind)
    backend, data = NumpyBackend(trained.model), Counted(*trained.data)
    found = ask(backend, data, states_of(backend))
    np.testing.assert_array_equal(data.reads, 1)
    one_by_one = [ask(backend, data, [state]) for state in states_of(backend)]
    wanted = (
        np.concatenate(one_by_one)
        if ask in (losses_of_members, derivatives)
        else np.mean(one_by_one, axis=0)
    )
    np.testing.assert_allclose(found, wanted)


def test_statistics_of_all_states_are_refreshed_from_the_same_batches(normalised: Any) -> None:
    backend, data = NumpyBackend(normalised.model), Counted(*normalised.data)
    refresh = Refresher(backend, data, seed=0)
    together = refresh.many(states_of(backend))
    assert data.reads.max() == 1
    for state, refreshed in zip(states_of(backend), together, strict=True):
        alone = evaluate(backend, refresh(state), data, batch_size=BATCH_SIZE)
        np.testing.assert_array_equal(
            evaluate(backend, refreshed, data, batch_size=BATCH_SIZE), alone
        )


@pytest.mark.parametrize("held", [2, STATES])
def test_draws_share_as_many_passes_as_their_parameters_need(
    held: int, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(NumpyBackend(trained.model).ravel(NumpyBackend(trained.model).initial_state()))
    method = gx.Laplace(samples=STATES, batch_size=BATCH_SIZE)
    wanted = method.fit(trained.model, trained.data, progress=False).losses
    reads = []
    for budget in (held * size, size):
        monkeypatch.setattr(laplace, "STATE_BUDGET", budget)
        data = Counted(*trained.data)
        np.testing.assert_allclose(method.fit(trained.model, data, progress=False).losses, wanted)
        reads.append(int(data.reads.max()))
    assert reads[1] - reads[0] == STATES - -(-STATES // held)
