"""Weights of members: from their deviations to influence.

The mean is I = E[Δ'Δ]. The ridge is I = E'ᵀ (D W Dᵀ + λ̄)⁻¹ D q: the influence function of
Gauss-Newton in the space that the members span. Members are few, so that it is noisy, and small
values are shrunk. Pure functions on arrays of any library that follows the Python array API
standard. Rows are members, columns are samples.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device

from gexcore.backend.protocols import Array

STRENGTH = 0.3
"""Strength λ of the ridge for members of any run. From 0.1 to 1 its choice matters little."""

COLD_STRENGTH = 0.01
"""Strength λ for members that are one step away from an anchor."""

SHRINKAGE = 6.0
"""Strength c of the shrinkage. Any number from 2 to 12 is nearly as good."""


def centring(groups: Array, count: int, like: Array) -> Array:
    """The matrix that subtracts the mean of each group of members, shape (members, members).

    Parameters
    ----------
    groups : integer array, shape (members,)
        Group 0 … count − 1 of each member.
    count : int
    like : array
        An array of the type and the device of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.weights import centring
    >>> centring(np.array([0, 0, 1]), 2, np.ones(1)) @ np.array([1.0, 3.0, 5.0])
    array([-1.,  1.,  0.])
    """
    xp = array_namespace(groups, like)
    numbers = xp.arange(count, dtype=groups.dtype, device=device(groups))
    member = xp.astype(groups[:, None] == numbers[None, :], like.dtype)
    share = member / xp.sum(member, axis=0)[None, :]
    eye = xp.eye(groups.shape[0], dtype=like.dtype, device=device(like))
    return eye - xp.matmul(share, xp.matrix_transpose(member))


def gram(dev: Array, weight: Array) -> Array:
    """D W Dᵀ of some samples, shape (members, members). Sums over disjoint samples add up.

    Parameters
    ----------
    dev : array, shape (members, samples)
    weight : array, shape (samples,)
    """
    xp = array_namespace(dev, weight)
    return xp.matmul(dev * weight[None, :], xp.matrix_transpose(dev))


def whitening(total: Array, *, samples: int, strength: float = STRENGTH) -> Array:
    """The root of (A + λ tr(A)/N)⁻¹, shape (members, members).

    The ridge is the product of whitened deviations: E'ᵀ RᵀR D q for the root R.

    Parameters
    ----------
    total : array, shape (members, members)
        A, the sum of `gram` over all samples.
    samples : int
        Number of samples N.
    strength : float
        λ, above 0. A large one gives the covariance of deviations, up to a factor.
    """
    xp: Any = array_namespace(total)
    eye = xp.eye(total.shape[0], dtype=total.dtype, device=device(total))
    trace = xp.sum(total * eye)
    # members that are all alike have no deviations, and any number does
    scale = xp.where(trace > 0, trace, xp.ones_like(trace))
    values, vectors = xp.linalg.eigh(total / scale)
    values = xp.where(values > 0, values, xp.zeros_like(values)) + strength / samples
    return xp.matrix_transpose(vectors / xp.sqrt(values * scale)[None, :])


def shrunk(influence: Array, tests: Array, train: Array, *, members: int, strength: float) -> Array:
    """Influence times ρ²/(ρ² + c/M): values within the noise of M members become nearly zero.

    ρ = I / (|e| |d|) is the cosine of the whitened deviations of a test and a training sample. If
    the two have nothing in common, ρ² is about 1/M. More members shrink less.

    Parameters
    ----------
    influence : array, shape (tests, samples)
        I, the product of whitened deviations.
    tests : array, shape (tests,)
        Their lengths |e|.
    train : array, shape (samples,)
        Their lengths |d|.
    members : int
        Number of members M.
    strength : float
        c, at least 0. Zero shrinks nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.deviations.weights import shrunk
    >>> shrunk(np.array([[1.0, 0.1]]), np.ones(1), np.ones(2), members=100, strength=4.0).round(3)
    array([[0.962, 0.02 ]])
    """
    xp = array_namespace(influence, tests, train)
    square = influence * influence
    noise = (strength / members * tests * tests)[:, None] * (train * train)[None, :]
    total = square + noise
    return influence * (square / xp.where(total > 0, total, xp.ones_like(total)))
