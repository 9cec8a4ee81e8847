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
    starts: int = 1,
    on_product: Callable[[], object] = lambda: None,
) -> Spectrum:
    """Eigenpairs of a matrix in the Krylov space of random vectors, largest in size first.

    From one vector only one eigenvector of each eigenvalue can be found. From several vectors as
    many can be found (block Lanczos). The basis comes from modified Gram–Schmidt, with each new
    direction made orthogonal twice. A space that is exhausted goes on from a new random vector, and
    ends if the product with that is negligible. The matrix within the basis is banded in theory,
    and is made so.

    Parameters
    ----------
    product : callable
        Product with the same symmetric matrix in every call.
    size : int
        Length p of its vectors.
    iterations : int
        The most products.
    starts : int
        Number of random vectors at the start: the most eigenvectors of one eigenvalue.
    """
    most = min(iterations, size)
    basis = np.empty((most, size))
    within = np.zeros((most, most))
    outside: list[tuple[int, Floats]] = []
    count, largest, width = 0, 0.0, 1
    for n in range(most):
        fresh = n == count
        for _ in range(min(starts, most) if n == 0 else int(fresh)):
            start = _unit(rng.normal(size=size))
            basis[count] = _unit(_outside(start, basis[:count])[1]) if count else start
            count += 1
        v = product(basis[n])
        on_product()
        largest = max(largest, float(np.linalg.norm(v)))
        shares, v = _outside(v, basis[:count])
        within[:count, n] += shares
        length = float(np.linalg.norm(v))
        width = max(width, count - n)
        if length > CONVERGED * largest:
            if count < most:
                within[count, n] = length
                basis[count] = v / length
                count += 1
            else:
                outside.append((n, v))
        elif fresh and n:  # a random vector is an eigenvector: so is all that is left
            n -= abs(within[n, n]) <= CONVERGED * largest
            break
    return _distil(basis[: n + 1], within[: n + 1, : n + 1], width, outside)


def _distil(
    basis: Floats, within: Floats, width: int, outside: list[tuple[int, Floats]]
) -> Spectrum:
    banded = np.triu(np.tril(within, width), -width)
    values, vectors = np.linalg.eigh((banded + banded.T) / 2)
    residuals = np.zeros(len(values))
    if outside:
        left = np.stack([v for _, v in outside])
        shares = vectors[[n for n, _ in outside]]
        squares = np.einsum("ir,ij,jr->r", shares, left @ left.T, shares)
        residuals = np.sqrt(np.maximum(squares, 0.0))
    return Spectrum(values, basis.T @ vectors, residuals).top(None)


def _outside(v: Floats, basis: Floats) -> tuple[Floats, Floats]:
    """The shares of a vector in an orthonormal basis, and the part outside of it."""
    shares = np.zeros(len(basis))
    for _ in range(2):
        for j, direction in enumerate(basis):
            share = float(v @ direction)
            shares[j] += share
            v = v - share * direction
    return shares, v


def _unit(v: Floats) -> Floats:
    return np.asarray(v / np.linalg.norm(v))
