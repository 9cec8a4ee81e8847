"""Models as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from gexcore.backend.rules import Reals
from gexcore.errors import InvalidModelError

ActivationName = Literal["relu", "tanh"]


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """Batch normalisation of one hidden layer, before its activation.

    Parameters
    ----------
    scale, offset : float array, shape (width,)
        Trained factors and offsets.
    mean, var : float array, shape (width,)
        Running statistics, used in evaluation mode.
    """

    scale: Reals
    offset: Reals
    mean: Reals
    var: Reals


@dataclass(frozen=True, eq=False)
class MLP:
    """A multi-layer perceptron. Without hidden layers it is softmax (or linear) regression.

    A hidden layer is linear, then an optional batch normalisation, then the activation. The last
    layer is linear. All arrays have one dtype, float32 or float64, which never changes.

    Parameters
    ----------
    weights : sequence of float array, shape (in, out)
    biases : sequence of float array, shape (out,)
    activation : {"relu", "tanh"}
    batch_norm : sequence of BatchNorm, optional
        One normalisation per hidden layer.

    Raises
    ------
    InvalidModelError
        If the shapes do not fit together, or the dtypes differ.

    Examples
    --------
    >>> from gexcore_numpy import MLP
    >>> MLP.init((64, 128, 10), seed=0).sizes
    (64, 128, 10)
    """

    weights: Sequence[Reals]
    biases: Sequence[Reals]
    activation: ActivationName = "relu"
    batch_norm: Sequence[BatchNorm] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(map(np.asarray, self.weights)))
        object.__setattr__(self, "biases", tuple(map(np.asarray, self.biases)))
        if self.batch_norm is not None:
            object.__setattr__(self, "batch_norm", tuple(self.batch_norm))
        _check(self)

    @classmethod
    def init(
        cls,
        sizes: Sequence[int],
        *,
        seed: int,
        activation: ActivationName = "relu",
        batch_norm: bool = False,
        dtype: DTypeLike = np.float64,
    ) -> MLP:
        """An untrained network. Equal seeds give equal weights in every dtype.

        Parameters
        ----------
        sizes : sequence of int
            Widths from the inputs to the outputs.
        seed : int
        activation : {"relu", "tanh"}
        batch_norm : bool
            Whether every hidden layer is normalised.
        dtype : float32 or float64
        """
        rng = np.random.default_rng(seed)
        gain = math.sqrt(2.0) if activation == "relu" else 1.0
        weights = [
            rng.normal(0.0, gain / math.sqrt(a), (a, b)).astype(dtype) for a, b in pairwise(sizes)
        ]
        norms = [
            BatchNorm(np.ones(d, dtype), np.zeros(d, dtype), np.zeros(d, dtype), np.ones(d, dtype))
            for d in sizes[1:-1]
        ]
        biases = [np.zeros(d, dtype) for d in sizes[1:]]
        return cls(weights, biases, activation, norms if batch_norm else None)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths from the inputs to the outputs."""
        return (self.weights[0].shape[0], *(w.shape[1] for w in self.weights))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of every array."""
        return self.weights[0].dtype


def _check(model: MLP) -> None:
    if model.activation not in ("relu", "tanh"):
        msg = f"the activation is {model.activation!r}; choose 'relu' or 'tanh'"
        raise InvalidModelError(msg)
    if not model.weights or len(model.weights) != len(model.biases):
        msg = (
            f"an MLP needs one weight and one bias for each layer; got {len(model.weights)} and "
            f"{len(model.biases)}"
        )
        raise InvalidModelError(msg)
    matrices = all(w.ndim == 2 for w in model.weights)
    if not matrices or any(a.shape[1] != b.shape[0] for a, b in pairwise(model.weights)):
        shapes = ", ".join(str(w.shape) for w in model.weights)
        msg = (
            f"the weights have shapes {shapes}; each must be (in, out), with in equal to the out "
            "of the layer before"
        )
        raise InvalidModelError(msg)
    hidden = model.sizes[1:-1]
    norms = model.batch_norm
    if norms is not None and len(norms) != len(hidden):
        msg = (
            f"batch_norm has {len(norms)} entries for {len(hidden)} hidden layers; give one for "
            "each, or None"
        )
        raise InvalidModelError(msg)
    vectors = list(zip(model.biases, model.sizes[1:], strict=True))
    for norm, width in zip(norms or (), hidden if norms else (), strict=True):
        vectors += [(v, width) for v in (norm.scale, norm.offset, norm.mean, norm.var)]
    for vector, width in vectors:
        if vector.shape != (width,):
            msg = (
                f"a bias or batch-norm array has shape {vector.shape}; its layer is {width} "
                f"wide, so give ({width},)"
            )
            raise InvalidModelError(msg)
    dtypes = {a.dtype for a in (*model.weights, *(v for v, _ in vectors))}
    if len(dtypes) > 1 or model.dtype not in (np.float32, np.float64):
        told = ", ".join(sorted(map(str, dtypes)))
        msg = f"the model's arrays are {told}; make all of them float32 or all of them float64"
        raise InvalidModelError(msg)
