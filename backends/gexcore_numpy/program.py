"""The network, its loss and its optimiser as functions of states."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, ParamSpec, TypeVar

import numpy as np

from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import Array
from gexcore.backend.rules import Reals, advance
from gexcore.errors import InvalidSettingError
from gexcore_numpy import buffers, gradients, kronecker, vectors
from gexcore_numpy import network as net
from gexcore_numpy.curvature import pull_back, push_forward
from gexcore_numpy.data import Call
from gexcore_numpy.gradients import Signal
from gexcore_numpy.losses import Loss
from gexcore_numpy.network import Layer, Trace
from gexcore_numpy.state import NumpyState, Stacked

P = ParamSpec("P")
R = TypeVar("R")


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


@dataclass(frozen=True, eq=False)
class Program:
    """Functions of a state and a call, in evaluation mode if nothing else is said.

    Parameters
    ----------
    network : Network
    loss : Loss
    optimizer : Optimizer
    chosen : integer array or slice
        Positions of the trainable parameters in the vector of the network.
    """

    network: net.Network
    loss: Loss
    optimizer: Optimizer
    chosen: vectors.Chosen

    @_quiet
    def outputs(self, state: NumpyState, call: Call) -> Array:
        """Outputs of shape (b, K)."""
        return self._pass(state, call, training=False).outputs

    @_quiet
    def losses(self, state: NumpyState, call: Call) -> Array:
        """Losses of shape (b,)."""
        done = self._pass(state, call, training=False)
        return self.loss.value(done.outputs, done.targets)

    @_quiet
    def parts(self, state: NumpyState, call: Call) -> Array:
        """Squared differences of the outputs, shape (b, k)."""
        done = self._pass(state, call, training=False)
        return np.square(done.outputs - done.targets)

    @_quiet
    def ensemble(self, stacked: Stacked, call: Call) -> Array:
        """Losses of shape (m, b), all from one call of the loss."""
        many = [
            self.network.forward(layers, call.inputs, statistics)[0]
            for layers, statistics in stacked
        ]
        targets = self.loss.targets(call.target, many[0])
        # samples last, like the network's outputs, so that sums over outputs run along long rows
        outputs = np.empty((targets.shape[1], len(many), len(targets)), targets.dtype)
        for i, scores in enumerate(many):
            outputs[:, i] = scores.T
        wanted = np.empty_like(outputs)
        wanted[:] = targets.T[:, None]
        k = len(outputs)
        return self.loss.value(outputs.reshape(k, -1).T, wanted.reshape(k, -1).T).reshape(
            len(many), -1
        )

    @_quiet
    def training(self, state: NumpyState, call: Call) -> Array:
        """Losses of shape (b,) in training mode."""
        done = self._pass(state, call, training=True)
        return self.loss.value(done.outputs, done.targets)

    @_quiet
    def step(self, state: NumpyState, call: Call, lr: float) -> tuple[NumpyState, Array]:
        """State after a step in the arrays of `state`, and the losses before the step."""
        done = self._pass(state, call, training=True)
        losses, cotangent = self.loss.value_and_gradient(done.outputs, done.targets)
        cotangent /= len(cotangent)
        gradient = self.network.gradient(done.layers, done.traces, cotangent)
        trained = state.params[self.chosen]
        memory = advance(self.optimizer, trained, gradient[self.chosen], state.memory, lr=lr)
        if not isinstance(self.chosen, slice):  # a slice would be a view
            state.params[self.chosen] = trained
        statistics = buffers.moved(state.statistics, net.batch_moments(done.traces))
        return NumpyState(state.params, statistics, memory), losses

    @_quiet
    def statistics(self, state: NumpyState, calls: Iterable[Call]) -> NumpyState:
        """State whose running statistics are the average over the batches."""
        passes = (self._pass(state, call, training=True) for call in calls)
        seen = [net.batch_moments(done.traces) for done in passes]
        return state._replace(statistics=buffers.mean(seen))

    @_quiet
    def derivatives(self, state: NumpyState, call: Call, tangent: Array) -> Array:
        """Derivative of each loss along the tangent, shapes (b,) and (p,)."""
        done = self._pass(state, call, training=False)
        moved, _ = push_forward(
            self.network, done.layers, self._direction(state, tangent), done.traces
        )
        return np.asarray((self.loss.gradient(done.outputs, done.targets) * moved).sum(axis=1))

    @_quiet
    def curvature(self, state: NumpyState, call: Call, tangent: Array) -> Array:
        """Hessian of the mean loss times the tangent, shape (p,)."""
        layers, outputs, targets, traces = self._pass(state, call, training=False)
        moved, pushes = push_forward(self.network, layers, self._direction(state, tangent), traces)
        cotangent = self.loss.gradient(outputs, targets) / len(outputs)
        turned = self.loss.curvature(outputs, targets, moved) / len(outputs)
        return pull_back(self.network, pushes, cotangent, turned)[self.chosen]

    @_quiet
    def gradients(self, state: NumpyState, call: Call) -> Array:
        """Gradient of each loss, shape (b, p)."""
        done = self._pass(state, call, training=False)
        rows = gradients.of_samples(done.layers, done.traces, self._signals(done))
        return rows[:, self.chosen]

    @_quiet
    def features(self, state: NumpyState, call: Call) -> Array:
        """Inputs of the last layer, shape (b, h)."""
        return self._pass(state, call, training=False).traces[-1].inputs.copy()

    @_quiet
    def factors(self, state: NumpyState, call: Call, seed: int | None) -> list[KroneckerBlock]:
        """Statistics of every layer whose weight is trainable, for given or for drawn targets.

        Raises
        ------
        InvalidSettingError
            If there is a seed, and the user's own loss has no `draw`.
        """
        done = self._pass(state, call, training=False)
        if seed is not None:
            if self.loss.draw is None:
                msg = (
                    "the loss has no labels to draw for a true Fisher matrix; give the Loss a "
                    "draw, or seed=None for the empirical one"
                )
                raise InvalidSettingError(msg)
            drawn = self.loss.draw(done.outputs, seed=seed)
            done = done._replace(targets=self.loss.targets(drawn, done.outputs))
        return kronecker.blocks(self.network, done.traces, self._signals(done), self.chosen)

    def _pass(self, state: NumpyState, call: Call, *, training: bool) -> _Pass:
        layers = self.network.split(state.params)
        statistics = None if training else state.statistics
        outputs, traces = self.network.forward(layers, call.inputs, statistics)
        return _Pass(layers, outputs, self.loss.targets(call.target, outputs), traces)

    def _direction(self, state: NumpyState, tangent: Array) -> list[Layer]:
        return self.network.split(vectors.direction(tangent, state.params, self.chosen))

    def _signals(self, done: _Pass) -> list[Signal]:
        cotangent = self.loss.gradient(done.outputs, done.targets)
        return gradients.signals(self.network, done.layers, done.traces, cotangent)
