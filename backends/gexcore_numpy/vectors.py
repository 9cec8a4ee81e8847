"""Trainable parameters as one vector, in the order of the network's."""

from __future__ import annotations

import numpy as np

from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Array, Indices
from gexcore.backend.refusals import check_vector
from gexcore.backend.rules import Reals

Chosen = Indices | slice
"""Positions of the trainable parameters in the vector of the network."""


def ravel(params: Reals, chosen: Chosen) -> Reals:
    """A copy of the trainable parameters, shape (p,)."""
    return params[chosen].copy()


def unravel(flat: Array, params: Reals, chosen: Chosen) -> Reals:
    """All parameters, with a vector, shape (p,), in place of the trainable ones.

    Raises
    ------
    InvalidDataError
        If the shape differs.
    """
    found = params.copy()
    found[chosen] = _vector(flat, params, chosen)
    return found


def direction(flat: Array, params: Reals, chosen: Chosen) -> Reals:
    """A vector, shape (p,), as a direction of all parameters: 0 for those that are not trained.

    Raises
    ------
    InvalidDataError
        If the shape differs.
    """
    vector = _vector(flat, params, chosen)
    if vector.size == params.size:
        return vector
    everywhere = np.zeros_like(params)
    everywhere[chosen] = vector
    return everywhere


def _vector(flat: Array, params: Reals, chosen: Chosen) -> Reals:
    vector = to_numpy(flat).astype(params.dtype, copy=False)
    check_vector(vector.shape, params[chosen].size)
    return vector
