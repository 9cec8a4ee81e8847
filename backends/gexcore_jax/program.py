"""The model, its loss and its optimiser as compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from gexcore.backend.losses import scores_of
from gexcore_jax import curvature, gradients
from gexcore_jax.buffers import Leaves, batch_statistics, merged, updated
from gexcore_jax.data import Call
from gexcore_jax.features import features
from gexcore_jax.kronecker import Factors, factors
from gexcore_jax.models import checked
from gexcore_jax.optimizers import Rule
from gexcore_jax.reading import Closing, opened_up
from gexcore_jax.state import Stacked


class Program:
    """Compiled functions of parameters and buffers, once per shape of a batch.

    Parameters
    ----------
    apply : callable
        Function of `gexcore_jax.models.JaxModel`.
    loss : callable
        Function from model output and target to losses of shape (b,).
    rule : Rule
    closing : {"softmax", "sigmoid"}, optional
        Last operation of the model, see `gexcore_jax.reading`.
    parts : callable, optional
        Function as `loss` to losses of parts, shape (b, …).

    Attributes
    ----------
    outputs, losses, parts : callable
        (params, buffers, call) in evaluation mode; `parts` are losses of shape (b, …).
    derivatives, curvature : callable
        (params, buffers, call, tangent): derivative of each loss along the tangent, shape (b,), and
        Hessian of the mean loss times the tangent, shape (p,).
    gradients, features, factors : callable
        (params, buffers, call) in evaluation mode: gradients, shape (b, p), inputs of the last
        linear layer, shape (b, h), and Kronecker factors of the layers.
    ensemble : callable
        (stacked, call): losses of shape (m, b) in evaluation mode.
    training : callable
        (params, buffers, call, seed): losses in training mode, and changed buffers.
    step : callable
        (params, memory, buffers, call, lr, seed): params and memory after a step, changed buffers,
        and losses before the step. The old params and memory are used up.
    statistics : callable
        (params, buffers, call): contribution of the batch to the running averages.
    """

    def __init__(
        self,
        apply: Callable[..., tuple[Any, Any]],
        loss: Callable[[Any, Any], jax.Array],
        rule: Rule,
        closing: Closing | None = None,
        parts: Callable[[Any, Any], jax.Array] | None = None,
    ) -> None:
        self._loss_of_parts = parts or loss
        self._closing = closing
        self._apply = apply
        self._loss = loss
        self._rule = rule
        self.outputs = jax.jit(self._outputs)
        self.losses = jax.jit(self._losses)
        self.parts = jax.jit(self._parts)
        self.derivatives = jax.jit(self._derivatives)
        self.curvature = jax.jit(self._curvature)
        self.gradients = jax.jit(self._gradients)
        # they give the device even if no parameter comes before the layer
        self.features = jax.jit(self._features, keep_unused=True)
        self.factors = jax.jit(self._factors)
        self.ensemble = jax.jit(self._ensemble)
        self.training = jax.jit(self._training)
        # buffers are not given away, because all states share the constants among them
        self.step = jax.jit(self._step, donate_argnums=(0, 1))
        self.statistics = jax.jit(self._statistics)

    def _run(
        self, params: Any, buffers: Any, call: Call, *, training: bool, seed: Any = 0
    ) -> tuple[Any, Any]:
        scores, new = checked(
            self._apply(
                params,
                buffers,
                *call.args,
                **call.kwargs,
                training=training,
                key=jax.random.key(seed),
            )
        )
        return opened_up(scores_of(scores), self._closing), new

    def _outputs(self, params: Any, buffers: Any, call: Call) -> Any:
        return self._run(params, buffers, call, training=False)[0]

    def _losses(self, params: Any, buffers: Any, call: Call) -> jax.Array:
        return self._loss(self._outputs(params, buffers, call), call.target)

    def _parts(self, params: Any, buffers: Any, call: Call) -> jax.Array:
        return self._loss_of_parts(self._outputs(params, buffers, call), call.target)

    def _derivatives(self, params: Any, buffers: Any, call: Call, tangent: Any) -> jax.Array:
        return curvature.jvp(lambda values: self._losses(values, buffers, call), params, tangent)

    def _curvature(self, params: Any, buffers: Any, call: Call, tangent: Any) -> jax.Array:
        return curvature.hvp(lambda values: self._losses(values, buffers, call), params, tangent)

    def _gradients(self, params: Any, buffers: Any, call: Call) -> jax.Array:
        return gradients.of_samples(
            lambda values, sample: self._losses(values, buffers, sample), params, call
        )

    def _features(self, params: Any, buffers: Any, call: Call) -> jax.Array:
        return features(self._outputs, params, buffers, call)

    def _factors(self, params: Any, buffers: Any, call: Call) -> list[Factors]:
        return factors(self._outputs, self._loss, params, buffers, call)

    def _ensemble(self, stacked: Stacked, call: Call) -> jax.Array:
        def one(state: tuple[Any, Leaves]) -> jax.Array:
            params, own = state
            return self._losses(params, merged(stacked.shared, own), call)

        # one after the other: vectorised convolutions and attention take half as long again
        losses: jax.Array = jax.lax.map(one, (stacked.params, stacked.own))
        return losses

    def _training(
        self, params: Any, buffers: Any, call: Call, seed: Any
    ) -> tuple[jax.Array, Leaves]:
        scores, new = self._run(params, buffers, call, training=True, seed=seed)
        return self._loss(scores, call.target), updated(buffers, new)

    def _step(
        self, params: Any, memory: Any, buffers: Any, call: Call, lr: Any, seed: Any
    ) -> tuple[Any, Any, Leaves, jax.Array]:
        def mean(values: Any) -> tuple[jax.Array, tuple[jax.Array, Leaves]]:
            losses, new = self._training(values, buffers, call, seed)
            return losses.mean(), (losses, new)

        gradient, (losses, new) = jax.grad(mean, has_aux=True)(params)
        params, memory = self._rule.step(params, gradient, memory, lr)
        return params, memory, new, losses

    def _statistics(self, params: Any, buffers: Any, call: Call) -> Leaves:
        # one seed for all batches, so that their order does not matter
        return batch_statistics(lambda old: self._run(params, old, call, training=True)[1], buffers)
