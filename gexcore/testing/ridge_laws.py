"""Laws of the ridge over members, for every array library."""

from __future__ import annotations

from typing import Any

import numpy as np

from gexcore.deviations import weights as w
from gexcore.testing._hypothesis import st
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.law import Table, law


def check_ridge_laws(xp: Any) -> None:
    """The ridge over members is the influence function of Gauss-Newton in the space they span.

    It does not change with what all members of a group share, with their order, or with another
    base of their space. It adds up over samples. A large strength gives the covariance. A sample
    that pulls an output up has a positive influence on that output. Shrinkage brings influences of
    few members nearer to those of many.

    Parameters
    ----------
    xp : array namespace
        Namespace in double precision with the extension ``linalg``.
    """

    @law(seed=st.integers(0, 999), strength=st.sampled_from([1e-9, 0.3, 10.0]))
    def is_gauss_newton_in_the_span(seed: int, strength: float) -> None:
        made = _Linear(seed)
        dev, weight = made.moves @ made.train.T, made.weight
        got = _ridge(xp, made.moves @ made.tests.T, dev, weight, strength)
        total = np.trace(dev @ np.diag(weight) @ dev.T) * strength / dev.shape[1]
        spread = np.linalg.inv(made.moves.T @ made.moves)
        hessian = made.train.T @ np.diag(weight) @ made.train
        wanted = made.tests @ np.linalg.inv(hessian + total * spread) @ made.train.T
        assert_close(got, wanted, 1e-6)
        exact = made.tests @ np.linalg.inv(hessian) @ made.train.T
        near = np.abs(got - exact).max() < 1e-3 * np.abs(exact).max()
        assert near == (strength < 1e-6)  # strong ridges are controls
        fewer = _ridge(xp, made.moves[:2] @ made.tests.T, dev[:2], weight, strength)
        assert not np.allclose(fewer, exact, rtol=1e-3)

    @law(seed=st.integers(0, 999), shift=st.floats(0.5, 9.0))
    def knows_no_shared_part_and_no_order(seed: int, shift: float) -> None:
        rng = np.random.default_rng(seed)
        train, tests = rng.normal(size=(6, 9)), rng.normal(size=(6, 3))
        groups, weight = np.array([0, 1, 0, 1, 1, 0]), rng.uniform(0.1, 1.0, 9)
        plain = _centred_ridge(xp, tests, train, groups, weight)
        by_group = shift * rng.normal(size=(2, 9))
        assert_close(
            _centred_ridge(xp, tests, train + by_group[groups], groups, weight), plain, 1e-8
        )
        order = rng.permutation(6)
        again = _centred_ridge(xp, tests[order], train[order], groups[order], weight)
        assert_close(again, plain, 1e-9)
        alone = shift * (np.arange(6) == 0)[:, None] * rng.normal(size=9)
        other = _centred_ridge(xp, tests, train + alone, groups, weight)
        assert not np.allclose(other, plain, rtol=1e-3)  # what one member has alone does count

    @law(seed=st.integers(0, 999))
    def becomes_the_covariance(seed: int) -> None:
        rng = np.random.default_rng(seed)
        dev, tests = (
            each - each.mean(axis=0) for each in (rng.normal(size=(5, 9)), rng.normal(size=(5, 3)))
        )
        got = _ridge(xp, tests, dev, np.ones(9), 1e9)
        covariance = tests.T @ dev
        scale = np.vdot(got, covariance) / np.vdot(covariance, covariance)
        assert scale > 0
        assert_close(got / scale, covariance, 1e-6)
        soft = _ridge(xp, tests, dev, np.ones(9), 1e-3)
        scale = np.vdot(soft, covariance) / np.vdot(covariance, covariance)
        assert not np.allclose(soft / scale, covariance, rtol=1e-3)

    @law(seed=st.integers(0, 999), strength=st.sampled_from([1e-3, 0.3, 10.0]))
    def helps_itself(seed: int, strength: float) -> None:
        dev = np.random.default_rng(seed).normal(size=(5, 9))
        assert (np.diag(_ridge(xp, dev, dev, np.ones(9), strength)) > 0).all()
        assert (np.diag(_ridge(xp, -dev, dev, np.ones(9), strength)) < 0).all()

    @law(seed=st.integers(0, 999), cut=st.integers(1, 8))
    def adds_up_over_samples(seed: int, cut: int) -> None:
        rng = np.random.default_rng(seed)
        dev, tests, weight = (
            rng.normal(size=(5, 9)),
            rng.normal(size=(5, 3)),
            rng.uniform(0.1, 1, 9),
        )
        whole = _gram(xp, dev, weight)
        parts = _gram(xp, dev[:, :cut], weight[:cut]), _gram(xp, dev[:, cut:], weight[cut:])
        assert_close(parts[0] + parts[1], whole, 1e-10)
        twice = _gram(xp, dev[:, : cut + 1], weight[: cut + 1]) + parts[1]
        assert not np.allclose(twice, whole, rtol=1e-6)  # a sample that counts twice
        order = rng.permutation(9)
        plain = _ridge(xp, tests, dev, weight, 0.3)
        assert_close(_ridge(xp, tests, dev[:, order], weight[order], 0.3), plain[:, order], 1e-9)
        mixed = _ridge(xp, tests, dev[:, order], weight, 0.3)
        assert (order == np.arange(9)).all() or not np.allclose(mixed, plain[:, order], rtol=1e-6)

    @law(seed=st.integers(0, 999), members=st.sampled_from([20, 80]))
    def shrinkage_removes_noise(seed: int, members: int) -> None:
        rng = np.random.default_rng(seed)
        tests, train = rng.normal(size=(40, 400)), rng.normal(size=(60, 400))
        train[:6] += tests[:6]
        moves = rng.normal(size=(members, 400))
        reactions = [moves @ each.T / np.sqrt(members) for each in (tests, train)]
        found, wanted = reactions[0].T @ reactions[1], tests @ train.T
        lengths = [np.linalg.norm(each, axis=0) for each in reactions]
        ours = _shrunk(xp, found, lengths, members, 6.0)
        assert (
            np.corrcoef(ours.ravel(), wanted.ravel())[0, 1]
            > (np.corrcoef(found.ravel(), wanted.ravel())[0, 1])
        )
        assert (np.abs(ours) <= np.abs(found)).all()
        assert (ours * found >= 0).all()
        assert_close(_shrunk(xp, found, lengths, members, 0.0), found, 1e-12)
        assert_close(_shrunk(xp, found, lengths, 10**12, 6.0), found, 1e-4)
        scaled = _shrunk(xp, 3 * found, [3 * lengths[0], lengths[1]], members, 6.0)
        assert_close(scaled, 3 * ours, 1e-9)
        mixed = _shrunk(xp, found, [lengths[0], 1e3 * lengths[1]], members, 6.0)
        assert not np.allclose(mixed, ours, rtol=1e-3)  # lengths in another unit

    is_gauss_newton_in_the_span()
    knows_no_shared_part_and_no_order()
    becomes_the_covariance()
    helps_itself()
    adds_up_over_samples()
    shrinkage_removes_noise()


class _Linear:
    """A model with linear outputs, and Gaussian moves of its parameters that span their space."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.train, self.tests = rng.normal(size=(12, 3)), rng.normal(size=(4, 3))
        self.weight = rng.uniform(0.2, 1.0, 12)
        self.moves = rng.normal(size=(8, 3)) @ np.diag([0.5, 1.0, 2.0])


def _gram(xp: Any, dev: Table, weight: Table) -> Table:
    return numbers(w.gram(xp.asarray(np.ascontiguousarray(dev)), xp.asarray(weight)))


def _ridge(xp: Any, tests: Table, dev: Table, weight: Table, strength: float) -> Table:
    given = xp.asarray(np.ascontiguousarray(dev))
    total = w.gram(given, xp.asarray(weight))
    root = w.whitening(total, samples=dev.shape[1], strength=strength)
    left = xp.matmul(root, xp.asarray(np.ascontiguousarray(tests)))
    return numbers(xp.matmul(left.T, xp.matmul(root, given)))


def _shrunk(xp: Any, found: Table, lengths: list[Table], members: int, strength: float) -> Table:
    given = [xp.asarray(np.ascontiguousarray(each)) for each in (found, *lengths)]
    return numbers(w.shrunk(*given, members=members, strength=strength))


def _centred_ridge(xp: Any, tests: Table, dev: Table, groups: Any, weight: Table) -> Table:
    matrix = w.centring(xp.asarray(groups), 2, xp.asarray(dev))
    moved = [numbers(xp.matmul(matrix, xp.asarray(each))) for each in (tests, dev)]
    return _ridge(xp, moved[0], moved[1], weight, 0.3)
