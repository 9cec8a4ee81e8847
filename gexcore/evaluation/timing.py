"""Timing: CPU time per sample of a backend's methods, and ratios to a forward pass."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.protocols import (
    Backend,
    Dataset,
    Indices,
    SupportsDonation,
    SupportsHvp,
    SupportsJvp,
    SupportsParams,
    SupportsTrainingLosses,
)
from gexcore.evaluation.losses import checked
from gexcore.settings import check_count

Kernel = Callable[[int], object]
"""A function that repeats one piece of work and returns when all of it is done."""

Times = dict[str, NDArray[np.float64]]
"""CPU seconds per call of each kernel, one number per round."""

LEAST = 0.01
"""The least seconds that a kernel is timed for: the clock is then precise enough."""


class Cost(NamedTuple):
    """The cost of one piece of work.

    Parameters
    ----------
    name : str
    seconds : float
        CPU time per sample of all threads of the process, median over the rounds.
    ratio : float
        Ratio to the reference in the same round, median over the rounds.
    low, high : float
        Quartiles of that ratio.
    """

    name: str
    seconds: float
    ratio: float
    low: float
    high: float


def measure(
    backend: Backend[Any, Any],
    data: Any,
    *,
    batch_size: int = 128,
    repeats: int = 15,
    bare: Callable[[Any], Any] | None = None,
) -> list[Cost]:
    """Time the methods of a backend on one batch, all methods in every round.

    CPU time does not show work on an accelerator. A step has a learning rate of zero. It is taken
    in place if the backend can.

    Parameters
    ----------
    backend : Backend
    data : what `gexcore.backend.data.as_dataset` takes
        Data. The batch is a random part of it.
    batch_size : int
        Samples in the batch, or all of a smaller dataset.
    repeats : int
        Rounds.
    bare : callable, optional
        ``batch -> losses``: a forward pass written by hand for this model. If given, it is the
        reference of the ratios.

    Returns
    -------
    list of Cost
        "bare" if given, "read" (making a batch), "forward", and what else the backend can of
        "training forward", "step", "jvp", "hvp".

    Raises
    ------
    InvalidSettingError, InvalidDataError, InvalidModelError

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.evaluation.timing import measure
    >>> from gexcore_numpy import MLP, NumpyBackend
    >>> data = np.ones((64, 4)), np.arange(64) % 3
    >>> costs = measure(NumpyBackend(MLP.init((4, 8, 3), seed=0)), data, repeats=3)
    >>> [cost.name for cost in costs]
    ['read', 'forward', 'training forward', 'step', 'jvp', 'hvp']
    >>> costs[1].ratio
    1.0
    """
    check_count("batch_size", batch_size, auto=False)
    check_count("repeats", repeats, auto=False)
    dataset = as_dataset(data, backend)
    chosen = np.random.default_rng(0).permutation(len(dataset))[:batch_size]
    kernels = kernels_of(backend, dataset, chosen)
    if bare is not None:
        by_hand, batch = bare, dataset.batch(chosen)
        kernels = {"bare": on_host(lambda: by_hand(batch)), **kernels}
    reference = "forward" if bare is None else "bare"
    return compare(interleaved(kernels, repeats=repeats), samples=len(chosen), reference=reference)


def kernels_of(
    backend: Backend[Any, Any], dataset: Dataset[Any], chosen: Indices
) -> dict[str, Kernel]:
    """The methods of a backend on one batch, by the names of `measure`."""
    engine: Any = backend
    state, batch = backend.initial_state(), dataset.batch(chosen)
    checked(backend.forward(state, batch), len(chosen))
    kernels: dict[str, Kernel] = {
        "read": _repeated(lambda: dataset.batch(chosen)),
        "forward": on_host(lambda: backend.forward(state, batch)),
    }
    if supports(backend, SupportsTrainingLosses):
        kernels["training forward"] = on_host(lambda: engine.training_losses(state, batch, seed=0))
    kernels["step"] = (
        _steps_in_place(engine, batch)
        if supports(backend, SupportsDonation)
        else _steps(backend, batch, dataset.batch(chosen[:1]))
    )
    if supports(backend, SupportsParams):
        tangent = engine.ravel(state)
        if supports(backend, SupportsJvp):
            kernels["jvp"] = on_host(lambda: engine.jvp(state, tangent, batch))
        if supports(backend, SupportsHvp):
            kernels["hvp"] = on_host(lambda: engine.hvp(state, tangent, batch))
    return kernels


def interleaved(kernels: Mapping[str, Kernel], *, repeats: int) -> Times:
    """Time every kernel once in each round, so that a busy machine slows all kernels alike."""
    calls = {name: _calls(kernel) for name, kernel in kernels.items()}
    times = {name: np.empty(repeats) for name in kernels}
    # each round in a new order: a kernel depends on the caches that the last one left
    order = np.random.default_rng(0)
    for number in range(repeats):
        for name in order.permutation(list(kernels)).tolist():
            times[name][number] = _seconds(kernels[name], calls[name]) / calls[name]
    return times


def compare(times: Times, *, samples: int, reference: str) -> list[Cost]:
    """The cost of each kernel per sample, and as a ratio to the kernel named `reference`."""
    costs = []
    for name, seconds in times.items():
        low, ratio, high = np.quantile(seconds / times[reference], (0.25, 0.5, 0.75)).tolist()
        costs.append(Cost(name, float(np.median(seconds)) / samples, ratio, low, high))
    return costs


def on_host(work: Callable[[], Any]) -> Kernel:
    """A kernel from a function that returns an array. The work ends with the array on the host."""
    return _repeated(lambda: to_numpy(work()))


def _repeated(work: Callable[[], object]) -> Kernel:
    def run(calls: int) -> None:
        for _ in range(calls):
            work()

    return run


def _steps_in_place(engine: Any, batch: Any) -> Kernel:
    state = engine.copy(engine.initial_state())

    def step() -> Any:
        nonlocal state
        state, losses = engine.sgd_step_(state, batch, lr=0.0, seed=0)
        return losses

    return on_host(step)


def _steps(backend: Backend[Any, Any], batch: Any, one: Any) -> Kernel:
    def run(calls: int) -> None:
        state = backend.initial_state()
        for _ in range(calls):
            state = backend.sgd_step(state, batch, lr=0.0, seed=0)
        # a state is opaque: the loss of one sample waits for all the steps
        to_numpy(backend.forward(state, one))

    return run


def _calls(kernel: Kernel) -> int:
    kernel(1)  # compiles
    return max(1, math.ceil(LEAST / max(_seconds(kernel, 1), 1e-6)))


def _seconds(kernel: Kernel, calls: int) -> float:
    started = time.process_time()
    kernel(calls)
    return time.process_time() - started
