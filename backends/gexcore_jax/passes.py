"""Passes: functions of parameters, buffers and a call, which are traced and then compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from gexcore.backend.losses import scores_of
from gexcore_jax import curvature, features, gradients, kronecker
from gexcore_jax.buffers import Leaves, batch_statistics, merged, updated
from gexcore_jax.data import Call
from gexcore_jax.losses import Loss
from gexcore_jax.models import checked
from gexcore_jax.optimizers import Rule
from gexcore_jax.reading import Closing, opened_up
from gexcore_jax.state import Stacked


@dataclass(frozen=True, eq=False)
class Passes:
    """The model, its loss and its optimiser, in evaluation mode if nothing else is said.

    Parameters
    ----------
    apply : callable
        Function of `gexcore_jax.models.JaxModel`.
    loss : Loss
    rule : Rule
    closing : {"softmax", "sigmoid"}, optional
        Last operation of the model, see `gexcore_jax.reading`.
    """

    apply: Callable[..., tuple[Any, Any]]
    loss: Loss
    rule: Rule
    closing: Closing | None = None

    def outputs(self, params: Any, buffers: Any, call: Call) -> Any:
        """The model's output."""
        return self._run(params, buffers, call, training=False)[0]

    def losses(self, params: Any, buffers: Any, call: Call) -> jax.Array:
        """Losses of shape (b,)."""
        return self.loss.value(self.outputs(params, buffers, call), call.target)

    def parts(self, params: Any, buffers: Any, call: Call) -> jax.Array:
        """Losses of parts, shape (b, …)."""
        parts = self.loss.parts or self.loss.value
        return parts(self.outputs(params, buffers, call), call.target)

    def ensemble(self, stacked: Stacked, call: Call) -> jax.Array:
        """Losses of shape (m, b)."""

        def one(state: tuple[Any, Leaves]) -> jax.Array:
            params, own = state
            return self.losses(params, merged(stacked.shared, own), call)

        # one after the other: vectorised convolutions and attention take half as long again
        losses: jax.Array = jax.lax.map(one, (stacked.params, stacked.own))
        return losses

    def training(
        self, params: Any, buffers: Any, call: Call, seed: Any
    ) -> tuple[jax.Array, Leaves]:
        """Losses in training mode, and changed buffers."""
        scores, new = self._run(params, buffers, call, training=True, seed=seed)
        return self.loss.value(scores, call.target), updated(buffers, new)

    def step(
        self, params: Any, memory: Any, buffers: Any, call: Call, lr: Any, seed: Any
    ) -> tuple[Any, Any, Leaves, jax.Array]:
        """Params and memory after a step, changed buffers, and losses before the step."""

        def mean(values: Any) -> tuple[jax.Array, tuple[jax.Array, Leaves]]:
            losses, new = self.training(values, buffers, call, seed)
            return losses.mean(), (losses, new)

        gradient, (losses, new) = jax.grad(mean, has_aux=True)(params)
        params, memory = self.rule.step(params, gradient, memory, lr)
        return params, memory, new, losses

    def statistics(self, params: Any, buffers: Any, call: Call) -> Leaves:
        """Contribution of the batch to the running averages."""
        # one seed for all batches, so that their order does not matter
        return batch_statistics(lambda old: self._run(params, old, call, training=True)[1], buffers)

    def derivatives(self, params: Any, buffers: Any, call: Call, tangent: Any) -> jax.Array:
        """Derivative of each loss along the tangent, shape (b,)."""
        return curvature.jvp(lambda values: self.losses(values, buffers, call), params, tangent)

    def curvature(self, params: Any, buffers: Any, call: Call, tangent: Any) -> jax.Array:
        """Hessian of the mean loss times the tangent, shape (p,)."""
        return curvature.hvp(lambda values: self.losses(values, buffers, call), params, tangent)

    def gradients(self, params: Any, buffers: Any, call: Call) -> jax.Array:
        """Gradients of shape (b, p)."""
        return gradients.of_samples(
            lambda values, sample: self.losses(values, buffers, sample), params, call
        )

    def features(self, params: Any, buffers: Any, call: Call) -> jax.Array:
        """Inputs of the last linear layer, shape (b, h)."""
        return features.features(self.outputs, params, buffers, call)

    def factors(self, params: Any, buffers: Any, call: Call) -> list[kronecker.Factors]:
        """Kronecker factors of the layers."""
        return kronecker.factors(self.outputs, self.loss.value, params, buffers, call)

    def _run(
        self, params: Any, buffers: Any, call: Call, *, training: bool, seed: Any = 0
    ) -> tuple[Any, Any]:
        scores, new = checked(
            self.apply(
                params,
                buffers,
                *call.args,
                **call.kwargs,
                training=training,
                key=jax.random.key(seed),
            )
        )
        return opened_up(scores_of(scores), self.closing), new
