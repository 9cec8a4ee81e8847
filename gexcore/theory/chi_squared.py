"""The generalised χ² distribution of gᵀMg for normal gradients (Prop. 3.1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Floats
from gexcore.errors import InvalidDataError, InvalidSettingError

NODES = 200
REACH = 16
"""Length of the contour, in widths of the saddle."""
NEGLIGIBLE = 1e-12
"""Share of the largest weight below which a weight counts as zero."""


@dataclass(frozen=True, eq=False)
class GeneralizedChiSquared:
    """Σ wᵢ (Zᵢ + bᵢ)² with independent standard normal Zᵢ and positive weights wᵢ.

    Self-influence gᵀMg has this distribution for normal g and positive semi-definite M: see
    `from_gaussian`. With all bᵢ = 0 it has one mode. A large bᵢ can add a mode: one term with b = 3
    has a pole at 0 and a mode inside. So "unimodal" in Prop. 3.1 needs gradients whose mean is
    zero. The weights of the paper's proof (Section B.1) leave out the eigenvalues of M.

    Parameters
    ----------
    weights : array, shape (T,)
        Positive weights wᵢ.
    offsets : array, shape (T,), optional
        Offsets bᵢ. Zero by default.

    Raises
    ------
    InvalidSettingError
        If there are no weights, a weight is not positive and finite, or offsets differ in number.

    Examples
    --------
    >>> from gexcore.theory import GeneralizedChiSquared
    >>> exponential = GeneralizedChiSquared([0.5, 0.5])
    >>> exponential.mean, exponential.variance
    (1.0, 1.0)
    >>> exponential.cdf([0.0, 1.0, 2.0]).round(4)
    array([0.    , 0.6321, 0.8647])
    """

    weights: Floats
    offsets: Floats

    def __init__(self, weights: Any, offsets: Any = None) -> None:
        w = np.asarray(weights, dtype=np.float64)
        b = np.zeros(w.shape) if offsets is None else np.asarray(offsets, dtype=np.float64)
        if w.ndim != 1 or not len(w) or not (np.isfinite(w) & (w > 0)).all():
            raise InvalidSettingError(
                f"weights of shape {w.shape} are no row of positive numbers; leave zeros out"
            )
        if b.shape != w.shape or not np.isfinite(b).all():
            raise InvalidSettingError(
                f"offsets of shape {b.shape} do not fit {len(w)} weights; give one finite "
                "number each"
            )
        object.__setattr__(self, "weights", w)
        object.__setattr__(self, "offsets", b)

    @classmethod
    def from_gaussian(cls, covariance: Any, matrix: Any, mean: Any = None) -> GeneralizedChiSquared:
        """The distribution of gᵀMg for g ∼ N(μ, Σ).

        Parameters
        ----------
        covariance : array, shape (p, p)
            Covariance Σ, positive semi-definite.
        matrix : array, shape (p, p)
            Matrix M, positive semi-definite.
        mean : array, shape (p,), optional
            Mean μ, in the range of Σ. Zero by default.

        Raises
        ------
        InvalidDataError
            If matrices are not symmetric or not positive semi-definite, their product is zero, or
            the mean is outside the range of Σ.

        Examples
        --------
        >>> import numpy as np
        >>> from gexcore.theory import GeneralizedChiSquared
        >>> GeneralizedChiSquared.from_gaussian(np.diag([1.0, 4.0]), np.diag([3.0, 2.0])).weights
        array([8., 3.])
        """
        values, vectors = _psd(covariance, "covariance")
        _psd(matrix, "matrix")
        root = vectors * np.sqrt(values)
        w, v = np.linalg.eigh(root.T @ np.asarray(matrix, dtype=np.float64) @ root)
        kept = np.flatnonzero(w > NEGLIGIBLE * w.max(initial=0.0))[::-1]
        if not len(kept):
            raise InvalidDataError("the matrix is zero wherever gradients vary, and so is gᵀMg")
        if mean is None:
            return cls(w[kept])
        mu = np.asarray(mean, dtype=np.float64)
        standard = (vectors.T @ mu) / np.sqrt(values)
        if not np.allclose(
            root @ standard, mu, atol=1e-8 * max(1.0, float(np.abs(mu).max(initial=0.0)))
        ):
            raise InvalidDataError(
                "the mean lies outside the range of the covariance; gᵀMg then has a part "
                "that is constant"
            )
        return cls(w[kept], (v.T @ standard)[kept])

    @property
    def mean(self) -> float:
        """Σ wᵢ (1 + bᵢ²)."""
        return float((self.weights * (1 + self.offsets**2)).sum())

    @property
    def variance(self) -> float:
        """2 Σ wᵢ² (1 + 2bᵢ²)."""
        return float(2 * (self.weights**2 * (1 + 2 * self.offsets**2)).sum())

    @property
    def skewness(self) -> float:
        """κ₃ / κ₂^(3/2), where κ₃ = 8 Σ wᵢ³ (1 + 3bᵢ²)."""
        third = 8 * (self.weights**3 * (1 + 3 * self.offsets**2)).sum()
        return float(third / self.variance**1.5)

    def sample(self, size: int, *, seed: int = 0) -> Floats:
        """Independent draws, shape (size,)."""
        drawn = np.random.default_rng([seed, 0xC2]).normal(size=(size, len(self.weights)))
        return np.asarray((drawn + self.offsets) ** 2 @ self.weights)

    def cdf(self, x: Any) -> Floats:
        """P(Q ≤ x), in the shape of x, to about 1e-10.

        The Laplace transform E e^(−sQ) is inverted along a parabola through the saddle point of the
        integrand. With positive weights all singularities lie on the negative real axis. Along the
        imaginary axis (Imhof 1961, Davies 1973) the integrand of a single term does not decay.
        Along the parabola it does.
        """
        return self._each(x, pole=True)

    def pdf(self, x: Any) -> Floats:
        """Density, in the shape of x; 0 for x ≤ 0."""
        return self._each(x, pole=False)

    def _each(self, x: Any, *, pole: bool) -> Floats:
        points = np.asarray(x, dtype=np.float64)
        scale = float(self.weights.max())
        unit = GeneralizedChiSquared(self.weights / scale, self.offsets)
        found = [unit._at(v / scale, pole) if v > 0 else 0.0 for v in points.ravel().tolist()]
        values = np.array(found).reshape(points.shape)
        return np.asarray(np.clip(values, 0.0, 1.0) if pole else np.maximum(values, 0.0) / scale)

    def _at(self, x: float, pole: bool) -> float:
        """Distribution function or density, for a largest weight of 1."""
        if not np.isfinite(x):
            return 1.0 if pole else 0.0
        if not pole:
            return self._invert(x, 0, lambda v: math.exp(v) - 0.5)
        if x <= self.mean:
            return self._invert(x, 1, math.exp)
        return 1.0 - self._invert(x, -1, lambda v: -0.5 / (1 + math.exp(v)))

    def _invert(self, x: float, pole: int, real: Callable[[float], float]) -> float:
        """(1/2πi) ∫ exp K(s) ds with K(s) = ln E e^(−sQ) + sx − ln(±s).

        The pole is left (1) or right (−1) of the contour. `real` maps the line to the part of the
        real axis on which K is convex and has its minimum.
        """
        low, high = -30.0, 80.0 if pole >= 0 else 30.0
        for _ in range(80):
            middle = (low + high) / 2
            rising = self._slopes(real(middle), x, pole)[0] > 0
            low, high = (low, middle) if rising else (middle, high)
        s0 = real((low + high) / 2)
        # without the pole, whose own path bends so far that the other factor would grow
        _, second, third = self._slopes(s0, x, 0)
        bend = -third / (6 * second)
        step = REACH / NODES / math.sqrt(second + (s0**-2 if pole else 0.0))
        y = (np.arange(NODES) + 0.5) * step
        exponent = self._exponent(np.append(s0 - bend * y**2 + 1j * y, s0), x, pole)
        peak = float(exponent[-1].real)
        heights = np.exp(exponent[:-1] - peak) * (1 + 2j * bend * y)
        return float(heights.real.sum()) * step / math.pi * math.exp(peak)

    def _exponent(self, s: NDArray[Any], x: float, pole: int) -> NDArray[Any]:
        w, b2 = self.weights[:, None], self.offsets[:, None] ** 2
        r = 1 + 2 * w * s
        value: NDArray[Any] = (-0.5 * np.log(r) - b2 * w * s / r).sum(axis=0) + s * x
        return value - np.log(pole * s) if pole else value

    def _slopes(self, s: float, x: float, pole: int) -> tuple[float, float, float]:
        """First three derivatives of K."""
        w, b2 = self.weights, self.offsets**2
        u = w / (1 + 2 * w * s)
        first = x - float((u + b2 * u**2 / w).sum())
        second = float((2 * u**2 + 4 * b2 * u**3 / w).sum())
        third = -float((8 * u**3 + 24 * b2 * u**4 / w).sum())
        if not pole:
            return first, second, third
        return first - 1 / s, second + s**-2, third - 2 / s**3


def _psd(matrix: Any, name: str) -> tuple[Floats, Floats]:
    """Positive eigenvalues of a positive semi-definite matrix, and their eigenvectors."""
    m = np.asarray(matrix, dtype=np.float64)
    size = float(np.abs(m).max(initial=0.0))
    if m.ndim != 2 or m.shape[0] != m.shape[1] or not np.allclose(m, m.T, atol=1e-10 * size):
        raise InvalidDataError(
            f"the {name} of shape {m.shape} is not symmetric; give one of shape (p, p)"
        )
    values, vectors = np.linalg.eigh(m)
    if values[0] < -1e-8 * size:
        raise InvalidDataError(
            f"the {name} has the eigenvalue {values[0]:.3g}, and must be positive semi-definite"
        )
    kept = values > NEGLIGIBLE * values.max(initial=0.0)
    return values[kept], vectors[:, kept]
