"""The dominant eigenvectors of a Hessian from few products with it (Arnoldi; Schioppa et al.

2022).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gexcore.backend.protocols import Floats
from gexcore.ensembles.spectrum import Product, Spectrum

CONVERGED = 1e-6
"""The Krylov space is exhausted where a new direction is shorter than this share of the largest
product."""


def arnoldi(
    product: Product,
    size: int,
    *,
    iterations: int,
    rng: np.random.Generator,
    on_product: Callable[[], object] = lambda: None,
) -> Spectrum:
    """Eigenvalues and eigenvectors of the matrix within the Krylov space of a random vector,
    largest in size first.

    By modified Gram–Schmidt, each new direction made orthogonal twice; stops early where the space
    is exhausted. The matrix within the basis is tridiagonal for a symmetric operator, and is made
    so.

    Parameters
    ----------
    product : callable
        With one and the same symmetric matrix every time.
    size : int
        Length p of its vectors.
    iterations : int
        Products, at most.
    """
    basis = np.empty((min(iterations, size), size))
    within = np.zeros((len(basis), len(basis)))
    basis[0] = _unit(rng.normal(size=size))
    largest = 0.0
    for n in range(len(basis)):
        v = product(basis[n])
        on_product()
        largest = max(largest, float(np.linalg.norm(v)))
        for _ in range(2):
            for j in range(n + 1):
                share = float(v @ basis[j])
                within[j, n] += share
                v = v - share * basis[j]
        length = float(np.linalg.norm(v))
        if length <= CONVERGED * largest or n + 1 == len(basis):
            break
        within[n + 1, n] = length
        basis[n + 1] = v / length
    return _distil(basis[: n + 1], within[: n + 1, : n + 1])


def _distil(basis: Floats, within: Floats) -> Spectrum:
    tridiagonal = np.triu(np.tril(within, 1), -1)
    values, vectors = np.linalg.eigh((tridiagonal + tridiagonal.T) / 2)
    return Spectrum(values, basis.T @ vectors).top(None)


def _unit(v: Floats) -> Floats:
    return np.asarray(v / np.linalg.norm(v))
