"""The model, its loss and its optimiser as functions of states."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gexcore.backend.data import to_numpy
from gexcore.backend.kronecker import KroneckerBlock
from gexcore_tensorflow import kronecker, vectors
from gexcore_tensorflow.data import Call
from gexcore_tensorflow.features import checked_features
from gexcore_tensorflow.gradients import SampleGradients
from gexcore_tensorflow.losses import check_scores, cross_entropy
from gexcore_tensorflow.network import Tensors
from gexcore_tensorflow.optimizers import Memory
from gexcore_tensorflow.passes import Passes
from gexcore_tensorflow.state import TensorFlowState
from gexcore_tensorflow.tracing import Traced


class Program:
    """Functions of a state and a call, in evaluation mode if nothing else is said.

    Each is traced once for all sizes of a batch. One pass runs at a time where the model or its
    optimiser has variables.

    Parameters
    ----------
    passes : Passes
    device : str
    """

    def __init__(self, passes: Passes, device: str) -> None:
        self._passes = passes
        self._device = device
        network = passes.network
        variables = [*network.variables, *passes.rule.variables]
        self._turn = threading.Lock() if variables else nullcontext()
        self._outputs = Traced(passes.outputs, variables)
        self._losses = Traced(passes.losses, variables)
        self._parts = Traced(passes.parts, variables)
        self._training = Traced(passes.training, variables)
        self._step = Traced(passes.step, variables)
        self._statistics = Traced(passes.statistics, variables)
        self._derivatives = Traced(passes.derivatives, variables)
        self._curvature = Traced(passes.curvature, variables)
        self._gradients = SampleGradients(network, passes.evaluate, variables)
        self._features = Traced(passes.features, variables)
        self._factors = Traced(passes.factors, variables)

    def outputs(self, state: TensorFlowState, call: Call) -> Any:
        """The model's output, before a final softmax.

        Raises
        ------
        InvalidModelError
            If the output is probabilities and the loss needs scores.
        """
        scores = tf.nest.map_structure(
            lambda part: part.numpy(), self._run(self._outputs, state, call)
        )
        if self._passes.loss.value is cross_entropy:
            check_scores(scores)
        return scores

    def losses(self, state: TensorFlowState, call: Call) -> NDArray[Any]:
        """Losses of shape (b,). Forbidden targets are refused."""
        losses: NDArray[Any] = self._run(self._losses, state, call).numpy()
        check = self._passes.loss.check
        if check is not None and np.isnan(losses).any():
            # a forbidden target, or a diverged member
            check(call.target.numpy(), self.outputs(state, call).shape[-1])
        return losses

    def parts(self, state: TensorFlowState, call: Call) -> NDArray[Any]:
        """Losses of parts, shape (b, …)."""
        losses: NDArray[Any] = self._run(self._parts, state, call).numpy()
        return losses

    def training(self, state: TensorFlowState, call: Call, seed: int) -> NDArray[Any]:
        """Losses of shape (b,) in training mode."""
        losses: NDArray[Any] = self._run(
            self._training, state, call, tf.constant(seed, tf.int64)
        ).numpy()
        return losses

    def step(
        self, state: TensorFlowState, call: Call, lr: float, seed: int
    ) -> tuple[TensorFlowState, NDArray[Any]]:
        """State after a step, and the losses before it."""
        steps = state.memory.steps + 1
        # scalars one by one: a list takes several times as long to convert
        numbers = self._passes.rule.rates(float(lr), steps)
        rates = [tf.constant(number, tf.float64) for number in numbers]
        params, slots, changed, losses = self._run(
            self._step, state, call, state.memory.slots, rates, tf.constant(seed, tf.int64)
        )
        buffers = tuple(changed.get(number, kept) for number, kept in enumerate(state.buffers))
        return TensorFlowState(tuple(params), buffers, Memory(steps, tuple(slots))), losses.numpy()

    def statistics(self, state: TensorFlowState, calls: Iterable[Call]) -> TensorFlowState:
        """State with the moving statistics of these batches."""
        parts = [self._run(self._statistics, state, call) for call in calls]
        buffers = list(state.buffers)
        for number in parts[0]:
            buffers[number] = tf.add_n([part[number] for part in parts]) / len(parts)
        return state._replace(buffers=tuple(buffers))

    def derivatives(self, state: TensorFlowState, call: Call, tangent: Any) -> NDArray[Any]:
        """Derivative of each loss along the tangent, shapes (b,) and (p,)."""
        along: NDArray[Any] = self._run(
            self._derivatives, state, call, self.split(tangent, state.params)
        ).numpy()
        return along

    def curvature(self, state: TensorFlowState, call: Call, tangent: Any) -> NDArray[Any]:
        """Hessian of the mean loss times the tangent, shape (p,)."""
        tangents = self.split(tangent, state.params)
        return vectors.ravel(self._run(self._curvature, state, call, tangents))

    def gradients(self, state: TensorFlowState, call: Call) -> NDArray[Any]:
        """Gradients of shape (b, p)."""
        expected = self.losses(state, call)
        gradients: NDArray[Any] = self._run(self._gradients, state, call, expected)
        return gradients

    def features(self, state: TensorFlowState, call: Call) -> NDArray[Any]:
        """Inputs of the last Dense layer that runs, shape (b, h).

        Raises
        ------
        InvalidModelError
            If no such layer runs, or the last one gets no row or block of rows per sample.
        """
        inputs, b = self._run(self._features, state, call)
        return checked_features(inputs.numpy(), int(b))

    def factors(self, state: TensorFlowState, call: Call, b: int) -> list[KroneckerBlock]:
        """Kronecker factors of the layers that see each of the b samples equally often."""
        return kronecker.blocks(self._passes.weights, self._run(self._factors, state, call), b)

    def split(self, flat: Any, params: Tensors) -> Tensors:
        """A vector, shape (p,), as tensors like the parameters, on the device of the model."""
        with tf.device(self._device):
            return vectors.split(to_numpy(flat), params)

    def _run(
        self, traced: Callable[..., Any], state: TensorFlowState, call: Call, *args: Any
    ) -> Any:
        with self._turn, tf.device(self._device):
            return traced(call, state.params, state.buffers, *args)
