"""Passes: functions of a call, parameters and buffers, which are traced and then compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from gexcore_tensorflow import buffers as kept
from gexcore_tensorflow import curvature, features, kronecker
from gexcore_tensorflow.data import Call
from gexcore_tensorflow.losses import Loss, full, scores_of, squared_error
from gexcore_tensorflow.network import Network, Pass
from gexcore_tensorflow.optimizers import Rule


@dataclass(frozen=True, eq=False)
class Passes:
    """The model, its loss and its optimiser, in evaluation mode if nothing else is said.

    Parameters
    ----------
    network : Network
    loss : Loss
    rule : Rule
    normalising, dense, weights : list
        Layers for `statistics`, `features` and `factors`.
    """

    network: Network
    loss: Loss
    rule: Rule
    normalising: Sequence[Any]
    dense: Sequence[Any]
    weights: Sequence[kronecker.Weights]

    def evaluate(self, call: Call, bound: Any, buffers: Any) -> tf.Tensor:
        """Losses of shape (b,), by which a pass is differentiated."""
        return self.loss.value(self._output(call, bound, buffers), call.target)

    def outputs(self, call: Call, params: Any, buffers: Any) -> Any:
        """The model's output, before a final softmax."""
        output = self._output(call, self.network.bind(params), buffers)
        # a loss of numbers compares the output itself
        scores = output if self.loss.value is squared_error else scores_of(output)
        return tf.nest.map_structure(full, scores)

    def losses(self, call: Call, params: Any, buffers: Any) -> tf.Tensor:
        """Losses of shape (b,)."""
        return self.evaluate(call, self.network.bind(params), buffers)

    def parts(self, call: Call, params: Any, buffers: Any) -> tf.Tensor:
        """Losses of parts, shape (b, …)."""
        parts = self.loss.parts or self.loss.value
        return parts(self._output(call, self.network.bind(params), buffers), call.target)

    def training(self, call: Call, params: Any, buffers: Any, seed: Any) -> tf.Tensor:
        """Losses of shape (b,) in training mode."""
        return self._train(call, self.network.bind(params), buffers, seed)[0]

    def step(self, call: Call, params: Any, buffers: Any, slots: Any, rates: Any, seed: Any) -> Any:
        """Params and slots after a step, changed buffers, and losses before the step."""
        bound = self.network.bind(params)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(bound)
            losses, done = self._train(call, bound, buffers, seed)
            loss = tf.reduce_mean(losses)
        gradient = curvature.dense(tape.gradient(loss, bound, unconnected_gradients="zero"))
        params, slots = self.rule.step(params, gradient, slots, rates)
        return params, slots, done.changed, losses

    def statistics(self, call: Call, params: Any, buffers: Any) -> Any:
        """The part of the batch in the moving statistics."""
        return kept.batch_statistics(self.network, self.normalising, params, buffers, call.inputs)

    def derivatives(self, call: Call, params: Any, buffers: Any, tangents: Any) -> tf.Tensor:
        """Derivative of each loss along the tangents, shape (b,)."""
        bound = self.network.bind(params)
        jvp = curvature.jvp_reverse if self.network.variables else curvature.jvp_forward
        return jvp(lambda: self.evaluate(call, bound, buffers), bound, tangents)

    def curvature(self, call: Call, params: Any, buffers: Any, tangents: Any) -> Any:
        """Hessian of the mean loss times the tangents."""
        bound = self.network.bind(params)
        return curvature.hvp(lambda: self.evaluate(call, bound, buffers), bound, tangents)

    def features(self, call: Call, params: Any, buffers: Any) -> Any:
        """Inputs of the last Dense layer that runs, shape (b, h), and b."""
        return features.last_inputs(self.dense, self.losses, call, params, buffers)

    def factors(self, call: Call, params: Any, buffers: Any) -> Any:
        """Kronecker factors of the layers."""
        return kronecker.moments(self.weights, self.losses, call, params, buffers)

    def _output(self, call: Call, bound: Any, buffers: Any) -> Any:
        return self.network(bound, buffers, call.inputs, training=False).output

    def _train(self, call: Call, bound: Any, buffers: Any, seed: Any) -> tuple[tf.Tensor, Pass]:
        done = self.network(bound, buffers, call.inputs, training=True, seed=seed)
        return self.loss.value(done.output, call.target), done
