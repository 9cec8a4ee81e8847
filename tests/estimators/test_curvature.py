"""IF, Arnoldi and LiSSA against the inverse of a Hessian that is written out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.ensembles.krylov import arnoldi
from gexcore.ensembles.spectrum import Spectrum, full_spectrum
from gexcore.errors import InvalidSettingError
from gexcore_numpy import MLP

EXACT = {"rtol": 1e-8, "atol": 1e-10}
QUIET = {"progress": False}


def test_if_is_the_product_with_the_inverse_hessian(written: Any) -> None:
    found = gx.IF(damping=0.05, batch_size=5).fit(
        written.model, written.data, test=written.test, **QUIET
    )
    np.testing.assert_allclose(found.influence(), written.influence(0.05, test=True), **EXACT)
    np.testing.assert_allclose(found.influence(written.test), found.influence(), **EXACT)
    np.testing.assert_allclose(found.influence(written.data), written.influence(0.05), **EXACT)
    np.testing.assert_allclose(found.self_influence(), np.diag(written.influence(0.05)), **EXACT)
    assert np.isnan(found.standard_error()).all()


def test_if_knows_negative_curvature_and_weight_decay(written: Any) -> None:
    found = gx.IF(damping=0.02, weight_decay=0.03).fit(written.model, written.data, **QUIET)
    np.testing.assert_allclose(found.influence(), written.influence(0.05), **EXACT)
    values = np.linalg.eigvalsh(written.hessian)
    assert found.run.chosen["negative"] == (values + 0.05 < 0).sum() > 0
    assert found.run.chosen["largest"] == pytest.approx(values[-1] + 0.03)


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_a_rank_keeps_the_eigenvalues_that_are_largest_in_size(written: Any, rank: int) -> None:
    values, vectors = np.linalg.eigh(written.hessian)
    kept = np.argsort(-np.abs(values))[:rank]
    projected = written.gradients @ vectors[:, kept]
    wanted = (projected / (values[kept] + 0.05)) @ projected.T
    found = gx.IF(damping=0.05, rank=rank).fit(written.model, written.data, **QUIET)
    assert len(found.table) == rank
    np.testing.assert_allclose(found.influence(), wanted, **EXACT)
    # the same ones, found from products alone
    size = written.size
    method = gx.Arnoldi(iterations=size, rank=rank, damping=0.05)
    np.testing.assert_allclose(
        method.fit(written.model, written.data, **QUIET).influence(), wanted, rtol=1e-6, atol=1e-8
    )


def test_a_rank_of_everything_is_no_truncation(written: Any) -> None:
    full, truncated = (
        gx.IF(rank=r).fit(written.model, written.data, **QUIET) for r in (None, written.size)
    )
    np.testing.assert_array_equal(full.influence(), truncated.influence())


@pytest.mark.parametrize("problem", ["written", "convex"])
def test_arnoldi_of_the_whole_space_is_if_without_damping(problem: str, request: Any) -> None:
    given = request.getfixturevalue(problem)
    wanted = gx.IF(damping=0.0).fit(given.model, given.data, **QUIET).influence()
    found = gx.Arnoldi(iterations=10 * given.size, rank=given.size).fit(
        given.model, given.data, **QUIET
    )
    np.testing.assert_allclose(found.influence(), wanted, rtol=1e-5, atol=1e-7)
    # softmax has directions without curvature: the space is exhausted before p products
    assert found.run.passes.hvp < given.size * len(found)
    assert json.dumps(found.run.to_dict())


def test_few_iterations_find_the_dominant_eigenvalues(written: Any) -> None:
    spectrum = arnoldi(
        lambda v: written.hessian @ v, written.size, iterations=16, rng=np.random.default_rng(0)
    )
    values = np.linalg.eigvalsh(written.hessian)
    np.testing.assert_allclose(spectrum.values[0], values[np.abs(values).argmax()], rtol=1e-4)
    np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(16), atol=1e-10)


def test_a_space_that_is_exhausted_early_is_cut_there() -> None:
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    matrix = (basis[:, :3] * [2.0, -1.0, 0.5]) @ basis[:, :3].T
    products = []
    spectrum = arnoldi(
        lambda v: matrix @ v, 9, iterations=9, rng=rng, on_product=lambda: products.append(1)
    )
    assert len(spectrum.values) == 4
    assert len(products) == 5, "one more, from a new start, shows that nothing is left"
    np.testing.assert_allclose(spectrum.values[:3], [2.0, -1.0, 0.5], rtol=1e-10)
    moves, weights = spectrum.inverse()
    np.testing.assert_array_equal(weights, [1, -1, 1])
    np.testing.assert_allclose((moves.T * weights) @ moves / 3, np.linalg.pinv(matrix), atol=1e-10)


@pytest.mark.parametrize("copies", [1, 2, 3, 5])
def test_every_copy_of_an_eigenvalue_is_found(copies: int) -> None:
    """Squared errors of K outputs have each eigenvalue K times; one start finds one copy."""
    rng = np.random.default_rng(copies)
    values = np.repeat(0.7 ** np.arange(40), copies)
    basis = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    matrix = (basis * values) @ basis.T
    top = 4 * copies

    def found(starts: int, iterations: int = 14 * copies) -> Spectrum:
        return arnoldi(
            lambda v: matrix @ v, len(values), iterations=iterations, rng=rng, starts=starts
        ).top(top)

    blocked = found(copies)
    np.testing.assert_allclose(blocked.values, values[:top], rtol=1e-4)
    assert blocked.residuals is not None
    measured = np.linalg.norm(matrix @ blocked.vectors - blocked.vectors * blocked.values, axis=0)
    np.testing.assert_allclose(blocked.residuals, measured, atol=1e-9)
    assert found(copies, 3 * copies).residuals.max() > 10 * blocked.residuals.max()  # type: ignore[union-attr]
    if copies > 1:
        assert np.abs(found(1, 14).values[:top] - values[: len(found(1, 14).values)]).max() > 0.1


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_arnoldi_is_if_under_squared_errors_of_several_outputs(outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    x = rng.normal(size=(50, 6)) * 0.6 ** np.arange(6)
    y = rng.normal(size=(50, outputs))
    model = MLP([rng.normal(size=(6, outputs))], [np.zeros(outputs)])
    given = {"loss": "squared_error", **QUIET}
    wanted = gx.IF(rank=4 * outputs, damping=0.1).fit(model, (x, y), **given).influence()
    found = gx.Arnoldi(iterations=7 * outputs, rank=4 * outputs, damping=0.1).fit(
        model, (x, y), **given
    )
    np.testing.assert_allclose(found.influence(), wanted, rtol=1e-3, atol=1e-3 * wanted.max())
    assert found.run.chosen["residual"] < 1e-2
    if outputs > 1:
        single = gx.Arnoldi(iterations=7, rank=4 * outputs, damping=0.1, starts=1)
        other = single.fit(model, (x, y), **given).influence()
        assert np.trace(other) < 0.9 * np.trace(wanted)


def test_the_hessian_of_a_fixed_sample_is_that_of_these_samples(written: Any) -> None:
    method = gx.Arnoldi(iterations=99, rank=99, samples=5, seed=3, damping=0.1)
    one, same = (method.fit(written.model, written.data, **QUIET).influence() for _ in range(2))
    np.testing.assert_array_equal(one, same)
    found = gx.Arnoldi(iterations=99, rank=99, samples=5, seed=4, damping=0.1).fit(
        written.model, written.data, **QUIET
    )
    assert np.abs(found.influence() - one).max() > 1e-3


def test_sigma_points_and_draws_have_the_inverse_as_their_mean_square(convex: Any) -> None:
    spectrum = full_spectrum(lambda v: convex.hessian @ v, convex.size)
    moves, _ = spectrum.inverse(0.2)
    points = np.concatenate([moves, -moves])
    np.testing.assert_allclose(points.T @ points / len(points), convex.inverse(0.2), **EXACT)
    rng = np.random.default_rng(0)
    draws = np.stack([spectrum.draw(0.2, rng) for _ in range(4000)])
    error = np.abs(draws.T @ draws / 4000 - convex.inverse(0.2))
    spread = np.sqrt(2 / 4000) * np.abs(np.diag(convex.inverse(0.2))).max()
    assert error.max() < 5 * spread


def test_a_spectrum_orders_by_size() -> None:
    spectrum = Spectrum(np.array([0.1, -3.0, 2.0]), np.eye(3)).top(2)
    np.testing.assert_array_equal(spectrum.values, [-3.0, 2.0])
    np.testing.assert_array_equal(spectrum.vectors, np.eye(3)[:, 1:])


def test_lissa_solves_with_the_effective_damping(convex: Any) -> None:
    method = gx.LiSSA(depth=250, scale=2.0, damping=0.1, batch_size=14)
    solved = method.fit(convex.model, convex.data, test=convex.test, **QUIET)
    np.testing.assert_allclose(solved.influence(), convex.influence(0.2, test=True), **EXACT)
    new = (convex.data[0][:3], convex.data[1][:3])
    np.testing.assert_allclose(solved.influence(new), convex.influence(0.2)[:3], **EXACT)
    np.testing.assert_allclose(solved.self_influence(), np.diag(convex.influence(0.2)), **EXACT)
    assert "effective damping 0.2" in repr(solved)


def test_lissa_with_batches_comes_near_and_repeats_come_nearer(convex: Any) -> None:
    wanted = convex.influence(0.2, test=True)
    settings = {"depth": 80, "scale": 2.0, "damping": 0.1, "batch_size": 5}

    def error(**more: int) -> float:
        solved = gx.LiSSA(**settings, **more).fit(convex.model, convex.data, **QUIET)
        return float(np.abs(solved.influence(convex.test) - wanted).mean())

    alone = np.mean([error(seed=seed) for seed in range(6)])
    assert error(repeats=24) < 0.5 * alone < 0.1 * np.abs(wanted).mean()


def test_lissa_that_diverges_says_so(written: Any, convex: Any) -> None:
    largest = np.linalg.eigvalsh(convex.hessian)[-1]
    solved = gx.LiSSA(depth=400, scale=0.45 * largest, damping=0.0, batch_size=99).fit(
        convex.model, convex.data, **QUIET
    )
    with pytest.raises(
        InvalidSettingError,
        match=r"LiSSA diverges at step .* raise scale, or damping where they are",
    ):
        solved.influence()
    negative = gx.LiSSA(depth=4000, scale=1.0, damping=0.0, batch_size=99).fit(
        written.model, written.data, **QUIET
    )
    with pytest.raises(InvalidSettingError, match="LiSSA diverges at step"):
        negative.self_influence()
