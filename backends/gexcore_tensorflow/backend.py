"""Keras models and TensorFlow modules behind gexcore's contract."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.backend.data import to_numpy
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
from gexcore_tensorflow import curvature, serialization
from gexcore_tensorflow.batchnorm import batch_statistics, normalising
from gexcore_tensorflow.data import Call, Placement, dataset_of
from gexcore_tensorflow.gradients import SampleGradients
from gexcore_tensorflow.kronecker import blocks, moments, weights_of
from gexcore_tensorflow.losses import (
    check_scores,
    cross_entropy,
    full,
    loss_of,
    scores_of,
    squared_error,
)
from gexcore_tensorflow.models import inputs_of, network_of
from gexcore_tensorflow.names import known_loss
from gexcore_tensorflow.network import Pass, Tensors
from gexcore_tensorflow.optimizers import Memory, rule_of
from gexcore_tensorflow.sampling import check_drawable, drawn_targets
from gexcore_tensorflow.selection import loaded, only
from gexcore_tensorflow.state import TensorFlowState
from gexcore_tensorflow.structure import structure
from gexcore_tensorflow.tracing import Traced
from gexcore_tensorflow.watching import checked_features, dense_layers, last_inputs


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
        self._rule = rule_of(optimizer or Optimizer(), params)
        self._placement = Placement.of(params)
        self._initial = TensorFlowState(params, self._network.buffers, Memory(0, self._rule.fresh))
        self._normalising = normalising(self._network)
        self._dense = dense_layers(self._network)
        self._weights = weights_of(self._network)
        self.unsupported: frozenset[type] = frozenset(
            ([] if self._normalising else [SupportsBufferRefresh])
            + ([SupportsLogits] if loss in ("squared_error", "binary_cross_entropy") else [])
            + ([SupportsLogits] if len(self._described("outputs")) > 1 else [])
            + ([] if self._loss.parts else [SupportsPartLosses])
            + ([] if self._dense else [SupportsFeatures])
            + ([] if self._weights else [SupportsKronecker])
        )
        variables = [*self._network.variables, *self._rule.variables]
        self._turn = threading.Lock() if variables else nullcontext()
        self._losses = Traced(self._evaluated, variables)
        self._parts = Traced(self._parted, variables)
        self._scores = Traced(self._scored, variables)
        self._training_losses = Traced(self._trained, variables)
        self._step = Traced(self._stepped, variables)
        self._statistics = Traced(self._seen, variables)
        self._jvp = Traced(self._pushed, variables)
        self._hvp = Traced(self._bent, variables)
        self._sample_gradients = SampleGradients(self._network, self._evaluate, variables)
        self._last_inputs = Traced(partial(last_inputs, self._dense, self._evaluated), variables)
        self._moments = Traced(partial(moments, self._weights, self._evaluated), variables)

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
        losses: NDArray[Any] = self._run(self._losses, state, batch).numpy()
        if self._loss.check is not None and np.isnan(losses).any():
            # a forbidden target, or a diverged member
            self._loss.check(
                self.logits(state, batch).shape[-1], self._placement.call(batch).target.numpy()
            )
        return losses

    def part_losses(self, state: TensorFlowState, batch: Any, /) -> NDArray[Any]:
        """Losses of labels, tokens, pixels or outputs in evaluation mode, shape (b, …)."""
        losses: NDArray[Any] = self._run(self._parts, state, batch).numpy()
        return losses

    def logits(self, state: TensorFlowState, batch: Any, /) -> Any:
        """The model's output in evaluation mode, before a final softmax; (b, K) for classifiers.

        Raises
        ------
        InvalidModelError
            If the output is probabilities and the loss needs scores.
        """
        scores = tf.nest.map_structure(
            lambda part: part.numpy(), self._run(self._scores, state, batch)
        )
        if self._loss.value is cross_entropy:
            check_scores(scores)
        return scores

    def training_losses(self, state: TensorFlowState, batch: Any, /, *, seed: int) -> NDArray[Any]:
        """Losses of shape (b,) in training mode; no step."""
        losses: NDArray[Any] = self._run(
            self._training_losses, state, batch, tf.constant(seed, tf.int64)
        ).numpy()
        return losses

    def sgd_step(
        self, state: TensorFlowState, batch: Any, /, *, lr: float, seed: int
    ) -> TensorFlowState:
        """State after one step on the mean loss of the batch, in training mode."""
        return self.sgd_step_(state, batch, lr=lr, seed=seed)[0]

    def sgd_step_(
        self, state: TensorFlowState, batch: Any, /, *, lr: float, seed: int
    ) -> tuple[TensorFlowState, NDArray[Any]]:
        """State after a step, and the losses before the update. `state` stays valid."""
        steps = state.memory.steps + 1
        # scalars one by one: a list takes several times as long to convert
        rates = [tf.constant(rate, tf.float64) for rate in self._rule.rates(float(lr), steps)]
        params, slots, changed, losses = self._run(
            self._step, state, batch, state.memory.slots, rates, tf.constant(seed, tf.int64)
        )
        buffers = tuple(changed.get(number, kept) for number, kept in enumerate(state.buffers))
        return TensorFlowState(tuple(params), buffers, Memory(steps, tuple(slots))), losses.numpy()

    def refresh_buffers(self, state: TensorFlowState, batches: Sequence[Any], /) -> TensorFlowState:
        """State with new statistics of its BatchNormalization layers.

        Each batch counts equally. Only these layers are in training mode meanwhile. The variance is
        unbiased.
        """
        check_batches(batches)
        parts = [self._run(self._statistics, state, batch) for batch in batches]
        buffers = list(state.buffers)
        for number in parts[0]:
            buffers[number] = tf.add_n([part[number] for part in parts]) / len(parts)
        return state._replace(buffers=tuple(buffers))

    def ravel(self, state: TensorFlowState, /) -> NDArray[Any]:
        """Trainable parameters in the order of ``trainable_variables``, shape (p,)."""
        return curvature.ravel(state.params)

    def unravel(self, state: TensorFlowState, flat: Any, /) -> TensorFlowState:
        """State with these parameters, the same buffers and a fresh optimiser."""
        return self.restart(state._replace(params=self._split(flat)))

    def jvp(self, state: TensorFlowState, tangent: Any, batch: Any, /) -> NDArray[Any]:
        """Derivative of each loss along `tangent`, shapes (b,) and (p,), in evaluation mode."""
        along: NDArray[Any] = self._run(self._jvp, state, batch, self._split(tangent)).numpy()
        return along

    def hvp(self, state: TensorFlowState, tangent: Any, batch: Any, /) -> NDArray[Any]:
        """Hessian of the mean loss times `tangent`, shape (p,), in evaluation mode."""
        return curvature.ravel(self._run(self._hvp, state, batch, self._split(tangent)))

    def sample_gradients(self, state: TensorFlowState, batch: Any, /) -> NDArray[Any]:
        """Gradients of each loss, shape (b, p), in evaluation mode."""
        gradients: NDArray[Any] = self._run(
            self._sample_gradients, state, batch, self.forward(state, batch)
        )
        return gradients

    def features(self, state: TensorFlowState, batch: Any, /) -> NDArray[Any]:
        """Inputs of the last Dense layer that runs, shape (b, h), in evaluation mode.

        Raises
        ------
        InvalidModelError
            If no such layer runs, or the last one gets no row or block of rows per sample.
        """
        inputs, b = self._run(self._last_inputs, state, batch)
        return checked_features(inputs.numpy(), int(b))

    def kronecker(
        self, state: TensorFlowState, batch: Any, /, *, seed: int | None
    ) -> list[KroneckerBlock]:
        """Statistics of Dense and ungrouped Conv1D and Conv2D layers.

        Layers have their own kernel and are called once.
        """
        if seed is not None:
            check_drawable(self._loss, self._settings["loss"])
        losses, call = self.forward(state, batch), self._placement.call(batch)
        if seed is not None:
            call = call._replace(
                target=drawn_targets(
                    self._loss, self.logits(state, batch), call.target.numpy(), seed
                )
            )
        return blocks(self._weights, self._run(self._moments, state, call), len(losses))

    def parameter_names(self) -> Mapping[str, int]:
        """Paths of the trainable variables. In a ``tf.Module``, paths of its attributes."""
        return dict(
            zip(self._network.names, map(curvature.size, self._network.params), strict=True)
        )

    def select(self, names: Collection[str], /) -> TensorFlowBackend:
        """The same backend, with only these parameters trainable. Nothing else changes."""
        return TensorFlowBackend(only(self._network, names), **self._settings)

    def with_optimizer(self, optimizer: Optimizer, /) -> TensorFlowBackend:
        """The same model and loss with another optimiser."""
        return TensorFlowBackend(self._network, **{**self._settings, "optimizer": optimizer})

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

    def _split(self, flat: Any) -> Tensors:
        with tf.device(self._placement.device):
            return curvature.split(to_numpy(flat), self._initial.params)

    def _run(
        self, traced: Callable[..., Any], state: TensorFlowState, batch: Any, *args: Any
    ) -> Any:
        with self._turn, tf.device(self._placement.device):
            return traced(self._placement.call(batch), state.params, state.buffers, *args)

    # from here on the code is traced

    def _evaluate(self, call: Call, bound: Any, buffers: Any) -> tf.Tensor:
        return self._loss.value(
            self._network(bound, buffers, call.inputs, training=False).output, call.target
        )

    def _evaluated(self, call: Call, params: Any, buffers: Any) -> tf.Tensor:
        return self._evaluate(call, self._network.bind(params), buffers)

    def _parted(self, call: Call, params: Any, buffers: Any) -> tf.Tensor:
        parts = self._loss.parts or self._loss.value
        bound = self._network.bind(params)
        done = self._network(bound, buffers, call.inputs, training=False)
        return parts(done.output, call.target)

    def _scored(self, call: Call, params: Any, buffers: Any) -> Any:
        output = self._network(
            self._network.bind(params), buffers, call.inputs, training=False
        ).output
        # a loss of numbers compares the output itself
        scores = output if self._loss.value is squared_error else scores_of(output)
        return tf.nest.map_structure(full, scores)

    def _train(self, call: Call, bound: Any, buffers: Any, seed: Any) -> tuple[tf.Tensor, Pass]:
        done = self._network(bound, buffers, call.inputs, training=True, seed=seed)
        return self._loss.value(done.output, call.target), done

    def _trained(self, call: Call, params: Any, buffers: Any, seed: Any) -> tf.Tensor:
        return self._train(call, self._network.bind(params), buffers, seed)[0]

    def _stepped(
        self, call: Call, params: Any, buffers: Any, slots: Any, rates: Any, seed: Any
    ) -> Any:
        bound = self._network.bind(params)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(bound)
            losses, done = self._train(call, bound, buffers, seed)
            loss = tf.reduce_mean(losses)
        gradient = curvature.dense(tape.gradient(loss, bound, unconnected_gradients="zero"))
        params, slots = self._rule.step(params, gradient, slots, rates)
        return params, slots, done.changed, losses

    def _seen(self, call: Call, params: Any, buffers: Any) -> Any:
        return batch_statistics(self._network, self._normalising, params, buffers, call.inputs)

    def _pushed(self, call: Call, params: Any, buffers: Any, tangents: Any) -> tf.Tensor:
        bound = self._network.bind(params)
        jvp = curvature.jvp_reverse if self._network.variables else curvature.jvp_forward
        return jvp(lambda: self._evaluate(call, bound, buffers), bound, tangents)

    def _bent(self, call: Call, params: Any, buffers: Any, tangents: Any) -> Any:
        bound = self._network.bind(params)
        return curvature.hvp(lambda: self._evaluate(call, bound, buffers), bound, tangents)
