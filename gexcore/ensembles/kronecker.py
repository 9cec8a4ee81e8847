"""The Laplace posterior of a large model: one Kronecker-factored Fisher matrix per layer (KFAC)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Backend, Dataset, Floats, SupportsKronecker
from gexcore.errors import InvalidModelError
from gexcore.evaluation.losses import in_order


class _Layer(NamedTuple):
    positions: NDArray[np.intp]
    input_values: Floats
    input_vectors: Floats
    output_values: Floats
    output_vectors: Floats


@dataclass(frozen=True, eq=False)
class KroneckerPosterior:
    """N(θ*, τ² (A⊗G + δI)⁻¹) for the weights of each layer.

    Layers are independent. All other parameters stay at θ*. A holds the second moments of the
    layer's inputs. G holds the second moments of the loss gradients at its outputs. (Algorithm 1 of
    the paper prints neither the inverse nor the damping.)
    """

    size: int
    layers: tuple[_Layer, ...]

    @property
    def parameters(self) -> int:
        """Number of parameters that are drawn."""
        return sum(layer.positions.size for layer in self.layers)

    def draw(self, rng: np.random.Generator, *, damping: float, scale: float) -> Floats:
        """ψ − θ* of one draw, shape (p,).

        For each layer it is τ · U_G (V ⊙ (λ_G λ_Aᵀ + δ)^(−½)) U_Aᵀ, with V normal.

        Parameters
        ----------
        damping, scale : float
            δ and τ.
        """
        move = np.zeros(self.size)
        for layer in self.layers:
            spread = (np.outer(layer.output_values, layer.input_values) + damping) ** -0.5
            drawn = spread * rng.normal(size=spread.shape)
            move[layer.positions] = scale * (layer.output_vectors @ drawn @ layer.input_vectors.T)
        return move


def kronecker_posterior(
    backend: Backend[Any, Any],
    state: Any,
    data: Dataset[Any],
    *,
    size: int,
    batch_size: int,
    seed: int | None,
    on_batch: Callable[[], object] = lambda: None,
) -> KroneckerPosterior:
    """Factors at `state`, averaged over the data.

    Parameters
    ----------
    size : int
        Number of trainable parameters.
    seed : int or None
        Seed of labels drawn from the model's predictions (true Fisher). None takes the given labels
        (empirical Fisher).

    Raises
    ------
    InvalidModelError
        If the model has no linear or convolutional layer.
    """
    able = require(backend, SupportsKronecker, by='structure="kfac"')
    seeds = None if seed is None else np.random.default_rng([seed, 0xFA])
    found: dict[str, tuple[NDArray[np.intp], Floats, Floats]] = {}
    for indices in in_order(len(data), batch_size):
        drawn = None if seeds is None else int(seeds.integers(2**32))
        share = len(indices) / len(data)
        for block in able.kronecker(state, data.batch(indices), seed=drawn):
            _, inputs, outputs = found.get(block.name, (None, 0.0, 0.0))
            found[block.name] = (
                np.asarray(block.positions),
                inputs + share * to_numpy(block.inputs).astype(np.float64),
                outputs + share * to_numpy(block.outputs).astype(np.float64),
            )
        on_batch()
    if not found:
        msg = (
            "the model has no trainable linear or convolutional layer that Kronecker factors can "
            "be had of; take structure='full', or a method without them such as Arnoldi"
        )
        raise InvalidModelError(msg)
    return KroneckerPosterior(size, tuple(_layer(*factors) for factors in found.values()))


def _layer(positions: NDArray[np.intp], inputs: Floats, outputs: Floats) -> _Layer:
    input_values, input_vectors = np.linalg.eigh(inputs)
    output_values, output_vectors = np.linalg.eigh(outputs)
    # rounding alone makes eigenvalues of second moments negative
    return _Layer(
        positions, input_values.clip(0.0), input_vectors, output_values.clip(0.0), output_vectors
    )
