"""Overheads of scoring members and of chains, beyond the backend's own passes and steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from gexcore.backend.capabilities import supports
from gexcore.backend.data import Subset
from gexcore.backend.protocols import Backend, Dataset, SupportsDonation
from gexcore.ensembles.plan import Constant, Plan
from gexcore.ensembles.stepper import Stepper
from gexcore.evaluation.losses import evaluate_many
from gexcore.evaluation.timing import Cost, Kernel, compare, interleaved, kernels_of, on_host

MEMBERS, STEPS = 8, 5


def overheads(
    backend: Backend[Any, Any], dataset: Dataset[Any], *, batch_size: int, repeats: int
) -> list[Cost]:
    """Time the work of a run on a batch against its parts, all in every round.

    Parameters
    ----------
    backend : Backend
    dataset : Dataset
    batch_size : int
        Samples in a batch, at most the number of samples.
    repeats : int
        Rounds.

    Returns
    -------
    list of Cost
        "scoring" evaluates θ* and `MEMBERS` members on one batch. Its ratio is to one reading and
        as many forward passes. "chunk" takes `STEPS` steps of a chain. Its ratio is to as many
        readings and steps. Times are per sample.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.backend.data import ArrayDataset
    >>> from gexcore.ensembles.overheads import overheads
    >>> from gexcore_numpy import MLP, NumpyBackend
    >>> data = ArrayDataset(np.ones((64, 4)), np.arange(64) % 3)
    >>> costs = overheads(NumpyBackend(MLP.init((4, 8, 3), seed=0)), data, batch_size=32, repeats=3)
    >>> [cost.name for cost in costs]
    ['scoring', 'chunk']
    """
    chosen = np.random.default_rng(0).permutation(len(dataset))[:batch_size]
    states = [backend.restart(backend.initial_state()) for _ in range(MEMBERS + 1)]
    part = Subset(dataset, chosen)
    parts = kernels_of(backend, dataset, chosen)
    kernels = {name: parts[name] for name in ("read", "forward", "step")}
    kernels["scoring"] = on_host(
        lambda: evaluate_many(backend, states, part, batch_size=batch_size)
    )
    kernels["chunk"] = chunk(backend, dataset, batch_size=batch_size, steps=STEPS)
    times = interleaved(kernels, repeats=repeats)
    alone = {
        "scoring": times["read"] + (MEMBERS + 1) * times["forward"],
        "chunk": STEPS * (times["read"] + times["step"]),
    }
    return [
        compare({name: times[name], "alone": alone[name]}, samples=len(chosen), reference="alone")[
            0
        ]
        for name in alone
    ]


def chunk(
    backend: Backend[Any, Any], dataset: Dataset[Any], *, batch_size: int, steps: int
) -> Kernel:
    """Steps of a chain at a learning rate of zero."""
    plan = Plan(
        chains=1,
        snapshots=1,
        steps=steps,
        warmups=0,
        batch_size=batch_size,
        scoring="training_batches",
        seed=0,
    )
    stepper = Stepper(backend, dataset, plan, 0)

    def run() -> Any:
        trail = stepper.advance(Constant(0.0), steps)
        if supports(backend, SupportsDonation):
            return trail.losses[-1]
        # a state is opaque: the loss of one sample waits for all the steps
        return backend.forward(stepper.state, dataset.batch(np.arange(1)))

    return on_host(run)
