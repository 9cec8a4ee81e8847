"""Rank and null space of the Hessian and the empirical Fisher matrix (Props 4.2 and B.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Floats, SupportsHvp, SupportsParams, SupportsSampleGradients
from gexcore.ensembles.spectrum import full_spectrum
from gexcore.errors import InvalidSettingError
from gexcore.estimators.results import LARGEST_HESSIAN
from gexcore.evaluation.derivatives import hessian_product
from gexcore.evaluation.losses import in_order
from gexcore.evaluation.opening import opened
from gexcore.evaluation.selection import Parameters
from gexcore.settings import check_number


@dataclass(frozen=True, eq=False)
class Curvature:
    """Spectra of H = ∇²L and F = (1/N) Σ g gᵀ at θ*, of p parameters and N samples.

    Parameters
    ----------
    hessian : array, shape (p,)
        Eigenvalues, largest in size first.
    hessian_vectors : array, shape (p, p)
        Their eigenvectors, as columns.
    gradients : array, shape (samples, p)
    tolerance : float
        Share of the largest value below which a value counts as zero. Values are eigenvalues of H,
        or singular values of the gradients.
    """

    hessian: Floats
    hessian_vectors: Floats
    gradients: Floats
    tolerance: float

    @property
    def parameters(self) -> int:
        """Number of parameters p."""
        return len(self.hessian)

    @property
    def samples(self) -> int:
        """Number of samples N."""
        return len(self.gradients)

    @property
    def fisher(self) -> Floats:
        """Eigenvalues of F, largest first, shape (p,)."""
        values = np.zeros(self.parameters)
        found = np.linalg.svd(self.gradients, compute_uv=False) ** 2 / self.samples
        values[: len(found)] = found
        return values

    @property
    def hessian_rank(self) -> int:
        """Number of eigenvalues of H that are not zero."""
        return _rank(np.abs(self.hessian), self.tolerance)

    @property
    def fisher_rank(self) -> int:
        """Rank of the gradients and of F, at most min(N, p)."""
        return _rank(np.sqrt(self.fisher), self.tolerance)

    @property
    def negative(self) -> int:
        """Number of eigenvalues of H below zero."""
        return int((self.hessian[: self.hessian_rank] < 0).sum())

    def in_null_space(self) -> float:
        """Share of the gradients' squared length that lies in the null space of H, from 0 to 1.

        By Eq. 14 it is 0 for a squared error of 0. NaN if all gradients are zero.
        """
        null = self.hessian_vectors[:, self.hessian_rank :]
        total = float((self.gradients**2).sum())
        return float(((self.gradients @ null) ** 2).sum()) / total if total else np.nan

    def overlap(self) -> float:
        """Overlap of the ranges of F and H: mean squared cosine, from 0 to 1.

        NaN if F is zero. A random subspace with the rank of H has an overlap of rank(H) / p.
        """
        rank = self.fisher_rank
        if not rank:
            return np.nan
        _, _, rows = np.linalg.svd(self.gradients, full_matrices=False)
        inside = rows[:rank] @ self.hessian_vectors[:, : self.hessian_rank]
        return float((inside**2).sum()) / rank


def curvature(
    model: Any,
    data: Any,
    *,
    loss: str | Callable[..., Any] | None = None,
    parameters: Parameters = None,
    backend: str | None = None,
    tolerance: float | None = None,
    batch_size: int = 512,
) -> Curvature:
    """Hessian of the mean loss and gradients of all samples at θ*, for up to 5,000 parameters.

    Prop. 4.2 says that H has at most NK non-zero eigenvalues for a squared error of 0. Prop. B.4
    says that F has at most N, for any loss. Away from such a minimum H has a second term, and need
    not be singular.

    Parameters
    ----------
    model, data, loss, backend
        The arguments of `gexcore.GEX.fit`.
    parameters : str or sequence of str, optional
        Parameters of `gexcore.IF`.
    tolerance : float, optional
        Tolerance of `Curvature`. The default is max(N, p) · ε of the model's precision.
    batch_size : int
        Samples per derivative call.

    Raises
    ------
    MissingCapabilityError
        If the backend has no Hessian products or no gradients of samples.
    InvalidSettingError
        If there are too many parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.theory import curvature
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(6, 3))
    >>> found = curvature(MLP.init((3, 8, 2), seed=0), (x, (x[:, 0] > 0).astype(int)))
    >>> found.parameters, found.fisher_rank
    (50, 6)
    """
    given = opened(model, data, loss=loss, backend=backend)
    require(given.backend, SupportsParams, SupportsHvp, SupportsSampleGradients, by="curvature")
    given = given.selecting(parameters, by="curvature")
    engine: Any = given.backend
    state, theta = engine.initial_state(), given.theta
    n, size = len(given.data), given.size
    if size > LARGEST_HESSIAN:
        msg = (
            f"the model has {size:,} parameters, and the Hessian of up to {LARGEST_HESSIAN:,} is "
            "held; choose some with parameters="
        )
        raise InvalidSettingError(msg)
    if tolerance is not None:
        check_number("tolerance", tolerance)
    product = hessian_product(engine, state, given.data, np.arange(n), batch_size=batch_size)
    spectrum = full_spectrum(product, size)
    parts = [
        to_numpy(engine.sample_gradients(state, given.data.batch(i)))
        for i in in_order(n, batch_size)
    ]
    settled = max(n, size) * float(np.finfo(theta.dtype).eps) if tolerance is None else tolerance
    return Curvature(
        spectrum.values, spectrum.vectors, np.concatenate(parts).astype(np.float64), settled
    )


def _rank(sizes: Floats, tolerance: float) -> int:
    return int((sizes > tolerance * sizes.max(initial=0.0)).sum())
