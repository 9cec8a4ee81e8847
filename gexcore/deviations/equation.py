"""One equation: influence is a mean, over members, of products of loss deviations.

Pure functions on arrays of any library that follows the Python array API standard. Rows are
members, columns are samples; a missing entry (a member that did not see the sample) is NaN.
"""

from __future__ import annotations

import math
from typing import Any

from array_api_compat import array_namespace

from gexcore.backend.protocols import Array


def deviations(
    losses: Array, base_losses: Array, *, floor: float = 0.0, ceiling: float = math.inf
) -> Array:
    """Δ = min(ℓ(z, ψ), ceiling) − min(max(ℓ(z, θ*), floor), ceiling), shape (members, samples).

    Parameters
    ----------
    losses : array, shape (members, samples)
    base_losses : array, shape (samples,)
    floor : float
        Lower bound of the base loss. 0 means none, as in the paper's equations (losses may then be
        negative). The paper's public code uses 0.05. It distorts scores if members hardly
        moved.
    ceiling : float
        Upper bound of every loss. Infinity means none, as in the paper's equations. A bound keeps
        the squares of a few exploding losses from deciding a mean.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.equation import deviations
    >>> deviations(np.array([[1.0, 0.5]]), np.array([0.25, 0.01]), floor=0.05)
    array([[0.75, 0.45]])
    """
    xp = array_namespace(losses, base_losses)
    if floor:
        base_losses = xp.where(base_losses < floor, xp.full_like(base_losses, floor), base_losses)
    if ceiling < math.inf:
        losses, base_losses = (
            xp.where(x > ceiling, xp.full_like(x, ceiling), x) for x in (losses, base_losses)
        )
    return losses - base_losses


def self_influence(dev: Array, weights: Any = None) -> Array:
    """I(z, z) = Σ_m w_m Δ_m(z)² / Σ_m |w_m| (paper Eq. 10), shape (samples,).

    NaN for a sample that no member saw.
    """
    xp = array_namespace(dev)
    members = dev.shape[:1]
    factors = (
        xp.ones(members, dtype=dev.dtype, device=_device(dev))
        if weights is None
        else xp.asarray(weights, dtype=dev.dtype, device=_device(dev))
    )
    seen = ~xp.isnan(dev)
    square = dev * dev
    if weights is not None:
        square = factors[:, None] * square
    if bool(xp.all(seen)):  # the usual case, with a third of the work
        total = xp.sum(xp.abs(factors))
        return xp.sum(square, axis=0) / xp.where(total > 0, total, xp.full_like(total, xp.nan))
    counted = xp.astype(seen, dev.dtype) * xp.abs(factors)[:, None]
    known = xp.sum(xp.where(seen, square, xp.zeros_like(dev)), axis=0)
    total = xp.sum(counted, axis=0)
    return known / xp.where(total > 0, total, xp.full_like(total, xp.nan))


def cross_influence(dev_test: Array, dev_train: Array, weights: Array | None = None) -> Array:
    """I(z', z) = Σ_m w_m Δ_m(z') Δ_m(z) / Σ_m |w_m|, shape (tests, samples).

    Parameters
    ----------
    dev_test, dev_train : array, shapes (members, tests) and (members, samples)
        Deviations of the same members, without missing entries.
    weights : array, shape (members,), optional
        Weights of the members. Equal by default.
    """
    xp = array_namespace(dev_test, dev_train)
    if weights is None:
        scaled = dev_test / dev_test.shape[0]
    else:
        scaled = dev_test * (weights / xp.sum(xp.abs(weights)))[:, None]
    return xp.matmul(xp.matrix_transpose(scaled), dev_train)


def group_deviations(dev: Array, groups: Array, count: int) -> Array:
    """Deviations summed over each group, shape (members, count).

    Parameters
    ----------
    dev : array, shape (members, samples)
    groups : integer array, shape (samples,)
        Group 0 … count − 1 of each sample. Any other number means no group.
    """
    xp = array_namespace(dev, groups)
    columns = [
        xp.sum(xp.where((groups == g)[None, :], dev, xp.zeros_like(dev)), axis=1)
        for g in range(count)
    ]
    return xp.stack(columns, axis=1)


def _device(array: Array) -> Any:
    from array_api_compat import device

    return device(array)
