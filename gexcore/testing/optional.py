"""Laws of optional capabilities, skipped for a backend without them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.data import targets_of
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    SupportsBufferRefresh,
    SupportsDonation,
    SupportsEnsemble,
    SupportsLogits,
    SupportsOptimizer,
    SupportsParams,
    SupportsPartLosses,
    SupportsReading,
    SupportsTrainingLosses,
)
from gexcore.testing._hypothesis import SEEDS, law, pytest
from gexcore.testing.checks import require
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.problems import Problem


def check_donated_step(problem: Problem) -> None:
    """Steps in place equal other steps, and return the training losses from before each step."""
    require(problem, SupportsDonation)
    backend: Any = problem.backend
    start = backend.initial_state()
    state = backend.copy(start)
    for step in range(3):
        batch, before = problem.batch(step), backend.copy(state)
        state, losses = backend.sgd_step_(state, batch, lr=problem.lr, seed=step)
        assert numbers(losses).shape == (problem.batch_size,)
        if supports(backend, SupportsTrainingLosses):
            assert_close(
                losses, backend.training_losses(before, batch, seed=step), problem.tolerance
            )
        problem.assert_seen(state, problem.observe(problem.walk(start, step + 1)))


def check_copy(problem: Problem) -> None:
    """A copy equals its state, and stepping one of them does not change the other."""
    require(problem, SupportsDonation)
    backend: Any = problem.backend
    state = problem.walk(backend.initial_state(), 2)
    before = problem.observe(state)
    copied = backend.copy(state)
    problem.assert_seen(copied, before)
    flat = backend.ravel(copied) if supports(backend, SupportsParams) else None
    given, losses = backend.sgd_step_(copied, problem.batch(), lr=problem.lr, seed=0)
    told = numbers(losses).copy()
    backend.sgd_step_(given, problem.batch(1), lr=problem.lr, seed=1)
    problem.assert_seen(state, before)
    assert_close(losses, told, 0.0)
    if flat is not None:
        assert_close(flat, backend.ravel(state), problem.tolerance)
    kept = backend.copy(state)
    backend.sgd_step_(backend.copy(kept), problem.batch(), lr=problem.lr, seed=0)
    backend.sgd_step_(state, problem.batch(), lr=problem.lr, seed=0)
    problem.assert_seen(kept, before)
    start = problem.observe(backend.initial_state())
    backend.sgd_step_(backend.copy(backend.initial_state()), problem.batch(), lr=problem.lr, seed=0)
    problem.assert_seen(backend.initial_state(), start)


def check_training_losses(problem: Problem) -> None:
    """One finite loss per sample, equal for equal seeds, without a change of the state."""
    require(problem, SupportsTrainingLosses)
    backend: Any = problem.backend
    state = problem.walk(backend.initial_state(), 2)
    before = problem.observe(state)
    losses = numbers(backend.training_losses(state, problem.batch(), seed=5)).copy()
    assert losses.shape == (problem.batch_size,)
    assert np.isfinite(losses).all()
    assert_close(backend.training_losses(state, problem.batch(), seed=5), losses, problem.tolerance)
    problem.assert_seen(state, before)
    if problem.stochastic:
        other = numbers(backend.training_losses(state, problem.batch(), seed=6))
        assert np.abs(other - losses).max() > 100 * problem.tolerance, "two seeds gave one result"


def check_refresh(problem: Problem) -> None:
    """Statistics come from the batches alone, which count equally; nothing else changes."""
    require(problem, SupportsBufferRefresh)
    backend: Any = problem.backend
    state = backend.initial_state()
    one, two = problem.batch(0), problem.batch(1)

    def losses(state: Any, *batches: Any) -> NDArray[np.float64]:
        return numbers(
            backend.forward(backend.refresh_buffers(state, list(batches)), problem.everything())
        ).copy()

    before = problem.observe(state)
    expected = losses(state, one, two)
    problem.assert_seen(state, before)
    assert_close(losses(state, two, one), expected, problem.tolerance)
    assert_close(losses(state, one, two, one, two), expected, problem.tolerance)
    # steps of size zero change only the stored statistics
    assert_close(losses(problem.walk(state, 2, lr=0.0), one, two), expected, problem.tolerance)
    assert np.abs(losses(state, one) - losses(state, two)).max() > 100 * problem.tolerance, (
        "the batches had no effect"
    )
    refreshed = backend.refresh_buffers(state, [one])
    if supports(backend, SupportsParams):
        assert_close(backend.ravel(refreshed), backend.ravel(state), 0.0)


def check_refresh_is_of_the_batch(problem: Problem) -> None:
    """After a refresh from a batch, evaluation on that batch is what training mode shows of it.

    The stored variance may be biased or unbiased, so the law is a rough one. Only a share 1 − m of
    the batch's mean and variance breaks it.
    """
    require(problem, SupportsBufferRefresh, SupportsTrainingLosses)
    if problem.stochastic:
        pytest.skip("training mode is random in this problem, and evaluation mode is not")
    backend: Any = problem.backend
    state, batch = problem.walk(backend.initial_state(), 2), problem.everything()
    trained = numbers(backend.training_losses(state, batch, seed=0))
    found = numbers(backend.forward(backend.refresh_buffers(state, [batch]), batch))
    apart = np.abs(found - trained).mean()
    assert apart < 0.1 * trained.std(), (
        f"evaluation after a refresh is {apart} from training mode on the same batch"
    )


def check_refresh_keeps_optimizer(problem: Problem) -> None:
    """A refresh in the middle of a chain does not change the optimiser's memory."""
    require(problem, SupportsBufferRefresh)
    backend: Any = problem.backend
    state = problem.walk(backend.initial_state(), 3)
    refreshed = backend.refresh_buffers(state, [problem.batch()])
    expected = problem.settled_losses(problem.walk(state, 2))
    assert_close(problem.settled_losses(problem.walk(refreshed, 2)), expected, problem.tolerance)


def check_logits(problem: Problem) -> None:
    """One row of finite scores per sample, whose cross-entropy is the loss."""
    require(problem, SupportsLogits)
    backend: Any = problem.backend
    state, batch = problem.walk(backend.initial_state(), 2), problem.everything()
    scores = numbers(backend.logits(state, batch))
    assert scores.ndim == 2
    assert len(scores) == len(problem.dataset)
    assert np.isfinite(scores).all()
    labels = targets_of(batch)
    if not problem.classifies or labels is None or labels.ndim != 1:
        pytest.skip("the losses are not the cross-entropy of hard labels in this problem")
    log_p = scores - scores.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    expected = -log_p[np.arange(len(labels)), labels.astype(np.intp)]
    assert_close(backend.forward(state, batch), expected, problem.tolerance)


def check_part_losses(problem: Problem) -> None:
    """Losses of parts are the targets' own: they add up to the sample's loss, or are its mean.

    They follow the samples of a batch, and leave the state alone.
    """
    require(problem, SupportsPartLosses)
    backend: Any = problem.backend
    state, batch = problem.walk(backend.initial_state(), 2), problem.everything()
    before = problem.observe(state)
    parts, losses = (
        numbers(backend.part_losses(state, batch)),
        numbers(backend.forward(state, batch)),
    )
    assert parts.shape[:1] == losses.shape
    targets = targets_of(batch)
    if parts.ndim > 1 and targets is not None:
        assert parts.size == targets.size
    known = np.isfinite(parts).reshape(len(parts), -1)
    total = np.where(known, parts.reshape(known.shape), 0.0).sum(axis=1)
    mean = total / np.maximum(1, known.sum(axis=1))
    apart = min(np.abs(total - losses).max(), np.abs(mean - losses).max())
    assert apart <= 10 * problem.tolerance, (
        f"parts neither add up to the losses nor average to them: {apart}"
    )
    order = np.arange(len(parts))[::-1]
    turned = numbers(backend.part_losses(state, problem.dataset.batch(order)))
    assert_close(turned, parts[order], problem.tolerance)
    problem.assert_seen(state, before)


def check_params(problem: Problem) -> None:
    """`unravel` takes the result of `ravel`, and makes a state with a fresh optimiser."""
    require(problem, SupportsParams)
    backend: Any = problem.backend
    start = backend.initial_state()
    state = problem.walk(start, 2)
    before = problem.observe(state)
    here = numbers(backend.ravel(state))
    assert here.ndim == 1
    used = problem.walk(start, 3, lr=0.0)
    expected = problem.settled_losses(problem.walk(start, 2))
    fresh = backend.unravel(used, backend.ravel(start))
    assert_close(problem.settled_losses(problem.walk(fresh, 2)), expected, problem.tolerance)
    assert_close(
        backend.forward(fresh, problem.everything()),
        backend.forward(used, problem.everything()),
        problem.tolerance,
    )

    @law(seed=SEEDS)
    def holds(seed: int) -> None:
        flat = here + np.random.default_rng(seed).normal(size=here.shape)
        moved = backend.unravel(state, flat)
        flat_before = flat.copy()
        flat += 1.0
        assert_close(backend.ravel(moved), flat_before, problem.tolerance)

    holds()
    problem.assert_seen(state, before)


def check_ensemble(problem: Problem) -> None:
    """Stacked states give the losses of each state in order, and do not change."""
    require(problem, SupportsEnsemble)
    backend: Any = problem.backend
    walked = [problem.walk(backend.initial_state(), steps) for steps in (0, 4, 2)]
    expected = np.stack([numbers(backend.forward(state, problem.everything())) for state in walked])
    before = [problem.observe(state) for state in walked]
    stacked = backend.stack(walked)
    assert_close(backend.forward_many(stacked, problem.everything()), expected, problem.tolerance)
    assert_close(
        backend.forward_many(stacked, problem.batch()),
        expected[:, : problem.batch_size],
        problem.tolerance,
    )
    assert_close(backend.forward_many(stacked, problem.everything()), expected, problem.tolerance)
    for state, seen in zip(walked, before, strict=True):
        problem.assert_seen(state, seen)


def check_another_optimizer(problem: Problem) -> None:
    """A backend with another optimiser has the same θ*, steps by it, and leaves the first alone."""
    require(problem, SupportsOptimizer)
    require(problem, SupportsParams)
    backend: Any = problem.backend
    start, decay = backend.initial_state(), 0.5
    before = problem.observe(problem.walk(start, 2))
    plain = backend.with_optimizer(Optimizer(momentum=0.0))
    decaying = backend.with_optimizer(Optimizer(momentum=0.0, weight_decay=decay))
    theta = numbers(backend.ravel(start))
    assert_close(plain.ravel(plain.initial_state()), theta, problem.tolerance)
    one, two = (
        numbers(
            other.ravel(
                other.sgd_step(other.initial_state(), problem.batch(), lr=problem.lr, seed=0)
            )
        )
        for other in (plain, decaying)
    )
    # plain SGD adds decay · θ to the gradient: the two steps differ by that alone
    assert_close(one - two, problem.lr * decay * theta, 10 * problem.tolerance)
    problem.assert_seen(problem.walk(start, 2), before)


def check_reading(problem: Problem) -> None:
    """A model that returns scores is read as it is; nothing is read twice or changed."""
    require(problem, SupportsReading)
    backend: Any = problem.backend
    state, batch = backend.initial_state(), problem.everything()
    expected = numbers(backend.forward(state, batch)).copy()
    once = backend.reading(batch)
    for reader in (once, once.reading(batch), backend):
        start = reader.initial_state()
        assert_close(reader.forward(start, batch), expected, problem.tolerance)


LAWS = (
    check_reading,
    check_another_optimizer,
    check_donated_step,
    check_copy,
    check_training_losses,
    check_refresh,
    check_refresh_is_of_the_batch,
    check_refresh_keeps_optimizer,
    check_logits,
    check_part_losses,
    check_params,
    check_ensemble,
)
