"""Protocols: what gexcore asks of a framework.

A backend is one trained model, its loss and its optimiser, in one framework. Only `Backend` must
be there. Every other protocol is a capability: a backend without it does not define its methods.

Rules that hold for every method

* A state is a value: no method changes its argument, but for `SupportsDonation`.
* Evaluation means evaluation mode (dropout off, stored batch statistics), training means training
  mode, however the user left the model. Frozen parameters stay frozen.
* A loss is one number per sample, without regulariser. Its sign is "high = badly predicted".
* Arrays may live on any device, in any library that NumPy or the array API standard can read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.dataset import Dataset as Dataset
from gexcore.backend.dataset import Indices as Indices
from gexcore.backend.dataset import SupportsAugmentation as SupportsAugmentation
from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.optimizer import Optimizer

Array = Any
"""An array of NumPy, or of any library with the Python array API standard."""

Floats = NDArray[np.float64]
"""Results on the host."""

State = TypeVar("State")
StateIn = TypeVar("StateIn", contravariant=True)
StateOut = TypeVar("StateOut", covariant=True)
Batch = TypeVar("Batch", contravariant=True)


@runtime_checkable
class Backend(Protocol[State, Batch]):
    """One trained model, its loss and its optimiser, in one framework."""

    name: str

    def initial_state(self) -> State:
        """State with trained parameters θ*, buffers and a fresh optimiser; equal on every call."""
        ...

    def forward(self, state: State, batch: Batch, /) -> Array:
        """Losses of the samples, shape (b,), in evaluation mode; deterministic."""
        ...

    def sgd_step(self, state: State, batch: Batch, /, *, lr: float, seed: int) -> State:
        """State after one optimiser step on the mean loss of the batch, in training mode.

        `seed`, in [0, 2**32), seeds all randomness of training mode, such as dropout.
        """
        ...

    def restart(self, state: State, /) -> State:
        """State with the same parameters and buffers, and a fresh optimiser."""
        ...


@runtime_checkable
class SupportsDonation(Protocol[State, Batch]):
    """Steps that may reuse the memory of a state that its owner gives away.

    `initial_state`, `restart`, `unravel`, `refresh_buffers` and `from_arrays` may return states
    that share memory. Only a `copy`, or the result of a step on a copy, may be given away.
    """

    def copy(self, state: State, /) -> State:
        """An independent state that the caller owns and may give away."""
        ...

    def sgd_step_(
        self, state: State, batch: Batch, /, *, lr: float, seed: int
    ) -> tuple[State, Array]:
        """State after a step that uses up `state`, and its losses of shape (b,).

        They are from training mode, before the update.
        """
        ...


@runtime_checkable
class SupportsTrainingLosses(Protocol[StateIn, Batch]):
    """Losses in training mode without a step."""

    def training_losses(self, state: StateIn, batch: Batch, /, *, seed: int) -> Array:
        """Losses of the samples, shape (b,), in training mode (dropout on, batch statistics)."""
        ...


@runtime_checkable
class SupportsBufferRefresh(Protocol[State, Batch]):
    """Statistics that must follow the parameters, such as in BatchNorm."""

    def refresh_buffers(self, state: State, batches: Sequence[Batch], /) -> State:
        """State with statistics estimated anew. Each batch counts equally."""
        ...


@runtime_checkable
class SupportsLogits(Protocol[StateIn, Batch]):
    """Class scores before the softmax."""

    def logits(self, state: StateIn, batch: Batch, /) -> Array:
        """Scores of shape (b, K), in evaluation mode."""
        ...


@runtime_checkable
class SupportsPartLosses(Protocol[StateIn, Batch]):
    """Losses of the parts of a sample: of its labels, tokens, pixels or outputs."""

    def part_losses(self, state: StateIn, batch: Batch, /) -> Array:
        """Losses in evaluation mode, one per target: (b, …) as the targets. NaN without a label.

        The loss of a sample is the sum of its parts, or the mean of those that have a label.
        """
        ...


@runtime_checkable
class SupportsJvp(Protocol[StateIn, Batch]):
    """Directional derivatives of every sample's loss. Needs `SupportsParams`, which gives p."""

    def jvp(self, state: StateIn, tangent: Array, batch: Batch, /) -> Array:
        """Derivative of each loss along `tangent`, shapes (b,) and (p,), in evaluation mode."""
        ...


@runtime_checkable
class SupportsParams(Protocol[State]):
    """Trainable parameters as one flat vector."""

    def ravel(self, state: State, /) -> Array:
        """Trainable parameters, shape (p,)."""
        ...

    def unravel(self, state: State, flat: Array, /) -> State:
        """State with these parameters, the same buffers and a fresh optimiser."""
        ...


@runtime_checkable
class SupportsHvp(Protocol[StateIn, Batch]):
    """Products with the Hessian."""

    def hvp(self, state: StateIn, tangent: Array, batch: Batch, /) -> Array:
        """Hessian of the batch's mean loss times `tangent`, shape (p,), in evaluation mode."""
        ...


@runtime_checkable
class SupportsSampleGradients(Protocol[StateIn, Batch]):
    """Gradients of every sample's loss. Needs `SupportsParams`, which gives p."""

    def sample_gradients(self, state: StateIn, batch: Batch, /) -> Array:
        """Gradients of the samples, shape (b, p), in evaluation mode.

        Row i times a tangent is entry i of the JVP of the tangent.
        """
        ...


@runtime_checkable
class SupportsFeatures(Protocol[StateIn, Batch]):
    """Features that the classifier at the end of the model sees."""

    def features(self, state: StateIn, batch: Batch, /) -> Array:
        """Inputs of the model's last linear layer, shape (b, h), in evaluation mode."""
        ...


@runtime_checkable
class SupportsKronecker(Protocol[StateIn, Batch]):
    """Kronecker-factored Fisher statistics of linear and convolutional layers."""

    def kronecker(
        self, state: StateIn, batch: Batch, /, *, seed: int | None
    ) -> Sequence[KroneckerBlock]:
        """Statistics of the batch, one block per layer, in evaluation mode.

        A `seed` draws the labels from the model's predictions by
        `gexcore.backend.drawing.sample_targets` (true Fisher). None takes the given labels
        (empirical Fisher).
        """
        ...


@runtime_checkable
class SupportsSelection(Protocol):
    """Trainable parameters by name."""

    def parameter_names(self) -> Mapping[str, int]:
        """Name and size of every trainable parameter, in the order of the flat vector."""
        ...

    def select(self, names: Collection[str], /) -> Backend[Any, Any]:
        """The same backend, with only these parameters trainable. All others stay at θ*."""
        ...


@runtime_checkable
class SupportsSize(Protocol):
    """The size of the whole model, which every step runs."""

    def model_size(self) -> int:
        """Number of all parameters, trained or not, without running statistics as far as known."""
        ...


@runtime_checkable
class SupportsOptimizer(Protocol):
    """Another optimiser for the same model, without a second copy of it."""

    def with_optimizer(self, optimizer: Optimizer, /) -> Backend[Any, Any]:
        """The same model and loss, stepped by `optimizer`."""
        ...


@runtime_checkable
class SupportsReading(Protocol[Batch]):
    """Outputs that are read as what they are: scores, or probabilities of a closing softmax."""

    def reading(self, batch: Batch, /) -> Backend[Any, Any]:
        """The same backend, which reads the outputs of θ* on this batch as they are meant.

        Where a named loss takes scores and the outputs are probabilities, the scores are their
        logarithms (or log-odds). Backends whose outputs are scores return themselves.
        """
        ...


@runtime_checkable
class SupportsCheckpoints(Protocol[StateOut]):
    """States from checkpoints in the framework's own form."""

    def load(self, checkpoint: Any, /) -> StateOut:
        """State with the parameters and buffers of `checkpoint`, and a fresh optimiser."""
        ...


@runtime_checkable
class SupportsSerialization(Protocol[State]):
    """States as named arrays, for a store and for other processes."""

    def to_arrays(self, state: State, /) -> Mapping[str, NDArray[Any]]:
        """The whole state, optimiser included, in NumPy arrays of numbers.

        No later step changes the arrays.
        """
        ...

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], /) -> State:
        """The same state, bit for bit, in any process with a backend of the same model."""
        ...


@runtime_checkable
class SupportsEnsemble(Protocol[StateIn, Batch]):
    """Many states evaluated in one call, if that is faster than one call each."""

    def stack(self, states: Sequence[StateIn], /) -> Any:
        """The states as one opaque value, in this order.

        It is valid until one of the states is given away.
        """
        ...

    def forward_many(self, stacked: Any, batch: Batch, /) -> Array:
        """Losses of shape (m, b). Row i equals `forward` with states[i], up to rounding."""
        ...


@runtime_checkable
class SupportsStructure(Protocol):
    """The content of a model besides its parameters, which a store compares."""

    def structure(self) -> Any:
        """The parts of the model for `gexcore.backend.structure.structure_of`.

        They are modules, settings, functions and plain values. Equal models have equal parts in
        every process.
        """
        ...


@runtime_checkable
class SupportsDatasets(Protocol):
    """Datasets in the framework's own form."""

    def dataset(self, data: Any, /) -> Dataset[Any] | None:
        """The native dataset as a `Dataset`, or None if the framework does not know it."""
        ...
