"""An MLP, its loss and its optimiser, in NumPy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Array,
    SupportsBufferRefresh,
    SupportsLogits,
    SupportsPartLosses,
)
from gexcore.backend.refusals import check_batches
from gexcore.backend.rules import Memory, check_optimizer
from gexcore.errors import InvalidModelError
from gexcore_numpy import network as net
from gexcore_numpy import serialization, vectors
from gexcore_numpy.data import Placement
from gexcore_numpy.losses import Loss, find_loss
from gexcore_numpy.models import MLP
from gexcore_numpy.program import Program
from gexcore_numpy.selection import loaded, mask
from gexcore_numpy.state import NumpyState, Stacked, copied

__all__ = ["NumpyBackend", "NumpyState"]


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
        network = net.Network.of(model)
        rule = check_optimizer(optimizer or Optimizer())
        self._program = Program(network, find_loss(loss), rule, chosen=slice(None))
        self._names: Mapping[str, int] = network.names
        self._initial = NumpyState(net.flatten(model), net.running_statistics(model))
        # states may share it, so a step in place needs a copy first
        self._initial.params.flags.writeable = False
        self._placement = Placement(network.sizes[0], self._initial.params.dtype)
        self.unsupported = frozenset(
            capability
            for capability, possible in (
                (SupportsBufferRefresh, network.normalises),
                (SupportsLogits, loss in (None, "cross_entropy")),
                (SupportsPartLosses, loss == "squared_error"),
            )
            if not possible
        )

    def structure(self) -> Any:
        """The sizes of the layers, the activation and the loss."""
        return self._program.network, self._program.loss

    def initial_state(self) -> NumpyState:
        """The model's parameters and running statistics, with a fresh optimiser."""
        return self._initial

    def forward(self, state: NumpyState, batch: Any, /) -> Array:
        """Per-sample losses, shape (b,), with the running statistics."""
        return self._program.losses(state, self._placement.call(batch))

    def part_losses(self, state: NumpyState, batch: Any, /) -> Array:
        """Squared differences of the outputs, shape (b, k), with the running statistics."""
        return self._program.parts(state, self._placement.call(batch))

    def stack(self, states: Sequence[NumpyState], /) -> Stacked:
        """The states' own parameters, cut into layers, and running statistics."""
        return [(self._program.network.split(state.params), state.statistics) for state in states]

    def forward_many(self, stacked: Stacked, batch: Any, /) -> Array:
        """Losses of shape (m, b). The batch is read once, and all losses come from one call."""
        return self._program.ensemble(stacked, self._placement.call(batch))

    def sgd_step(self, state: NumpyState, batch: Any, /, *, lr: float, seed: int) -> NumpyState:
        """State after one step on the mean loss of the batch."""
        return self.sgd_step_(self.copy(state), batch, lr=lr, seed=seed)[0]

    def restart(self, state: NumpyState, /) -> NumpyState:
        """State with the same parameters and statistics, and a fresh optimiser."""
        return state._replace(memory=Memory())

    def copy(self, state: NumpyState, /) -> NumpyState:
        """A state that may be given to `sgd_step_`."""
        return copied(state)

    def sgd_step_(
        self, state: NumpyState, batch: Any, /, *, lr: float, seed: int
    ) -> tuple[NumpyState, Array]:
        """State after a step in the arrays of `state`, and the losses before the step."""
        return self._program.step(state, self._placement.call(batch), lr)

    def training_losses(self, state: NumpyState, batch: Any, /, *, seed: int) -> Array:
        """Per-sample losses, shape (b,), with the statistics of the batch."""
        return self._program.training(state, self._placement.call(batch))

    def refresh_buffers(self, state: NumpyState, batches: Sequence[Any], /) -> NumpyState:
        """State whose running statistics are the average over the batches."""
        check_batches(batches)
        return self._program.statistics(state, map(self._placement.call, batches))

    def logits(self, state: NumpyState, batch: Any, /) -> Array:
        """Outputs of shape (b, K), with the running statistics."""
        return self._program.outputs(state, self._placement.call(batch))

    def ravel(self, state: NumpyState, /) -> Array:
        """A copy of the trainable parameters, shape (p,)."""
        return vectors.ravel(state.params, self._program.chosen)

    def unravel(self, state: NumpyState, flat: Array, /) -> NumpyState:
        """State with these parameters, the same statistics and a fresh optimiser."""
        params = vectors.unravel(flat, state.params, self._program.chosen)
        return NumpyState(params, state.statistics)

    def jvp(self, state: NumpyState, tangent: Array, batch: Any, /) -> Array:
        """Derivative of each loss along `tangent`, shape (b,), in evaluation mode."""
        return self._program.derivatives(state, self._placement.call(batch), tangent)

    def hvp(self, state: NumpyState, tangent: Array, batch: Any, /) -> Array:
        """Hessian of the mean loss times `tangent`, shape (p,), in evaluation mode."""
        return self._program.curvature(state, self._placement.call(batch), tangent)

    def sample_gradients(self, state: NumpyState, batch: Any, /) -> Array:
        """Gradient of each loss, shape (b, p), in evaluation mode."""
        return self._program.gradients(state, self._placement.call(batch))

    def features(self, state: NumpyState, batch: Any, /) -> Array:
        """Inputs of the last layer, shape (b, h), with the running statistics."""
        return self._program.features(state, self._placement.call(batch))

    def kronecker(
        self, state: NumpyState, batch: Any, /, *, seed: int | None
    ) -> list[KroneckerBlock]:
        """Statistics of every layer whose weight is trainable, in evaluation mode.

        Raises
        ------
        InvalidSettingError
            If there is a seed, and the user's own loss has no `draw`.
        """
        return self._program.factors(state, self._placement.call(batch), seed)

    def parameter_names(self) -> Mapping[str, int]:
        """Name and size of every trainable parameter, in the order of the flat vector."""
        return dict(self._names)

    def model_size(self) -> int:
        """Number of all parameters, trained or not."""
        return len(self._initial.params)

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
        everywhere = np.arange(self._program.network.size)
        other._program = replace(self._program, chosen=everywhere[self._program.chosen][chosen])
        return other

    def with_optimizer(self, optimizer: Optimizer, /) -> NumpyBackend:
        """The same model and loss with another optimiser."""
        other = copy.copy(self)
        other._program = replace(self._program, optimizer=check_optimizer(optimizer))
        return other

    def load(self, checkpoint: Any, /) -> NumpyState:
        """State of an `MLP` with the same shape, in this backend's dtype, with a fresh optimiser.

        Raises
        ------
        InvalidModelError
            If another object is given.
        """
        return loaded(self._program.network, checkpoint, self._initial.params.dtype)

    def to_arrays(self, state: NumpyState, /) -> Mapping[str, NDArray[Any]]:
        """Copies of all arrays of the state."""
        return serialization.to_arrays(state)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], /) -> NumpyState:
        """The state that `to_arrays` wrote."""
        return serialization.from_arrays(arrays)

    def to_model(self, state: NumpyState, /) -> MLP:
        """A copy of the model with the numbers of a state."""
        return net.assemble(self._program.network, state.params, state.statistics)
