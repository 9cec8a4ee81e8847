"""The Laplace posterior N(θ*, (H + αI)⁻¹) of a small model, by the eigenvectors of its Hessian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gexcore.backend.protocols import Floats
from gexcore.errors import InvalidSettingError

Product = Callable[[Floats], Floats]
"""From a vector v, shape (p,), to H v."""

NEGLIGIBLE = 1e-10
"""Share of the largest eigenvalue of H + αI below which an eigenvalue counts as zero."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Some eigenvalues of a symmetric matrix and their eigenvectors.

    Parameters
    ----------
    values : array, shape (rank,)
        Eigenvalues, largest in size first.
    vectors : array, shape (p, rank)
    residuals : array, shape (rank,), or None
        ‖Hu − λu‖ of each eigenvector. None if the eigenvectors are exact.
    """

    values: Floats
    vectors: Floats
    residuals: Floats | None = None

    def top(self, rank: int | None, *, by: Literal["size", "value"] = "size") -> Spectrum:
        """The `rank` largest eigenvalues, in size or with their sign. All of them for None."""
        order = np.argsort(-(np.abs(self.values) if by == "size" else self.values), kind="stable")[
            :rank
        ]
        residuals = None if self.residuals is None else self.residuals[order]
        return Spectrum(self.values[order], self.vectors[:, order], residuals)

    def inverse(self, damping: float = 0.0) -> tuple[Floats, Floats]:
        """Moves √R·|λ + α|^(−½)·u and weights sign(λ + α) with weighted mean square (H + αI)⁻¹.

        A negligible λ + α is left out. Without damping the result is the pseudo-inverse.

        Returns
        -------
        moves : array, shape (R, p)
        weights : array, shape (R,)
        """
        damped = self.values + damping
        size = np.abs(damped)
        kept = size > NEGLIGIBLE * size.max(initial=0.0)
        moves = (self.vectors[:, kept] * np.sqrt(kept.sum() / size[kept])).T
        return moves, np.sign(damped[kept])

    def draw(self, damping: float, rng: np.random.Generator) -> Floats:
        """ψ − θ* of one draw, shape (p,): normal numbers times (λ + α)^(−½) on each eigenvector."""
        self._check_positive(damping)
        spread = (self.values + damping) ** -0.5
        return np.asarray(self.vectors @ (spread * rng.normal(size=len(spread))))

    def _check_positive(self, damping: float) -> None:
        lowest = float(self.values.min())
        if lowest + damping <= 0:
            msg = (
                f"the Hessian has the eigenvalue {lowest:.3g}, and damping {damping:g} does not "
                f"make it positive, as the posterior needs; raise damping above {-lowest:.3g}, or "
                "lower rank"
            )
            raise InvalidSettingError(msg)


def full_spectrum(
    product: Product, size: int, *, on_product: Callable[[], object] = lambda: None
) -> Spectrum:
    """All eigenvalues, from one product with each unit vector."""
    matrix = np.empty((size, size))
    unit = np.zeros(size)
    for i in range(size):
        unit[i] = 1.0
        matrix[i] = product(unit)
        unit[i] = 0.0
        on_product()
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return Spectrum(values, vectors).top(None)
