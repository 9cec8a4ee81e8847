"""Laws of every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import CAPABILITIES, supports
from gexcore.backend.protocols import Backend, SupportsParams, SupportsTrainingLosses
from gexcore.backend.registry import check_signatures
from gexcore.testing._hypothesis import law, pytest
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.problems import Problem
from gexcore.testing.strategies import positions


def require(problem: Problem, *capabilities: type) -> None:
    """Skip the check unless the backend has these capabilities for this model."""
    for capability in capabilities:
        if not supports(problem.backend, capability):
            pytest.skip(
                f"backend {problem.backend.name!r} has no {capability.__name__} for this model"
            )


def check_contract(problem: Problem) -> None:
    """The methods can be called as the protocols call them; `unsupported` holds protocols."""
    backend = problem.backend
    assert isinstance(backend, Backend)
    assert isinstance(backend.name, str)
    assert backend.name
    check_signatures(type(backend), Backend, who=backend.name)
    for capability in [c for c in CAPABILITIES.values() if supports(backend, c)]:
        check_signatures(type(backend), capability, who=backend.name)
    assert set(getattr(backend, "unsupported", ())) <= set(CAPABILITIES.values())


def check_forward(problem: Problem) -> None:
    """One finite loss per sample, equal on a second call."""
    state, batch = problem.backend.initial_state(), problem.everything()
    losses = numbers(problem.backend.forward(state, batch)).copy()
    assert losses.shape == (len(problem.dataset),)
    assert np.isfinite(losses).all()
    assert_close(problem.backend.forward(state, batch), losses, 0.0)


def check_samples_apart(problem: Problem) -> None:
    """A loss depends neither on the other samples of its batch nor on their order."""
    backend, n = problem.backend, len(problem.dataset)
    state = problem.walk(backend.initial_state(), 2)
    whole = numbers(backend.forward(state, problem.everything()))

    @law(chosen=positions(n, (1, n // 2, n)))
    def holds(chosen: NDArray[np.intp]) -> None:
        part = backend.forward(state, problem.dataset.batch(chosen))
        assert_close(part, whole[chosen], problem.tolerance)

    holds()


def check_initial_state(problem: Problem) -> None:
    """θ* is the same on every call, whatever happened to earlier states."""
    backend = problem.backend
    first = backend.initial_state()
    before = problem.observe(first)
    problem.walk(first, 3)
    problem.assert_seen(backend.initial_state(), before)
    problem.assert_seen(first, before)


def check_step_is_pure(problem: Problem) -> None:
    """A step does not change its argument, and equal arguments give equal states."""
    backend = problem.backend
    state = problem.walk(backend.initial_state(), 2)
    before = problem.observe(state)
    after = problem.observe(backend.sgd_step(state, problem.batch(1), lr=problem.lr, seed=3))
    problem.assert_seen(state, before)
    problem.assert_seen(backend.sgd_step(state, problem.batch(1), lr=problem.lr, seed=3), after)


def check_seed(problem: Problem) -> None:
    """The seed decides a random training mode."""
    if not problem.stochastic:
        pytest.skip("training mode is not random in this problem")
    backend = problem.backend
    state = backend.initial_state()
    one, other = (
        backend.sgd_step(state, problem.batch(), lr=problem.lr, seed=seed) for seed in (1, 2)
    )
    difference = np.abs(problem.settled_losses(one) - problem.settled_losses(other)).max()
    assert difference > 100 * problem.tolerance, "two seeds gave one result"


def check_zero_lr(problem: Problem) -> None:
    """Steps of size zero move no parameter."""
    backend = problem.backend
    state = backend.initial_state()
    still = problem.walk(state, 2, lr=0.0)
    assert_close(problem.settled_losses(still), problem.settled_losses(state), problem.tolerance)
    if supports(backend, SupportsParams):
        assert_close(backend.ravel(still), backend.ravel(state), 0.0)


def check_lr_matters(problem: Problem) -> None:
    """Every call uses its own learning rate."""
    backend = problem.backend
    state, moved = backend.initial_state(), []
    start = problem.settled_losses(state)
    for lr in (problem.lr, 2 * problem.lr, problem.lr):
        after = backend.sgd_step(state, problem.batch(), lr=lr, seed=0)
        moved.append(np.abs(problem.settled_losses(after) - start).mean())
    assert moved[1] > 1.5 * moved[0] > 0, (
        f"twice the learning rate moved the losses by {moved[1]}, once by {moved[0]}"
    )
    assert_close(moved[2], moved[0], problem.tolerance)


def check_descent(problem: Problem) -> None:
    """A small step lowers the mean training loss of its batch."""
    backend, batch = problem.backend, problem.batch()

    def loss(state: Any) -> float:
        if supports(backend, SupportsTrainingLosses):
            return float(numbers(backend.training_losses(state, batch, seed=0)).mean())
        return float(numbers(backend.forward(state, batch)).mean())

    state = backend.initial_state()
    after = backend.sgd_step(state, batch, lr=problem.lr, seed=0)
    assert loss(after) < loss(state)


def check_restart(problem: Problem) -> None:
    """A restart keeps parameters and buffers, and forgets the optimiser."""
    backend, everything = problem.backend, problem.everything()
    state = backend.initial_state()
    moved = problem.walk(state, 3)
    before = problem.observe(moved)
    fresh = backend.restart(moved)
    problem.assert_seen(moved, before)
    assert_close(
        backend.forward(fresh, everything), backend.forward(moved, everything), problem.tolerance
    )
    problem.assert_seen(backend.restart(fresh), problem.observe(fresh))
    # steps of size zero fill the optimiser's memory without moving a parameter
    used = backend.restart(problem.walk(state, 3, lr=0.0))
    expected = problem.settled_losses(problem.walk(state, 3))
    assert_close(problem.settled_losses(problem.walk(used, 3)), expected, problem.tolerance)


def check_threads(problem: Problem) -> None:
    """Two threads with one backend get the same results as one after the other."""
    backend = problem.backend

    def work(number: int) -> NDArray[np.float64]:
        state = backend.initial_state()
        for step in range(3):
            state = backend.sgd_step(
                state, problem.batch(number + step), lr=problem.lr, seed=number
            )
        return numbers(backend.forward(state, problem.everything())).copy()

    serial = [work(number) for number in range(4)]
    with ThreadPoolExecutor(2) as pool:
        for got, want in zip(pool.map(work, range(4)), serial, strict=True):
            assert_close(got, want, problem.tolerance)


LAWS = (
    check_contract,
    check_forward,
    check_samples_apart,
    check_initial_state,
    check_step_is_pure,
    check_seed,
    check_zero_lr,
    check_lr_matters,
    check_descent,
    check_restart,
    check_threads,
)
