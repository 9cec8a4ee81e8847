"""What scoring, making members and derivatives cost, as ratios to the same work written by hand.

    python -m bench.studies.cost_of_scoring [--framework torch] [--rounds 5]

Every framework is timed in a process of its own, with one thread; CPU time; in each round every
piece of work once, in random order. The models are those of `bench/nets`. θ* and 8 members are
scored, on one batch of 128 and on four; by hand are as many forward passes over a batch in memory.
A chunk has 20 steps (5 where they would take more than half a second) and reads its batches, 16 to
an epoch, in a new order; by hand are as many training steps, with a permutation before each epoch
and indexing before each step. Derivatives along 16 directions are per direction, as ratios to one
forward pass; JVPs and central differences are timed for 4 directions, derivatives in 3 rounds.
Prints a Markdown table: medians with quartiles.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from bench.nets.case import BATCH_SIZE, Case
from bench.studies.cost_of_backends import PACKAGES
from bench.studies.rows import FRAMEWORKS, Row, machine, parser, read, timed, written
from bench.studies.tables import markdown, quartiles
from gexcore.backend.capabilities import supports
from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.protocols import SupportsJvp, SupportsParams, SupportsSampleGradients
from gexcore.ensembles.overheads import chunk
from gexcore.evaluation.derivatives import difference, directional
from gexcore.evaluation.losses import evaluate_many
from gexcore.evaluation.timing import Kernel, interleaved, on_host

WAYS = {"directions": 16, "by gradients": 16, "by jvp": 4, "by differences": 4}
PAIRS = (
    ("scoring", "bare forwards"), ("scoring more", "more bare forwards"),
        ("generation", "bare steps"),
)  # fmt: skip
HEAD = (
    "framework", "model", "scoring, one batch", "scoring, four", "steps",
    "16 directions, each", "by gradients", "by JVP", "by central differences",
)  # fmt: skip
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
    """Its batch, repeated, in the framework's own arrays if they can be joined."""

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


def measured(framework: str, rounds: int) -> Iterator[Row]:
    """One row per model, timed in this process."""
    package = PACKAGES.get(framework, framework)
    for case in importlib.import_module(f"bench.nets.on_{framework}").cases():
        times = interleaved(kernels_of(case), repeats=rounds)
        times |= interleaved(derivatives_of(case), repeats=min(rounds, ROUNDS_OF_DERIVATIVES))
        yield {
            "framework": f"{package} {version(package)}",
            "model": case.name,
            "times": {name: found.tolist() for name, found in times.items()},
        }


def table(rows: list[Row]) -> str:
    """One line for each model."""
    lines = []
    for row in rows:
        times = {name: np.array(values) for name, values in row["times"].items()}
        cells = [quartiles(times[ours] / times[bare]) for ours, bare in PAIRS]
        cells += [
            quartiles(times[way] / times["bare forward"] / n) if way in times else "–"
            for way, n in WAYS.items()
        ]
        lines.append([row["framework"], row["model"], *cells])
    return markdown(HEAD, lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--framework", choices=FRAMEWORKS, nargs="+", default=FRAMEWORKS)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--one", help="time this framework in this process")
    given = arguments.parse_args()
    if given.one:
        written(measured(given.one, given.rounds), None)
        return
    work = (
        row
        for framework in given.framework
        for row in timed("bench.studies.cost_of_scoring", framework, given.rounds)
    )
    print(f"{table(read(given.table) if given.table else written(work, given.out))}\n\n{machine()}")


if __name__ == "__main__":
    main()
