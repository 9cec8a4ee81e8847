"""Normality of gradients along random directions (paper Section 3, Fig. 1a)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gexcore.backend.capabilities import require
from gexcore.backend.protocols import Floats, SupportsParams
from gexcore.errors import InvalidDataError
from gexcore.evaluation.derivatives import directional
from gexcore.evaluation.opening import opened
from gexcore.settings import check_count


class Normality(NamedTuple):
    """Distances of one sample of numbers from a normal distribution.

    Parameters
    ----------
    distance : float
        Kolmogorov–Smirnov distance to the normal distribution of the same mean and deviation, from
        0 to 1.
    skewness, excess_kurtosis : float
        Skewness and kurtosis, both 0 for a normal distribution. Heavy tails have a positive
        kurtosis.
    mean, deviation : float
        Estimated mean and deviation, the latter with n − 1.
    """

    distance: float
    skewness: float
    excess_kurtosis: float
    mean: float
    deviation: float


def projected_gradients(
    model: Any,
    data: Any,
    *,
    directions: int = 5,
    loss: str | Callable[..., Any] | None = None,
    backend: str | None = None,
    batch_size: int = 512,
    seed: int = 0,
) -> Floats:
    """Components g·d of every sample's gradient along random unit vectors d (Fig. 1a).

    Directions are uniform on the sphere. The function uses gradients of samples, directional
    derivatives, or central differences of forward passes, as the backend has them.

    Parameters
    ----------
    model, data, loss, backend
        The arguments of `gexcore.GEX.fit`.
    directions : int
        Number of directions. The paper takes five.
    batch_size : int
        Samples per derivative call.
    seed : int
        Seed of the directions.

    Returns
    -------
    array, shape (directions, samples)
        Components, in units of the loss per unit of parameter distance.

    Raises
    ------
    MissingCapabilityError
        If the backend's parameters are no flat vector.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.theory import projected_gradients
    >>> from gexcore_numpy import MLP
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(200, 5)), rng.integers(0, 2, 200)
    >>> components = projected_gradients(MLP.init((5, 50, 2), seed=0), (x, y), directions=3)
    >>> components.shape
    (3, 200)
    """
    check_count("directions", directions, auto=False)
    given = opened(model, data, loss=loss, backend=backend)
    require(given.backend, SupportsParams, by="projected_gradients")
    state = given.backend.initial_state()
    drawn = np.random.default_rng([seed, 0x0F]).normal(size=(directions, given.size))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return directional(given.backend, [state], drawn, given.data, batch_size=batch_size)


def normality(values: Any) -> Normality:
    """Distance from the normal distribution with the sample's own mean and deviation.

    There is no p-value. The Kolmogorov–Smirnov test is invalid with an estimated mean and deviation
    (Lilliefors). A *small* p-value would speak against normality, but the paper reads it as
    support. A normal sample of n numbers has a distance of about 0.6 / √n. 95 % of such samples
    stay below 0.9 / √n.

    Parameters
    ----------
    values : array, shape (n,)
        Finite numbers, not all equal.

    Raises
    ------
    InvalidDataError
        If values are not finite, or all equal.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.theory import normality
    >>> rng = np.random.default_rng(0)
    >>> round(normality(rng.normal(size=1000)).distance, 3)
    0.016
    >>> round(normality(rng.standard_cauchy(1000)).distance, 3)
    0.384
    """
    x = finite_row(values)
    n, mean = len(x), float(x.mean())
    centred = x - mean
    second = float((centred**2).mean())
    if n < 3 or not second > 0:
        raise InvalidDataError(
            f"{n} values with a variance of {second:g} have no shape; give at least 3, not "
            "all equal"
        )
    deviation = math.sqrt(second * n / (n - 1))
    expected = normal_cdf(np.sort(centred) / deviation)
    steps = np.arange(n + 1) / n
    distance = max(float((steps[1:] - expected).max()), float((expected - steps[:-1]).max()))
    skewness, kurtosis = (
        float((centred**power).mean() / second ** (power / 2)) for power in (3, 4)
    )
    return Normality(distance, skewness, kurtosis - 3.0, mean, deviation)


def normal_cdf(x: Floats) -> Floats:
    """The standard normal distribution function."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x.tolist()])


def finite_row(values: Any) -> Floats:
    """One row of finite numbers.

    Raises
    ------
    InvalidDataError
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise InvalidDataError(
            f"values of shape {x.shape} are no row of finite numbers; leave out what is missing"
        )
    return x
