"""Kronecker factors of the Fisher matrix of one layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class KroneckerBlock(NamedTuple):
    """Second moments of the inputs of a layer, and of the loss gradients at its outputs.

    The Fisher matrix of the layer is about ``kron(outputs, inputs)``, for its weights in row-major
    order. This is exact if both are independent and the layer is applied once per sample.

    Parameters
    ----------
    name : str
        Name of the weight, as in `SupportsSelection.parameter_names`.
    positions : integer array, shape (o, i)
        Position of each weight in the flat vector of `SupportsParams.ravel`. The last column is the
        bias, if there is a trainable one.
    inputs : array, shape (i, i)
        Mean over samples of Σ_t a_t a_tᵀ, over the T places where the layer is applied. With a
        bias, a_t ends in 1.
    outputs : array, shape (o, o)
        Mean over samples of (1/T) Σ_t s_t s_tᵀ, where s_t is the gradient of the sample's loss.
    """

    name: str
    positions: NDArray[np.intp]
    inputs: Any
    outputs: Any
