"""Settings under which the estimators do what the paper's public code does; those of scores are
tested beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.data import ArrayDataset
from gexcore.ensembles.kronecker import kronecker_posterior
from gexcore.errors import InvalidSettingError
from gexcore_numpy import NumpyBackend

QUIET = {"progress": False}


def test_its_loss_floor_is_of_the_base_alone(written: Any) -> None:
    settings = {"chains": 2, "snapshots": 2, "lr": 0.05, "steps_per_snapshot": 4, "batch_size": 7}
    plain, floored = (
        gx.GEX(**settings, floor=floor).fit(written.model, written.data, **QUIET)
        for floor in (0.0, 1.0)
    )
    assert (plain.checkpoint_losses < 1).any()
    assert (plain.checkpoint_losses > 1).any()
    wanted = ((plain.losses - np.maximum(plain.base_losses, 1.0)) ** 2).mean(axis=0)
    np.testing.assert_allclose(floored.self_influence(), wanted, rtol=1e-12)
    assert np.abs(plain.self_influence() - wanted).max() > 1e-3


def test_its_members_are_chained_and_have_the_floor() -> None:
    method, paper = gx.GEX.public_code(), gx.GEX.paper()
    assert (method.chains, method.snapshots, method.floor) == (8, 4, 0.05)
    assert (paper.chains, paper.snapshots, paper.floor) == (32, 1, 0.0)
    assert method.lr == paper.lr
    assert method.weight_decay == paper.weight_decay == 5e-4


def test_its_posterior_is_that_of_all_samples(convex: Any) -> None:
    backend, n, sigma, alpha = NumpyBackend(convex.model), 14, 0.3, 0.2
    method = gx.Laplace.public_code(n=n, sigma=sigma, alpha=alpha)
    data = ArrayDataset(*convex.data)
    posterior = kronecker_posterior(
        backend, backend.initial_state(), data, size=convex.size, batch_size=99, seed=None
    )
    (block,) = backend.kronecker(backend.initial_state(), convex.data, seed=None)
    fisher = np.kron(block.outputs, block.inputs)
    wanted = np.linalg.inv(n * fisher / sigma**2 + np.eye(len(fisher)) / alpha**2)
    rng = np.random.default_rng(0)
    moves = np.stack(
        [posterior.draw(rng, damping=method.damping, scale=method.scale) for _ in range(6000)]
    )
    rows = block.positions.ravel()
    found = (moves.T @ moves / len(moves))[np.ix_(rows, rows)]
    error = np.sqrt((np.outer(np.diag(wanted), np.diag(wanted)) + wanted**2) / len(moves))
    assert np.abs((found - wanted) / error).max() < 5
    default = gx.Laplace()
    assert (method.damping, method.scale) != (default.damping, default.scale)


def test_its_eigenvalues_are_the_largest_with_their_sign(written: Any) -> None:
    values, vectors = np.linalg.eigh(written.hessian)
    rank = int((np.abs(values) >= -values[0]).sum())  # as many as take in the lowest one by size
    kept = np.argsort(-values)[:rank]
    assert 0 not in kept
    projected = written.gradients @ vectors[:, kept]
    wanted = (projected / values[kept]) @ projected.T
    found = gx.Arnoldi.public_code(rank=rank).fit(written.model, written.data, **QUIET)
    np.testing.assert_allclose(found.influence(), wanted, rtol=1e-5, atol=1e-7)
    by_size = gx.Arnoldi(iterations=49, rank=rank).fit(written.model, written.data, **QUIET)
    assert np.abs(by_size.influence() - wanted).max() > 1e-2


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: gx.Arnoldi(order="up"), "order is 'up'; allowed are 'size' and 'value'"),
        (lambda: gx.Laplace.public_code(n=0), "n is 0, and must be a whole number from 1 up"),
        (
            lambda: gx.Laplace.public_code(n=9, sigma=0),
            "sigma is 0, and must be a finite number above 0",
        ),
    ],
)
def test_what_is_refused(make: Any, told: str) -> None:
    with pytest.raises(InvalidSettingError, match=told):
        make()
