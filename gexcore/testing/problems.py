"""Problems of the laws: a backend with a little data, and the oracle's toy models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.data import as_dataset
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import Backend, Dataset, SupportsBufferRefresh, SupportsParams
from gexcore.testing.compare import assert_close, numbers
from gexcore_numpy.backend import NumpyBackend
from gexcore_numpy.models import MLP, BatchNorm

Precision = Literal["float32", "float64"]


@dataclass(frozen=True, eq=False)
class Problem:
    """A backend, and data small enough to check every law on.

    Parameters
    ----------
    backend : Backend
    data : (x, y), Dataset, or what the backend takes
        About 20 samples with finite losses and a gradient that is not zero.
    lr : float
        Learning rate. One step lowers the training loss of its batch. Ten steps do not overflow.
    batch_size : int
        Samples in a batch, at most half of the data.
    precision : {"float64", "float32"}
        Precision of the backend's arithmetic, which sets the tolerances.
    stochastic : bool
        Whether training mode is random (dropout): two seeds must then give two results.
    classifies : bool
        Whether the losses are the cross-entropy of the logits.
    toy : Toy, optional
        Toy from which the backend's model was converted. Its results are compared with the oracle.
    checkpoint : callable, optional
        Function from a state to a checkpoint in the form of the backend's `load`.
    """

    backend: Backend[Any, Any]
    data: Any
    lr: float = 0.02
    batch_size: int = 8
    precision: Precision = "float64"
    stochastic: bool = False
    classifies: bool = True
    toy: Toy | None = None
    checkpoint: Callable[[Any], Any] | None = None

    @cached_property
    def dataset(self) -> Dataset[Any]:
        """The data in gexcore's form."""
        return as_dataset(self.data, self.backend)

    @property
    def tolerance(self) -> float:
        """Tolerance of numbers that should be equal."""
        return 1e-10 if self.precision == "float64" else 1e-5

    def batch(self, number: int = 0) -> Any:
        """One batch of the data."""
        start = number % (len(self.dataset) // self.batch_size) * self.batch_size
        return self.dataset.batch(np.arange(start, start + self.batch_size))

    def everything(self) -> Any:
        """All data as one batch."""
        return self.dataset.batch(np.arange(len(self.dataset)))

    def walk(self, state: Any, steps: int, *, lr: float | None = None) -> Any:
        """The state after this many steps, on batch 0, 1, … with seed 0, 1, …."""
        for step in range(steps):
            state = self.backend.sgd_step(
                state, self.batch(step), lr=self.lr if lr is None else lr, seed=step
            )
        return state

    def settled_losses(self, state: Any) -> NDArray[np.float64]:
        """Losses of all samples, with statistics refreshed if the backend has any."""
        if supports(self.backend, SupportsBufferRefresh):
            state = self.backend.refresh_buffers(state, [self.everything()])
        return numbers(self.backend.forward(state, self.everything()))

    def observe(self, state: Any) -> list[NDArray[np.float64]]:
        """Losses and parameters of a state, and its losses after one more step."""
        after = self.walk(state, 1)
        seen = [
            self.backend.forward(state, self.everything()),
            self.backend.forward(after, self.everything()),
        ]
        if supports(self.backend, SupportsParams):
            seen.append(self.backend.ravel(state))
        # a copy, because the backend may later write into its results
        return [numbers(array).copy() for array in seen]

    def assert_seen(self, state: Any, before: Sequence[NDArray[np.float64]]) -> None:
        """Fail unless the state equals an earlier observation."""
        for now, then in zip(self.observe(state), before, strict=True):
            assert_close(now, then, self.tolerance)


@dataclass(frozen=True, eq=False)
class Toy:
    """A tiny model with data, for any framework. Its weights have shape (in, out).

    Parameters
    ----------
    name : str
    model : MLP
    x, y : arrays of 24 samples
    loss : {"cross_entropy", "squared_error"}
    optimizer : Optimizer
    """

    name: str
    model: MLP
    x: NDArray[Any]
    y: NDArray[Any]
    loss: str = "cross_entropy"
    optimizer: Optimizer = field(default_factory=Optimizer)

    @property
    def precision(self) -> Precision:
        """Precision of the model's arrays."""
        return "float32" if self.model.dtype == np.float32 else "float64"

    def oracle(self) -> NumpyBackend:
        """The NumPy backend of this toy."""
        return NumpyBackend(self.model, loss=self.loss, optimizer=self.optimizer)

    def problem(
        self,
        backend: Backend[Any, Any],
        data: Any = None,
        *,
        checkpoint: Callable[[Any], Any] | None = None,
    ) -> Problem:
        """The problem of a backend that was built from this toy.

        Parameters
        ----------
        backend : Backend
        data : optional
            The toy's samples in another form. The default is ``(x, y)`` in NumPy.
        checkpoint : callable, optional
            The function of a `Problem`.
        """
        return Problem(
            backend,
            (self.x, self.y) if data is None else data,
            precision=self.precision,
            classifies=self.loss == "cross_entropy",
            toy=self,
            checkpoint=checkpoint,
        )


def _toy(
    name: str,
    sizes: tuple[int, ...],
    activation: Literal["relu", "tanh"] = "tanh",
    *,
    batch_norm: bool = False,
    precision: Precision = "float64",
    loss: str = "cross_entropy",
    optimizer: Optimizer | None = None,
) -> Toy:
    rng = np.random.default_rng(len(name))
    n, outputs = 24, sizes[-1]
    x = rng.normal(size=(n, sizes[0])).astype(precision)
    y = rng.permutation(np.arange(n) % outputs)
    targets = y if loss == "cross_entropy" else rng.normal(size=(n, outputs)).astype(precision)
    start = MLP.init(sizes, seed=1, activation=activation, dtype=precision)
    biases = [rng.normal(0.0, 0.3, b.shape).astype(precision) for b in start.biases]
    # far from the statistics of a batch, so that evaluation and training mode differ
    norms = [
        BatchNorm(
            *(rng.uniform(low, low + 1.0, d).astype(precision) for low in (0.5, -0.5, -0.5, 0.5))
        )
        for d in sizes[1:-1]
    ]
    model = MLP(start.weights, biases, activation, norms if batch_norm else None)
    return Toy(name, model, x, targets, loss, optimizer or Optimizer())


TOYS = {
    toy.name: toy
    for toy in (
        _toy("softmax", (5, 3)),
        _toy("tanh", (5, 8, 6, 3), optimizer=Optimizer(weight_decay=0.01)),
        _toy("relu_batch_norm", (5, 8, 6, 3), "relu", batch_norm=True),
        _toy(
            "regression_adamw",
            (5, 8, 2),
            loss="squared_error",
            optimizer=Optimizer(name="adamw", weight_decay=0.01),
        ),
        _toy("float32_adamw", (5, 8, 6, 3), precision="float32", optimizer=Optimizer(name="adamw")),
        _toy("float32_batch_norm", (5, 8, 6, 3), batch_norm=True, precision="float32"),
    )
}
"""The oracle's toys by name."""
