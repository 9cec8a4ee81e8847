"""JAX models behind gexcore's contract."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
from numpy.typing import NDArray

from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Dataset,
    SupportsBufferRefresh,
    SupportsLogits,
    SupportsPartLosses,
)
from gexcore.backend.refusals import check_batches
from gexcore.errors import InvalidModelError
from gexcore_jax import kronecker, sampling, selection, serialization, vectors
from gexcore_jax.adapters import arguments_of, functional
from gexcore_jax.data import Placement, dataset_of, full
from gexcore_jax.losses import loss_of
from gexcore_jax.models import JaxModel
from gexcore_jax.optimizers import rule_of
from gexcore_jax.passes import Passes
from gexcore_jax.paths import named
from gexcore_jax.program import Program
from gexcore_jax.reading import Closing
from gexcore_jax.state import JaxState, Stacked, copied, stacked


class JaxBackend:
    """A JAX network as a `Backend`; every method is compiled once per shape.

    θ* is a copy of the model's arrays at construction. The model is never changed. All work is done
    on the devices of the parameters, in their precision.

    Parameters
    ----------
    model : (apply, params), JaxModel, flax.nnx.Module or equinox.Module
        ``apply(params, x) -> scores`` is the same in training and evaluation. `JaxModel` has batch
        statistics and dropout. An NNX module takes a batch and trains its ``nnx.Param`` variables.
        An Equinox module takes one sample and is mapped over the batch.
    loss : {"cross_entropy", "squared_error", "binary_cross_entropy"} or callable, optional
        A callable takes the model's output and the target, and returns losses of shape (b,). It
        must be traceable.
    optimizer : Optimizer
        A callable name is ``learning_rate -> optax.GradientTransformation``, such as
        ``optax.adam``.

    Notes
    -----
    Labels that are no class raise an error if they are NumPy arrays. JAX arrays may be on a device,
    so there their loss is NaN.

    Raises
    ------
    InvalidModelError
        If the model is no JAX model or has nothing to train, or the loss or optimiser is unknown.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from gexcore_jax.backend import JaxBackend
    >>> backend = JaxBackend((lambda params, x: x @ params, jnp.zeros((4, 3))))
    >>> state = backend.initial_state()
    >>> backend.forward(state, (np.ones((2, 4)), np.array([0, 2]))).shape
    (2,)
    """

    name = "jax"

    def __init__(
        self,
        model: Any,
        *,
        loss: str | Callable[..., Any] | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        self._likelihood = loss
        self._loss = loss_of(loss)
        self._rule = rule_of(optimizer or Optimizer())
        self._given = model
        self._arguments = arguments_of(model)
        self._model = functional(model)
        self._closing: Closing | None = None
        self._has_logits = loss not in ("squared_error", "binary_cross_entropy")
        self._start(self._model)

    def _start(self, net: JaxModel) -> None:
        self._net = net
        self._selected = net is not self._model
        names, most = self._arguments
        self._placement = replace(Placement.of(net.params), names=names, most=most)
        self._initial = JaxState(net.params, net.buffers, self._rule.init(net.params))
        self.unsupported: frozenset[type] = frozenset(
            ([] if net.statistics else [SupportsBufferRefresh])
            + ([] if self._has_logits else [SupportsLogits])
            + ([] if self._loss.parts else [SupportsPartLosses])
        )
        self._sizes = {name: int(leaf.size) for name, leaf in named(net.params).items()}
        self._program = Program(Passes(net.apply, self._loss, self._rule, self._closing))

    @property
    def most_inputs(self) -> int | None:
        """Most positional inputs of the model; None where it is not known."""
        return self._arguments[1]

    @property
    def input_names(self) -> Collection[str] | None:
        """Names of the inputs of the model; None where they are not known."""
        return self._arguments[0]

    def structure(self) -> Any:
        """The model as it was given."""
        return self._given

    def initial_state(self) -> JaxState:
        """State with θ*, its buffers and a fresh optimiser; equal on every call."""
        return self._initial

    def restart(self, state: JaxState, /) -> JaxState:
        """State with the same parameters and buffers, and a fresh optimiser."""
        return state._replace(memory=self._rule.init(state.params))

    def copy(self, state: JaxState, /) -> JaxState:
        """A state that may be given to `sgd_step_`."""
        return copied(state)

    def forward(self, state: JaxState, batch: Any, /) -> jax.Array:
        """Losses of shape (b,) in evaluation mode, on the model's devices."""
        return self._program.losses(state, self._placement.call(batch))

    def part_losses(self, state: JaxState, batch: Any, /) -> jax.Array:
        """Losses of labels, tokens, pixels or outputs in evaluation mode, shape (b, …)."""
        return self._program.parts(state, self._placement.call(batch))

    def logits(self, state: JaxState, batch: Any, /) -> jax.Array:
        """The model's output in evaluation mode: (b, K) of a classifier."""
        outputs = self._program.outputs(state, self._placement.call(batch))
        if not isinstance(outputs, jax.Array):
            msg = (
                f"the model returned {type(outputs).__name__}, which has no logits; return an "
                f"array or {{'logits': array}}"
            )
            raise InvalidModelError(msg)
        return full(outputs)

    def training_losses(self, state: JaxState, batch: Any, /, *, seed: int) -> jax.Array:
        """Losses of shape (b,) in training mode; no step."""
        return self._program.training(state, self._placement.call(batch), seed)

    def sgd_step(self, state: JaxState, batch: Any, /, *, lr: float, seed: int) -> JaxState:
        """State after one step on the mean loss of the batch, in training mode."""
        return self.sgd_step_(self.copy(state), batch, lr=lr, seed=seed)[0]

    def sgd_step_(
        self, state: JaxState, batch: Any, /, *, lr: float, seed: int
    ) -> tuple[JaxState, jax.Array]:
        """State after a step in the memory of `state`, and the losses before the update."""
        return self._program.step(state, self._placement.call(batch), lr, seed)

    def refresh_buffers(self, state: JaxState, batches: Sequence[Any], /) -> JaxState:
        """State with running averages estimated anew. Each batch counts equally.

        The passes are in training mode, with dropout, and with the same seed.

        Raises
        ------
        InvalidDataError
            If there are no batches.
        """
        check_batches(batches)
        return self._program.statistics(state, map(self._placement.call, batches))

    def ravel(self, state: JaxState, /) -> jax.Array:
        """Trainable parameters in the order of ``jax.tree.leaves``, shape (p,)."""
        flat: jax.Array = vectors.ravel(state.params)
        return flat

    def unravel(self, state: JaxState, flat: Any, /) -> JaxState:
        """State with these parameters, the same buffers and a fresh optimiser."""
        return self.restart(state._replace(params=vectors.split(flat, state.params)))

    def jvp(self, state: JaxState, tangent: Any, batch: Any, /) -> jax.Array:
        """Derivative of each loss along `tangent`, shapes (b,) and (p,), in evaluation mode."""
        return self._program.derivatives(state, self._placement.call(batch), tangent)

    def hvp(self, state: JaxState, tangent: Any, batch: Any, /) -> jax.Array:
        """Hessian of the mean loss times `tangent`, shape (p,), in evaluation mode."""
        return self._program.curvature(state, self._placement.call(batch), tangent)

    def sample_gradients(self, state: JaxState, batch: Any, /) -> jax.Array:
        """Gradient of each loss, shape (b, p), in evaluation mode."""
        return self._program.gradients(state, self._placement.call(batch))

    def features(self, state: JaxState, batch: Any, /) -> jax.Array:
        """Inputs of the last linear layer outside of loops, shape (b, h), in evaluation mode."""
        return self._program.features(state, self._placement.call(batch))

    def kronecker(
        self, state: JaxState, batch: Any, /, *, seed: int | None
    ) -> list[KroneckerBlock]:
        """Statistics of linear and ungrouped convolutional layers with their own weight.

        They are from evaluation mode. Layers in loops, and in functions with a custom derivative,
        are left out.
        """
        call = self._placement.call(batch)
        if seed is not None:
            self._program.check(state, call)
            call = sampling.with_drawn_target(
                call, self._likelihood, lambda: self.logits(state, batch), seed
            )
        return kronecker.blocks(self._program.factors(state, call), list(self._sizes))

    def parameter_names(self) -> Mapping[str, int]:
        """Paths of the trainable parameters, such as ``layers.0.kernel``, and their sizes."""
        return dict(self._sizes)

    def model_size(self) -> int:
        """Number of all parameters: the trained ones, and matrices among the buffers."""
        return selection.size_of(self._model)

    def select(self, names: Collection[str], /) -> JaxBackend:
        """The same backend, with only these parameters trainable. The others become buffers."""
        other = copy.copy(self)
        other._start(selection.only(self._model, selection.chosen(self._sizes, names)))
        return other

    def with_optimizer(self, optimizer: Optimizer, /) -> JaxBackend:
        """The same model and loss with another optimiser."""
        other = copy.copy(self)
        other._rule = rule_of(optimizer)
        other._start(self._net)
        return other

    def reading(self, batch: Any, /) -> JaxBackend:
        """The same backend; outputs that are probabilities are read as such."""
        if self._closing is not None:
            return self
        call = self._placement.call(batch)
        outputs = self._program.outputs(self._initial, call)
        other = copy.copy(self)
        if isinstance(outputs, jax.Array):
            closing = self._program.closing(self._initial, call, outputs, self._likelihood)
            if closing is None:
                return self
            other._closing = closing
        else:
            other._has_logits = False
        other._start(self._net)
        return other

    def load(self, checkpoint: Any, /) -> JaxState:
        """State of a model of the same architecture, of its parameters, or of (params, buffers)."""
        net = selection.loaded(self._model, checkpoint)
        if self._selected:
            net = selection.only(net, self._sizes)
        return JaxState(net.params, net.buffers, self._rule.init(net.params))

    def to_arrays(self, state: JaxState, /) -> Mapping[str, NDArray[Any]]:
        """All arrays of the state that are not shared with θ*."""
        return serialization.to_arrays(state, self._initial)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], /) -> JaxState:
        """The state that `to_arrays` was given, placed as θ* is."""
        return serialization.from_arrays(arrays, self._initial)

    def stack(self, states: Sequence[JaxState], /) -> Stacked:
        """The states side by side, without the memory of the optimisers."""
        return stacked(states)

    def forward_many(self, stacked: Stacked, batch: Any, /) -> jax.Array:
        """Losses of shape (m, b) in evaluation mode: row i is that of the i-th state."""
        return self._program.ensemble(stacked, self._placement.call(batch))

    def dataset(self, data: Any, /) -> Dataset[Any] | None:
        """A tuple of JAX arrays as a gexcore dataset, else None."""
        return dataset_of(data)
