"""The dominant eigenvectors of a Hessian from few products (Arnoldi; Schioppa et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gexcore.backend.protocols import Floats
from gexcore.ensembles.spectrum import Product, Spectrum

CONVERGED = 1e-6
"""The Krylov space ends at a new direction below this share of the largest product."""


def arnoldi(
    product: Product,
    size: int,
    *,
    iterations: int,
    rng: np.random.Generator,
    on_product: Callable[[], object] = lambda: None,
) -> Spectrum:
    """Eigenpairs of a matrix in the Krylov space of a random vector, largest in size first.

    The basis comes from modified Gram–Schmidt, with each new direction made orthogonal twice. The
    iteration stops early once the space is exhausted. The matrix within the basis is tridiagonal in
    theory, and is made so.

    Parameters
    ----------
    product : callable
        Product with the same symmetric matrix in every call.
    size : int
        Length p of its vectors.
    iterations : int
        The most products.
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
