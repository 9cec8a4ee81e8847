"""Keras models and TensorFlow modules behind gexcore's contract."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Dataset,
    SupportsBufferRefresh,
    SupportsFeatures,
    SupportsKronecker,
    SupportsLogits,
    SupportsPartLosses,
)
from gexcore.backend.refusals import check_batches
from gexcore_tensorflow import serialization, vectors
from gexcore_tensorflow.buffers import normalising, size_of
from gexcore_tensorflow.data import Placement, dataset_of
from gexcore_tensorflow.features import dense_layers
from gexcore_tensorflow.kronecker import weights_of
from gexcore_tensorflow.losses import loss_of
from gexcore_tensorflow.models import inputs_of, network_of
from gexcore_tensorflow.names import known_loss
from gexcore_tensorflow.network import Network
from gexcore_tensorflow.optimizers import Memory, rule_of
from gexcore_tensorflow.passes import Passes
from gexcore_tensorflow.program import Program
from gexcore_tensorflow.sampling import check_drawable, drawn_targets
from gexcore_tensorflow.selection import loaded, only
from gexcore_tensorflow.state import TensorFlowState
from gexcore_tensorflow.structure import structure


class TensorFlowBackend:
    """A Keras model or ``tf.Module`` as a `Backend`. Several threads may use it.

    θ* are the model's values at construction. The model runs with other values in place of its
    variables, and never changes. (A ``tf.Module`` is copied for that.) Do not change its layers
    meanwhile. Every method is traced once for all sizes of a batch. Returned arrays are NumPy
    arrays.

    Parameters
    ----------
    model : keras.Model, keras.layers.Layer or tf.Module
        Model of Keras 3 on TensorFlow: sequential, functional or subclassed, called at least once.
        ``trainable=False`` is respected. Randomness of training must come from Keras, or be
        stateless.
    loss : {"cross_entropy", "squared_error", "binary_cross_entropy"} or callable, optional
        Cross-entropies use scores. If the model ends in a softmax (or sigmoid), they use its
        inputs. A callable takes the model's output and the target, and returns losses of shape
        (b,). It may be a Keras loss with ``reduction=None``.
    optimizer : Optimizer
        A callable name is ``() -> keras.optimizers.Optimizer``.

    Raises
    ------
    InvalidModelError
        If the model is of another kind or has nothing to train, or the loss or optimiser is
        unknown.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> from gexcore_tensorflow.backend import TensorFlowBackend
    >>> backend = TensorFlowBackend(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    >>> backend.forward(backend.initial_state(), (np.zeros((2, 4)), np.array([0, 2]))).round(3)
    array([1.099, 1.099], dtype=float32)
    """

    name = "tensorflow"

    def __init__(
        self,
        model: Any,
        *,
        loss: str | Callable[..., Any] | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        self._model = model
        self._network = network_of(model)
        loss = known_loss(loss, model)
        self.loss_name = loss if isinstance(loss, str) else None
        self._loss = loss_of(loss)
        self._settings: dict[str, Any] = {"loss": loss, "optimizer": optimizer}
        params = self._network.params
        rule = rule_of(optimizer or Optimizer(), params)
        self._placement = Placement.of(params)
        self._initial = TensorFlowState(params, self._network.buffers, Memory(0, rule.fresh))
        passes = Passes(
            self._network,
            self._loss,
            rule,
            normalising(self._network),
            dense_layers(self._network),
            weights_of(self._network),
        )
        self._program = Program(passes, self._placement.device)
        self.unsupported: frozenset[type] = frozenset(
            ([] if passes.normalising else [SupportsBufferRefresh])
            + ([SupportsLogits] if loss in ("squared_error", "binary_cross_entropy") else [])
            + ([SupportsLogits] if len(self._described("outputs")) > 1 else [])
            + ([] if self._loss.parts else [SupportsPartLosses])
            + ([] if passes.dense else [SupportsFeatures])
            + ([] if passes.weights else [SupportsKronecker])
        )

    @property
    def most_inputs(self) -> int | None:
        """Number of inputs of a Keras model; None where it is not known."""
        return len(self._described("inputs")) or inputs_of(self._network)

    def _described(self, name: str) -> list[Any]:
        """Inputs or outputs of a functional model; none of another model."""
        found = getattr(getattr(self._network, "model", None), name, None)
        return found if isinstance(found, list) else []

    @property
    def input_names(self) -> Collection[str] | None:
        """Names of the inputs of a functional model of a mapping."""
        struct = getattr(getattr(self._network, "model", None), "_inputs_struct", None)
        return frozenset(struct) if isinstance(struct, Mapping) else None

    def structure(self) -> Any:
        """The layers with their settings."""
        return structure(self._model)

    def initial_state(self) -> TensorFlowState:
        """State with θ*, its buffers and a fresh optimiser; equal on every call."""
        return self._initial

    def restart(self, state: TensorFlowState, /) -> TensorFlowState:
        """State with the same parameters and buffers, and a fresh optimiser."""
        return state._replace(memory=self._initial.memory)

    def copy(self, state: TensorFlowState, /) -> TensorFlowState:
        """The state itself, which cannot change."""
        return state

    def forward(self, state: TensorFlowState, batch: Any, /) -> NDArray[Any]:
        """Losses of shape (b,) in evaluation mode."""
        return self._program.losses(state, self._placement.call(batch))

    def part_losses(self, state: TensorFlowState, batch: Any, /) -> NDArray[Any]:
        """Losses of labels, tokens, pixels or outputs in evaluation mode, shape (b, …)."""
        return self._program.parts(state, self._placement.call(batch))

    def logits(self, state: TensorFlowState, batch: Any, /) -> Any:
        """The model's output in evaluation mode, before a final softmax; (b, K) for classifiers.

        Raises
        ------
        InvalidModelError
            If the output is probabilities and the loss needs scores.
        """
        return self._program.outputs(state, self._placement.call(batch))

    def training_losses(self, state: TensorFlowState, batch: Any, /, *, seed: int) -> NDArray[Any]:
        """Losses of shape (b,) in training mode; no step."""
        return self._program.training(state, self._placement.call(batch), seed)

    def sgd_step(
        self, state: TensorFlowState, batch: Any, /, *, lr: float, seed: int
    ) -> TensorFlowState:
        """State after one step on the mean loss of the batch, in training mode."""
        return self.sgd_step_(state, batch, lr=lr, seed=seed)[0]

    def sgd_step_(
        self, state: TensorFlowState, batch: Any, /, *, lr: float, seed: int
    ) -> tuple[TensorFlowState, NDArray[Any]]:
        """State after a step, and the losses before the update. `state` stays valid."""
        return self._program.step(state, self._placement.call(batch), lr, seed)

    def refresh_buffers(self, state: TensorFlowState, batches: Sequence[Any], /) -> TensorFlowState:
        """State with new statistics of its BatchNormalization layers.

        Each batch counts equally. Only these layers are in training mode meanwhile. The variance is
        unbiased.
        """
        check_batches(batches)
        return self._program.statistics(state, map(self._placement.call, batches))

    def ravel(self, state: TensorFlowState, /) -> NDArray[Any]:
        """Trainable parameters in the order of ``trainable_variables``, shape (p,)."""
        return vectors.ravel(state.params)

    def unravel(self, state: TensorFlowState, flat: Any, /) -> TensorFlowState:
        """State with these parameters, the same buffers and a fresh optimiser."""
        return self.restart(state._replace(params=self._program.split(flat, state.params)))

    def jvp(self, state: TensorFlowState, tangent: Any, batch: Any, /) -> NDArray[Any]:
        """Derivative of each loss along `tangent`, shapes (b,) and (p,), in evaluation mode."""
        return self._program.derivatives(state, self._placement.call(batch), tangent)

    def hvp(self, state: TensorFlowState, tangent: Any, batch: Any, /) -> NDArray[Any]:
        """Hessian of the mean loss times `tangent`, shape (p,), in evaluation mode."""
        return self._program.curvature(state, self._placement.call(batch), tangent)

    def sample_gradients(self, state: TensorFlowState, batch: Any, /) -> NDArray[Any]:
        """Gradients of each loss, shape (b, p), in evaluation mode."""
        return self._program.gradients(state, self._placement.call(batch))

    def features(self, state: TensorFlowState, batch: Any, /) -> NDArray[Any]:
        """Inputs of the last Dense layer that runs, shape (b, h), in evaluation mode.

        Raises
        ------
        InvalidModelError
            If no such layer runs, or the last one gets no row or block of rows per sample.
        """
        return self._program.features(state, self._placement.call(batch))

    def kronecker(
        self, state: TensorFlowState, batch: Any, /, *, seed: int | None
    ) -> list[KroneckerBlock]:
        """Statistics of Dense and ungrouped Conv1D and Conv2D layers.

        Layers have their own kernel and are called once.
        """
        if seed is not None:
            check_drawable(self._loss, self._settings["loss"])
        call = self._placement.call(batch)
        b = len(self._program.losses(state, call))
        if seed is not None:
            output, target = self._program.outputs(state, call), call.target.numpy()
            drawn = drawn_targets(self._loss, output, target, seed)
            call = call._replace(target=self._placement.place(drawn, target=True))
        return self._program.factors(state, call, b)

    def parameter_names(self) -> Mapping[str, int]:
        """Paths of the trainable variables. In a ``tf.Module``, paths of its attributes."""
        return dict(zip(self._network.names, map(vectors.size, self._network.params), strict=True))

    def model_size(self) -> int:
        """Number of all parameters, with frozen ones, without statistics of normalisation."""
        return size_of(self._network)

    def select(self, names: Collection[str], /) -> TensorFlowBackend:
        """The same backend, with only these parameters trainable. Nothing else changes."""
        return self._like(only(self._network, names))

    def with_optimizer(self, optimizer: Optimizer, /) -> TensorFlowBackend:
        """The same model and loss with another optimiser."""
        return self._like(self._network, optimizer=optimizer)

    def _like(self, network: Network, **changed: Any) -> TensorFlowBackend:
        other = TensorFlowBackend(network, **{**self._settings, **changed})
        other._model = self._model
        return other

    def load(self, checkpoint: Any, /) -> TensorFlowState:
        """State of a model of the same architecture, or of its ``get_weights()``.

        Frozen weights come from the checkpoint too.
        """
        with tf.device(self._placement.device):
            return TensorFlowState(*loaded(self._network, checkpoint), self._initial.memory)

    def to_arrays(self, state: TensorFlowState, /) -> Mapping[str, NDArray[Any]]:
        """All tensors of the state that are not shared with θ*."""
        return serialization.to_arrays(state, self._initial)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], /) -> TensorFlowState:
        """The state that `to_arrays` wrote."""
        with tf.device(self._placement.device):
            return serialization.from_arrays(arrays, self._initial)

    def dataset(self, data: Any, /) -> Dataset[Any] | None:
        """A ``tf.data.Dataset``, or tensors in a tuple or mapping, as a dataset, else None."""
        return dataset_of(data)
