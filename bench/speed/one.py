"""Times one framework; prints one JSON line per model. `ratios.py` runs it."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace

sys.path.append(str(Path(__file__).parent.parent / "costs"))

from case import BATCH_SIZE, Case

from gexcore.backend.capabilities import supports
from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.protocols import SupportsJvp, SupportsParams, SupportsSampleGradients
from gexcore.ensembles.overheads import chunk
from gexcore.evaluation.derivatives import difference, directional
from gexcore.evaluation.losses import evaluate_many
from gexcore.evaluation.timing import Kernel, interleaved, on_host

PACKAGES = {"sklearn": "scikit-learn"}
MEMBERS, BATCHES, STEPS, DIRECTIONS = 8, 4, 20, 16
EPOCH = 16
"""Batches in an epoch of the training steps."""
FEW, ROUNDS_OF_DERIVATIVES = 4, 3
"""Directions that are timed one by one, and rounds for them: they take long."""
AFFORDABLE = 0.5
"""Seconds for a chunk of steps; of a slower model it has 5."""


def repeated(work: Callable[[], Any], times: int) -> Kernel:
    """A kernel whose work is that much, waited for at the end."""

    def run(calls: int) -> None:
        for _ in range(calls * times):
            found = work()
        to_numpy(found)

    return run


def repeated_data(case: Case, times: int) -> tuple[Any, ...]:
    """Its batch so many times over, in the framework's own arrays where those can be put together."""

    def column_of(column: Any) -> Any:
        try:
            return array_namespace(column).concat([column] * times)
        except TypeError:
            return np.concatenate([to_numpy(column)] * times)

    return tuple(map(column_of, case.data))


def loop(case: Case) -> Callable[[], Any]:
    """A step by hand on samples that are put into a new order before, by hand as well."""
    columns = [to_numpy(column) for column in repeated_data(case, EPOCH)]
    rng, batches = np.random.default_rng(0), iter(())

    def run() -> Any:
        nonlocal batches
        chosen = next(batches, None)
        if chosen is None:
            batches = iter(rng.permutation(EPOCH * BATCH_SIZE).reshape(EPOCH, BATCH_SIZE))
            chosen = next(batches)
        for column in columns:
            column[chosen]
        return case.step()

    return run


def kernels_of(case: Case) -> dict[str, Kernel]:
    """Scoring and steps."""
    backend = case.backend
    data = as_dataset(case.data, backend)
    more = as_dataset(repeated_data(case, BATCHES), backend)
    epoch = as_dataset(repeated_data(case, EPOCH), backend)
    # other states in the same memory, like the model that is called by hand again and again
    states = [backend.restart(backend.initial_state()) for _ in range(MEMBERS + 1)]
    case.step()
    started = time.perf_counter()
    case.step()
    steps = STEPS if STEPS * (time.perf_counter() - started) < AFFORDABLE else 5
    return {
        "bare forwards": repeated(case.forward, MEMBERS + 1),
        "scoring": on_host(lambda: evaluate_many(backend, states, data, batch_size=BATCH_SIZE)),
        "more bare forwards": repeated(case.forward, BATCHES * (MEMBERS + 1)),
        "scoring more": on_host(
            lambda: evaluate_many(backend, states, more, batch_size=BATCH_SIZE)
        ),
        "bare steps": repeated(loop(case), steps),
        "generation": chunk(backend, epoch, batch_size=BATCH_SIZE, steps=steps),
    }


def derivatives_of(case: Case) -> dict[str, Kernel]:
    """Derivatives, as far as there are any."""
    backend = case.backend
    if not supports(backend, SupportsParams):
        return {}
    data = as_dataset(case.data, backend)
    state, batch, engine = backend.initial_state(), data.batch(np.arange(BATCH_SIZE)), backend
    flat = to_numpy(backend.ravel(state))
    tangents = np.random.default_rng(0).standard_normal((DIRECTIONS, len(flat)), dtype=flat.dtype)
    few = tangents[:FEW]
    kernels = {"bare forward": on_host(case.forward)}
    kernels["directions"] = on_host(
        lambda: directional(engine, [state], tangents, data, batch_size=BATCH_SIZE)
    )
    if supports(backend, SupportsSampleGradients):
        kernels["by gradients"] = on_host(
            lambda: tangents @ to_numpy(engine.sample_gradients(state, batch)).T
        )
    if supports(backend, SupportsJvp):
        kernels["by jvp"] = on_host(
            lambda: np.stack([to_numpy(engine.jvp(state, t, batch)) for t in few])
        )
    kernels["by differences"] = on_host(
        lambda: np.stack([difference(engine, state, t, batch) for t in few])
    )
    return kernels


def main(framework: str, rounds: int) -> None:
    package = PACKAGES.get(framework, framework)
    for case in importlib.import_module(f"nets_{framework}").cases():
        times = interleaved(kernels_of(case), repeats=rounds)
        times |= interleaved(derivatives_of(case), repeats=min(rounds, ROUNDS_OF_DERIVATIVES))
        told = {name: found.tolist() for name, found in times.items()}
        print(
            json.dumps(
                {"framework": f"{package} {version(package)}", "model": case.name, "times": told}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
