"""Times one framework; prints one JSON line per model. `ratios.py` runs it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "costs"))

from case import BATCH_SIZE, Case

from gexcore.capabilities import supports
from gexcore.costs import Kernel, interleaved, on_host
from gexcore.data import as_dataset, to_numpy
from gexcore.ensembles.walker import Walker
from gexcore.evaluation import difference, directional, evaluate_many
from gexcore.plan import Constant, Plan
from gexcore.protocols import Backend, Dataset, SupportsDonation, SupportsJvp, SupportsParams, SupportsSampleGradients

PACKAGES = {"sklearn": "scikit-learn"}
MEMBERS, STEPS, DIRECTIONS = 8, 20, 16


def repeated(work: Callable[[], Any], times: int) -> Kernel:
    """A kernel whose work is that much, waited for at the end."""

    def run(calls: int) -> None:
        for _ in range(calls * times):
            found = work()
        to_numpy(found)

    return run


def generation(backend: Backend[Any, Any], data: Dataset[Any]) -> Callable[[], Any]:
    """The steps of one chunk of a chain, at a learning rate of 0."""
    plan = Plan(chains=1, snapshots=1, steps=STEPS, heats=0, batch_size=BATCH_SIZE, harvest="free", seed=0)
    walker = Walker(backend, data, plan, 0)

    def run() -> Any:
        trail = walker.advance(Constant(0.0), STEPS)
        if supports(backend, SupportsDonation):
            return trail.losses[-1]
        return backend.forward(walker.state, data.batch(np.arange(1)))

    return run


def kernels_of(case: Case) -> dict[str, Kernel]:
    """What is timed."""
    backend = case.backend
    data = as_dataset(case.data, backend)
    states = [backend.initial_state() for _ in range(MEMBERS + 1)]
    kernels = {
        "bare forwards": repeated(case.forward, MEMBERS + 1),
        "scoring": on_host(lambda: evaluate_many(backend, states, data, batch_size=BATCH_SIZE)),
        "bare steps": repeated(case.step, STEPS),
        "generation": on_host(generation(backend, data)),
    }
    if not supports(backend, SupportsParams):
        return kernels
    flat = to_numpy(backend.ravel(states[0]))
    tangents = np.random.default_rng(0).standard_normal((DIRECTIONS, len(flat)), dtype=flat.dtype)

    batch, engine = data.batch(np.arange(BATCH_SIZE)), backend
    kernels["directions"] = on_host(lambda: directional(engine, states[:1], tangents, data, batch_size=BATCH_SIZE))
    if supports(backend, SupportsSampleGradients):
        kernels["by gradients"] = on_host(lambda: tangents @ to_numpy(engine.sample_gradients(states[0], batch)).T)
    if supports(backend, SupportsJvp):
        kernels["by jvp"] = on_host(lambda: np.stack([to_numpy(engine.jvp(states[0], t, batch)) for t in tangents]))
    kernels["by differences"] = on_host(lambda: np.stack([difference(engine, states[0], t, batch) for t in tangents]))
    return kernels


def main(framework: str, rounds: int) -> None:
    package = PACKAGES.get(framework, framework)
    for case in importlib.import_module(f"nets_{framework}").cases():
        times = {name: found.tolist() for name, found in interleaved(kernels_of(case), repeats=rounds).items()}
        print(
            json.dumps({"framework": f"{package} {version(package)}", "model": case.name, "times": times}), flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
