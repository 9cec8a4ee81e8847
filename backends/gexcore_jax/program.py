"""The model, its loss and its optimiser as functions of states."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from gexcore_jax import buffers as kept
from gexcore_jax import gradients, vectors
from gexcore_jax.data import Call
from gexcore_jax.kronecker import Factors
from gexcore_jax.passes import Passes
from gexcore_jax.reading import Closing, closing_of, last_operation
from gexcore_jax.state import JaxState, Stacked


class Program:
    """Functions of a state and a call, in evaluation mode if nothing else is said.

    Each is compiled once per shape of a batch. A batch of another size is filled up to one of few
    sizes.

    Parameters
    ----------
    passes : Passes
    """

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._outputs = jax.jit(passes.outputs)
        self._losses = jax.jit(passes.losses)
        self._parts = jax.jit(passes.parts)
        self._ensemble = jax.jit(passes.ensemble)
        self._training = jax.jit(passes.training)
        # buffers are not given away, because all states share the constants among them
        self._step = jax.jit(passes.step, donate_argnums=(0, 1))
        self._statistics = jax.jit(passes.statistics)
        self._derivatives = jax.jit(passes.derivatives)
        self._curvature = jax.jit(passes.curvature)
        self._gradients = jax.jit(passes.gradients)
        # they give the device even if no parameter comes before the layer
        self._features = jax.jit(passes.features, keep_unused=True)
        self._factors = jax.jit(passes.factors)
        # shapes of the outputs, for the check of labels; None until needed
        self._form: Any = None

    def outputs(self, state: JaxState, call: Call) -> Any:
        """The model's output."""
        return self._padded(self._outputs, state, call._replace(target=()))

    def losses(self, state: JaxState, call: Call) -> jax.Array:
        """Losses of shape (b,). Labels of NumPy that are no class are refused."""
        losses: jax.Array = self._padded(self._losses, state, call)
        check = self._passes.loss.check
        if check is not None and isinstance(call.target, np.ndarray):
            if self._form is None:
                self._form = jax.eval_shape(self._outputs, state.params, state.buffers, call)
            check(call.target, self._form.shape[-1])
        return losses

    def parts(self, state: JaxState, call: Call) -> jax.Array:
        """Losses of parts, shape (b, …)."""
        losses: jax.Array = self._padded(self._parts, state, call)
        return losses

    def ensemble(self, stacked: Stacked, call: Call) -> jax.Array:
        """Losses of shape (m, b)."""
        padded = call.padded()
        losses: jax.Array = self._ensemble(stacked, padded)
        return losses if padded is call else losses[:, : call.size]

    def training(self, state: JaxState, call: Call, seed: int) -> jax.Array:
        """Losses of shape (b,) in training mode."""
        losses: jax.Array = self._training(state.params, state.buffers, call, np.uint32(seed))[0]
        return losses

    def step(self, state: JaxState, call: Call, lr: float, seed: int) -> tuple[JaxState, jax.Array]:
        """State after a step, and the losses before it. The old params and memory are used up."""
        params, memory, new, losses = self._step(
            state.params, state.memory, state.buffers, call, float(lr), np.uint32(seed)
        )
        return JaxState(params, kept.merged(state.buffers, new), memory), losses

    def statistics(self, state: JaxState, calls: Iterable[Call]) -> JaxState:
        """State with running averages over these batches."""
        parts = [self._statistics(state.params, state.buffers, call) for call in calls]
        return state._replace(buffers=kept.merged(state.buffers, kept.mean(parts)))

    def derivatives(self, state: JaxState, call: Call, tangent: Any) -> jax.Array:
        """Derivative of each loss along the tangent, shapes (b,) and (p,)."""
        direction = vectors.split(tangent, state.params)
        derivatives: jax.Array = self._padded(self._derivatives, state, call, direction)
        return derivatives

    def curvature(self, state: JaxState, call: Call, tangent: Any) -> jax.Array:
        """Hessian of the mean loss times the tangent, shape (p,)."""
        direction = vectors.split(tangent, state.params)
        product: jax.Array = self._curvature(state.params, state.buffers, call, direction)
        return product

    def gradients(self, state: JaxState, call: Call) -> jax.Array:
        """Gradients of shape (b, p)."""
        try:
            return gradients.in_parts(
                lambda part: self._gradients(state.params, state.buffers, part),
                call,
                vectors.size(state.params),
            )
        except Exception:
            self.check(state, call)
            raise

    def features(self, state: JaxState, call: Call) -> jax.Array:
        """Inputs of the last linear layer, shape (b, h)."""
        found: jax.Array = self._padded(self._features, state, call)
        return found

    def factors(self, state: JaxState, call: Call) -> list[Factors]:
        """Kronecker factors of the layers."""
        factors: list[Factors] = self._factors(state.params, state.buffers, call)
        return factors

    def check(self, state: JaxState, call: Call) -> None:
        """Raise the error of a wrong batch, with the caller's own shapes."""
        jax.eval_shape(self._losses, state.params, state.buffers, call)

    def closing(self, state: JaxState, call: Call, outputs: Any, name: object) -> Closing | None:
        """What closes the model with these outputs under a named loss."""
        last = ""
        if name == "binary_cross_entropy":
            alone = call._replace(target=())
            last = last_operation(self._outputs, state.params, state.buffers, alone)
        return closing_of(outputs, call.target, name, self._passes.loss, last)

    def _padded(self, function: Callable[..., Any], state: JaxState, call: Call, *more: Any) -> Any:
        padded = call.padded()
        if padded is call:
            return function(state.params, state.buffers, call, *more)
        try:
            values = function(state.params, state.buffers, padded, *more)
        except Exception:
            # the error must show the caller's own shapes
            jax.eval_shape(function, state.params, state.buffers, call, *more)
            raise
        # a scalar beside the scores, such as another loss, has no rows
        return jax.tree.map(lambda leaf: leaf[: call.size] if leaf.ndim else leaf, values)
