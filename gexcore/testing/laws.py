"""Laws of deviations and of influence, for every array library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations import equation as dv
from gexcore.testing._hypothesis import st
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.law import TOLERANCE, Table, law
from gexcore.testing.strategies import loss_tables

FACTORS = st.floats(-3.0, 3.0, allow_subnormal=False)
TABLES = loss_tables(members=(2, 6), samples=(1, 9))
"""Tables whose first row holds the base losses."""


def check_gram_laws(xp: Any) -> None:
    """Influence is DᵀD/M.

    It is symmetric, positive semi-definite, of rank ≤ M, additive, and quadratic in the loss.

    Parameters
    ----------
    xp : array namespace
        Namespace in double precision, such as ``numpy``, ``array_api_strict`` or ``torch``.
    """

    @law(table=TABLES)
    def is_a_gram_matrix(table: Table) -> None:
        dev = dv.deviations(xp.asarray(table[1:]), xp.asarray(table[0]))
        result = dv.cross_influence(dev, dev)
        assert type(result) is type(dev)
        gram = numbers(result)
        assert_close(gram, _gram(table[1:] - table[0]), TOLERANCE)
        assert_close(gram, gram.T, TOLERANCE)
        eigenvalues = np.linalg.eigvalsh((gram + gram.T) / 2)
        noise = 1e-10 * max(1.0, float(eigenvalues[-1]))
        assert eigenvalues[0] >= -noise
        assert (eigenvalues > noise).sum() <= len(table) - 1
        assert_close(dv.self_influence(dev), np.diag(gram), TOLERANCE)

    @law(table=TABLES, cut=st.integers(0, 9), seed=st.integers(0, 99))
    def adds_over_samples(table: Table, cut: int, seed: int) -> None:
        dev = xp.asarray(table[1:] - table[0])
        gram = numbers(dv.cross_influence(dev, dev))
        cut = min(cut, dev.shape[1])
        blocks = [numbers(dv.cross_influence(dev, part)) for part in (dev[:, :cut], dev[:, cut:])]
        assert_close(np.concatenate(blocks, axis=1), gram, TOLERANCE)
        groups = np.random.default_rng(seed).integers(-1, 4, dev.shape[1])  # -1 and 3 are no groups
        summed = dv.cross_influence(dev, dv.group_deviations(dev, xp.asarray(groups), 3))
        wanted = np.stack([gram[:, groups == g].sum(axis=1) for g in range(3)], axis=1)
        assert_close(summed, wanted, TOLERANCE)

    @law(table=TABLES, factor=FACTORS, constants=st.integers(0, 99))
    def scales_and_shifts(table: Table, factor: float, constants: int) -> None:
        gram = _influence(xp, table)
        assert_close(_influence(xp, factor * table), factor**2 * gram, TOLERANCE)
        added = np.random.default_rng(constants).uniform(-5, 5, table.shape[1])
        assert_close(_influence(xp, table + added), gram, TOLERANCE)

    is_a_gram_matrix()
    adds_over_samples()
    scales_and_shifts()


def check_weight_laws(xp: Any) -> None:
    """Self-influence does not depend on the order of members; missing entries do not count."""

    @law(table=TABLES, seed=st.integers(0, 999), signed=st.booleans())
    def counts_weights_in_any_order(table: Table, seed: int, signed: bool) -> None:
        rng = np.random.default_rng(seed)
        dev = table[1:] - table[0]
        weights = rng.uniform(-1.0 if signed else 0.1, 1.0, len(dev))
        wanted = np.diag(_gram(dev, weights))
        assert_close(dv.self_influence(xp.asarray(dev), weights), wanted, TOLERANCE)
        order = rng.permutation(len(dev))
        other = dv.self_influence(xp.asarray(dev[order]), weights[order])
        assert_close(other, wanted, TOLERANCE)
        cross = dv.cross_influence(xp.asarray(dev), xp.asarray(dev), xp.asarray(weights))
        assert_close(cross, _gram(dev, weights), TOLERANCE)

    @law(table=TABLES, seed=st.integers(0, 999))
    def ignores_what_is_missing(table: Table, seed: int) -> None:
        seen = np.random.default_rng(seed).random(table[1:].shape) < 0.6
        losses = np.where(seen, table[1:], np.nan)
        got = dv.self_influence(dv.deviations(xp.asarray(losses), xp.asarray(table[0])))
        for sample, value in enumerate(numbers(got)):
            squares = (losses[seen[:, sample], sample] - table[0, sample]) ** 2
            if len(squares):
                assert_close(value, math.fsum(squares) / len(squares), TOLERANCE)
            else:
                assert math.isnan(value)

    counts_weights_in_any_order()
    ignores_what_is_missing()


def check_bounds(xp: Any) -> None:
    """The floor raises small base losses only; the ceiling lowers all large losses."""

    @law(
        table=TABLES,
        floor=st.floats(0.01, 2.0),
        above=st.one_of(st.just(math.inf), st.floats(0.01, 2.0)),
    )
    def holds(table: Table, floor: float, above: float) -> None:
        losses, base = xp.asarray(table[1:]), xp.asarray(table[0])
        top = floor + above
        bounded = [
            [
                min(loss, top) - min(max(b, floor), top)
                for loss, b in zip(row, table[0], strict=True)
            ]
            for row in table[1:]
        ]
        assert_close(dv.deviations(losses, base, floor=floor, ceiling=top), np.array(bounded), 0.0)
        assert_close(
            dv.deviations(losses - 9.0, base - 9.0), (table[1:] - 9.0) - (table[0] - 9.0), 0.0
        )

    holds()


def _influence(xp: Any, table: Table) -> NDArray[np.float64]:
    dev = dv.deviations(xp.asarray(table[1:]), xp.asarray(table[0]))
    return numbers(dv.cross_influence(dev, dev))


def _gram(dev: Table, weights: Table | None = None) -> Table:
    w = np.ones(len(dev)) if weights is None else weights
    pairs = [[math.fsum(w * a * b) for b in dev.T] for a in dev.T]
    return np.array(pairs) / math.fsum(np.abs(w))
