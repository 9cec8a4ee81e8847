"""An MLP, its loss and its optimiser, in NumPy."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import to_numpy
from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Array,
    Indices,
    SupportsBufferRefresh,
    SupportsLogits,
    SupportsPartLosses,
)
from gexcore.backend.refusals import check_batches, check_vector
from gexcore.backend.rules import Memory, Reals, advance, check_optimizer
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore_numpy import network as net
from gexcore_numpy.curvature import pull_back, push_forward
from gexcore_numpy.data import read
from gexcore_numpy.losses import Loss, find_loss
from gexcore_numpy.models import MLP
from gexcore_numpy.network import Layer, Moments, Trace
from gexcore_numpy.selection import mask
from gexcore_numpy.serialization import Parts, from_arrays, to_arrays
from gexcore_numpy.statistics import Signal, kronecker, sample_gradients, signals

P = ParamSpec("P")
R = TypeVar("R")


class NumpyState(NamedTuple):
    """All parameters, running statistics of normalised layers, and the optimiser's memory."""

    params: Reals
    statistics: tuple[Moments, ...] = ()
    memory: Memory = Memory()


Stacked = list[tuple[list[Layer], tuple[Moments, ...]]]
"""Layers and running statistics of each state."""


class _Pass(NamedTuple):
    layers: list[Layer]
    outputs: Reals
    targets: Reals
    traces: list[Trace]


def _quiet(method: Callable[P, R]) -> Callable[P, R]:
    # a member may diverge: the core counts and excludes it, so warnings are off
    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return method(*args, **kwargs)

    return call


class NumpyBackend:
    """A multi-layer perceptron with hand-derived derivatives.

    Parameters
    ----------
    model : MLP
        Model, which is copied and never changed. Its dtype is used in all arithmetic.
    loss : {"cross_entropy", "squared_error"} or Loss, optional
        Loss, by default cross-entropy. Cross-entropy takes integer labels (b,) or soft labels (b,
        k). Squared error takes numbers (b,) or (b, k) and is summed over outputs.
    optimizer : Optimizer
        Optimiser "sgd" or "adamw".

    Notes
    -----
    A batch is (x, y), with x of shape (b, ...). The flat vector of `ravel` holds each layer in
    turn: weight (in, out) in C order, bias, scale and offset. Their names are "weight0", "bias0",
    "scale0", "offset0", "weight1" and so on. Nothing in training mode is random, so seeds have no
    effect.

    Raises
    ------
    InvalidModelError
        If the model, loss or optimiser is not of this backend.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore_numpy import MLP, NumpyBackend
    >>> backend = NumpyBackend(MLP([np.zeros((4, 2))], [np.zeros(2)]))
    >>> backend.forward(backend.initial_state(), (np.ones((3, 4)), np.array([0, 1, 0]))).round(3)
    array([0.693, 0.693, 0.693])
    """

    name = "numpy"
    most_inputs = 1

    def __init__(
        self,
        model: Any,
        *,
        loss: str | Loss | Callable[..., Any] | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        if not isinstance(model, MLP):
            msg = (
                f"the model is a {type(model).__name__}; the NumPy backend takes a "
                "gexcore_numpy.MLP"
            )
            raise InvalidModelError(msg)
        self._loss = find_loss(loss)
        self._optimizer = check_optimizer(optimizer or Optimizer())
        self._network = net.Network.of(model)
        self._names: Mapping[str, int] = self._network.names
        self._chosen: Indices | slice = slice(None)
        self._initial = NumpyState(net.flatten(model), net.running_statistics(model))
        # states may share it, so a step in place needs a copy first
        self._initial.params.flags.writeable = False
        self.unsupported = frozenset(
            capability
            for capability, possible in (
                (SupportsBufferRefresh, self._network.normalises),
                (SupportsLogits, loss in (None, "cross_entropy")),
                (SupportsPartLosses, loss == "squared_error"),
            )
            if not possible
        )

    def structure(self) -> Any:
        """The sizes of the layers, the activation and the loss."""
        return self._network, self._loss

    def initial_state(self) -> NumpyState:
        """The model's parameters and running statistics, with a fresh optimiser."""
        return self._initial

    @_quiet
    def forward(self, state: NumpyState, batch: Any, /) -> Array:
        """Per-sample losses, shape (b,), with the running statistics."""
        done = self._pass(state, batch, training=False)
        return self._loss.value(done.outputs, done.targets)

    @_quiet
    def part_losses(self, state: NumpyState, batch: Any, /) -> Array:
        """Squared differences of the outputs, shape (b, k), with the running statistics."""
        done = self._pass(state, batch, training=False)
        return np.square(done.outputs - done.targets)

    def stack(self, states: Sequence[NumpyState], /) -> Stacked:
        """The states' own parameters, cut into layers, and running statistics."""
        return [(self._network.split(state.params), state.statistics) for state in states]

    @_quiet
    def forward_many(self, stacked: Stacked, batch: Any, /) -> Array:
        """Losses of shape (m, b). The batch is read once, and all losses come from one call."""
        x, y = read(batch, width=self._network.sizes[0], dtype=self._initial.params.dtype)
        many = [self._network.forward(layers, x, statistics)[0] for layers, statistics in stacked]
        targets = self._loss.targets(y, many[0])
        # samples last, like the network's outputs, so that sums over outputs run along long rows
        outputs = np.empty((targets.shape[1], len(many), len(targets)), targets.dtype)
        for i, scores in enumerate(many):
            outputs[:, i] = scores.T
        wanted = np.empty_like(outputs)
        wanted[:] = targets.T[:, None]
        k = len(outputs)
        return self._loss.value(outputs.reshape(k, -1).T, wanted.reshape(k, -1).T).reshape(
            len(many), -1
        )

    def sgd_step(self, state: NumpyState, batch: Any, /, *, lr: float, seed: int) -> NumpyState:
        """State after one step on the mean loss of the batch."""
        return self.sgd_step_(self.copy(state), batch, lr=lr, seed=seed)[0]

    def restart(self, state: NumpyState, /) -> NumpyState:
        """State with the same parameters and statistics, and a fresh optimiser."""
        return state._replace(memory=Memory())

    def copy(self, state: NumpyState, /) -> NumpyState:
        """A state that may be given to `sgd_step_`."""
        memory = Memory(state.memory.steps, tuple(v.copy() for v in state.memory.vectors))
        return NumpyState(state.params.copy(), state.statistics, memory)

    @_quiet
    def sgd_step_(
        self, state: NumpyState, batch: Any, /, *, lr: float, seed: int
    ) -> tuple[NumpyState, Array]:
        """State after a step in the arrays of `state`, and the losses before the step."""
        done = self._pass(state, batch, training=True)
        losses, cotangent = self._loss.value_and_gradient(done.outputs, done.targets)
        cotangent /= len(cotangent)
        gradient = self._network.gradient(done.layers, done.traces, cotangent)
        trained = state.params[self._chosen]
        memory = advance(self._optimizer, trained, gradient[self._chosen], state.memory, lr=lr)
        if not isinstance(self._chosen, slice):  # a slice would be a view
            state.params[self._chosen] = trained
        statistics = tuple(
            Moments(
                *(
                    (1 - net.MOMENTUM) * old + net.MOMENTUM * new
                    for old, new in zip(kept, seen, strict=True)
                )
            )
            for kept, seen in zip(state.statistics, net.batch_moments(done.traces), strict=True)
        )
        return NumpyState(state.params, statistics, memory), losses

    @_quiet
    def training_losses(self, state: NumpyState, batch: Any, /, *, seed: int) -> Array:
        """Per-sample losses, shape (b,), with the statistics of the batch."""
        done = self._pass(state, batch, training=True)
        return self._loss.value(done.outputs, done.targets)

    @_quiet
    def refresh_buffers(self, state: NumpyState, batches: Sequence[Any], /) -> NumpyState:
        """State whose running statistics are the average over the batches."""
        check_batches(batches)
        seen = [
            net.batch_moments(self._pass(state, batch, training=True).traces) for batch in batches
        ]
        statistics = tuple(
            Moments(*(np.mean(values, axis=0) for values in zip(*layer, strict=True)))
            for layer in zip(*seen, strict=True)
        )
        return state._replace(statistics=statistics)

    @_quiet
    def logits(self, state: NumpyState, batch: Any, /) -> Array:
        """Outputs of shape (b, K), with the running statistics."""
        return self._pass(state, batch, training=False).outputs

    def ravel(self, state: NumpyState, /) -> Array:
        """A copy of the trainable parameters, shape (p,)."""
        return state.params[self._chosen].copy()

    def unravel(self, state: NumpyState, flat: Array, /) -> NumpyState:
        """State with these parameters, the same statistics and a fresh optimiser."""
        params = state.params.copy()
        params[self._chosen] = self._vector(flat)
        return NumpyState(params, state.statistics)

    @_quiet
    def jvp(self, state: NumpyState, tangent: Array, batch: Any, /) -> Array:
        """Derivative of each loss along `tangent`, shape (b,), in evaluation mode."""
        done = self._pass(state, batch, training=False)
        direction = self._network.split(self._tangent(tangent))
        moved, _ = push_forward(self._network, done.layers, direction, done.traces)
        return np.asarray((self._loss.gradient(done.outputs, done.targets) * moved).sum(axis=1))

    @_quiet
    def hvp(self, state: NumpyState, tangent: Array, batch: Any, /) -> Array:
        """Hessian of the mean loss times `tangent`, shape (p,), in evaluation mode."""
        layers, outputs, targets, traces = self._pass(state, batch, training=False)
        direction = self._network.split(self._tangent(tangent))
        moved, pushes = push_forward(self._network, layers, direction, traces)
        cotangent = self._loss.gradient(outputs, targets) / len(outputs)
        turned = self._loss.curvature(outputs, targets, moved) / len(outputs)
        return pull_back(self._network, pushes, cotangent, turned)[self._chosen]

    @_quiet
    def sample_gradients(self, state: NumpyState, batch: Any, /) -> Array:
        """Gradient of each loss, shape (b, p), in evaluation mode."""
        done = self._pass(state, batch, training=False)
        rows = sample_gradients(done.layers, done.traces, self._signals(done))
        return rows[:, self._chosen]

    @_quiet
    def features(self, state: NumpyState, batch: Any, /) -> Array:
        """Inputs of the last layer, shape (b, h), with the running statistics."""
        return self._pass(state, batch, training=False).traces[-1].inputs.copy()

    @_quiet
    def kronecker(
        self, state: NumpyState, batch: Any, /, *, seed: int | None
    ) -> list[KroneckerBlock]:
        """Statistics of every layer whose weight is trainable, in evaluation mode.

        Raises
        ------
        InvalidSettingError
            If there is a seed, and the user's own loss has no `draw`.
        """
        done = self._pass(state, batch, training=False)
        if seed is not None:
            if self._loss.draw is None:
                msg = (
                    "the loss has no labels to draw for a true Fisher matrix; give the Loss a "
                    "draw, or seed=None for the empirical one"
                )
                raise InvalidSettingError(msg)
            drawn = self._loss.draw(done.outputs, seed=seed)
            done = done._replace(targets=self._loss.targets(drawn, done.outputs))
        return kronecker(self._network, done.traces, self._signals(done), self._chosen)

    def parameter_names(self) -> Mapping[str, int]:
        """Name and size of every trainable parameter, in the order of the flat vector."""
        return dict(self._names)

    def select(self, names: Collection[str], /) -> NumpyBackend:
        """The same backend, with only these parameters trainable.

        Statistics still follow the batches.

        Raises
        ------
        InvalidSettingError
            If a name is none of `parameter_names`, or there is none.
        """
        chosen = mask(self._names, names)
        other = copy.copy(self)
        other._names = {name: size for name, size in self._names.items() if name in names}
        other._chosen = np.arange(self._network.size)[self._chosen][chosen]
        return other

    def with_optimizer(self, optimizer: Optimizer, /) -> NumpyBackend:
        """The same model and loss with another optimiser."""
        other = copy.copy(self)
        other._optimizer = check_optimizer(optimizer)
        return other

    def load(self, checkpoint: Any, /) -> NumpyState:
        """State of an `MLP` with the same shape, in this backend's dtype, with a fresh optimiser.

        Raises
        ------
        InvalidModelError
            If another object is given.
        """
        found = net.Network.of(checkpoint) if isinstance(checkpoint, MLP) else None
        if found != self._network:
            msg = (
                f"the checkpoint is {found or f'a {type(checkpoint).__name__}'}; give "
                f"{self._network}, like the model"
            )
            raise InvalidModelError(msg)
        dtype = self._initial.params.dtype
        moments = [
            Moments(mean.astype(dtype), var.astype(dtype))
            for mean, var in net.running_statistics(checkpoint)
        ]
        return NumpyState(net.flatten(checkpoint).astype(dtype), tuple(moments))

    def to_arrays(self, state: NumpyState, /) -> Mapping[str, NDArray[Any]]:
        """Copies of all arrays of the state."""
        return to_arrays(Parts(*state))

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], /) -> NumpyState:
        """The state that `to_arrays` wrote."""
        return NumpyState(*from_arrays(arrays))

    def to_model(self, state: NumpyState, /) -> MLP:
        """A copy of the model with the numbers of a state."""
        return net.assemble(self._network, state.params, state.statistics)

    def _pass(self, state: NumpyState, batch: Any, *, training: bool) -> _Pass:
        x, y = read(batch, width=self._network.sizes[0], dtype=state.params.dtype)
        layers = self._network.split(state.params)
        outputs, traces = self._network.forward(layers, x, None if training else state.statistics)
        return _Pass(layers, outputs, self._loss.targets(y, outputs), traces)

    def _signals(self, done: _Pass) -> list[Signal]:
        cotangent = self._loss.gradient(done.outputs, done.targets)
        return signals(self._network, done.layers, done.traces, cotangent)

    def _tangent(self, flat: Array) -> Reals:
        vector = self._vector(flat)
        if vector.size == self._network.size:
            return vector
        everywhere = np.zeros(self._network.size, vector.dtype)
        everywhere[self._chosen] = vector
        return everywhere

    def _vector(self, flat: Array) -> Reals:
        vector = to_numpy(flat).astype(self._initial.params.dtype, copy=False)
        check_vector(vector.shape, sum(self._names.values()))
        return vector
