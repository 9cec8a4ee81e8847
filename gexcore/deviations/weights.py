"""Weights of members: from their deviations to influence.

The mean is I = E[Δ'Δ]. The ridge is I = E'ᵀ (D W Dᵀ + λ̄)⁻¹ D q: the influence function of
Gauss-Newton in the space that the members span. Pure functions on arrays of any library that
follows the Python array API standard. Rows are members, columns are samples.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device

from gexcore.backend.protocols import Array

STRENGTH = 0.3
"""Strength λ of the ridge for members of any run. From 0.1 to 1 its choice matters little."""

COLD_STRENGTH = 0.03
"""Strength λ for members that are one step away from an anchor."""


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


def ridge(total: Array, *, samples: int, strength: float = STRENGTH) -> Array:
    """(A + λ tr(A)/N)⁻¹, shape (members, members).

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
    members = total.shape[0]
    eye = xp.eye(members, dtype=total.dtype, device=device(total))
    trace = xp.sum(total * eye)
    # members that are all alike have no deviations, and any number does
    scale = xp.where(trace > 0, trace, xp.ones_like(trace))
    inverse = xp.linalg.inv(total / scale + strength / samples * eye)
    return (inverse + xp.matrix_transpose(inverse)) / (2.0 * scale)
