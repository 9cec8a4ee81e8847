"""`gexcore bench`: the cost of a run for the user's own model."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np

from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Backend, Dataset
from gexcore.cli.files import data_paths, read_samples
from gexcore.cli.model import load_model
from gexcore.cli.reading import add_reading, reading_of
from gexcore.cli.text import add_json, aligned, print_json
from gexcore.ensembles.ensemble import Geometric
from gexcore.ensembles.overheads import MEMBERS, STEPS, overheads
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.relearning import Relearning
from gexcore.ensembles.relearning_plans import further_search
from gexcore.estimators.choice import geometric_instead, planned_passes
from gexcore.estimators.gex import GEX
from gexcore.evaluation.losses import checked
from gexcore.evaluation.opening import opened
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.evaluation.timing import Cost, measure

DESCRIPTION = (
    "`gexcore bench costs MODEL DATA` measures the CPU time per sample of a forward pass, a "
    "training step and derivatives, for a model of yours, and tells what gexcore adds to them and "
    "what a run of `gexcore score` would cost. Takes under a minute, unless the model is slow to "
    "compile, or needs more than a tenth of a second for one sample."
)

ROUNDS = 15
LEAST_ROUNDS = 3
AFFORDABLE = 0.2
"""The most seconds of a forward pass over the batch. A slower model gets fewer samples."""
SMALLEST = 4


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("what", metavar="costs", choices=("costs",), help="what to measure")
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="file.py:callable or package.module:callable, which is RUN, as for `gexcore score`",
    )
    parser.add_argument("data", metavar="DATA", help="the training set, as for `gexcore score`")
    parser.add_argument(
        "--trust", action="store_true", help="open a file of a model that can run code"
    )
    add_reading(parser)
    parser.add_argument("--loss", metavar="NAME", help="cross_entropy (default), squared_error, …")
    parser.add_argument(
        "--backend", metavar="NAME", help="only where the model's type leaves a choice"
    )
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=int,
        help="(default: that of a run, or as many samples as are fast enough)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, and print the table and the estimate."""
    method = GEX(batch_size="auto" if args.batch_size is None else args.batch_size)
    samples = read_samples(data_paths(args.data), reading_of(args))
    source = load_model(args.model, trust=args.trust)
    given = opened(
        source.model,
        samples.given_to(source.model, source.inputs, source.classes).data,
        loss=args.loss,
        backend=args.backend,
    )
    ensemble, why = method.first_ensemble(given)
    given = given.stepping_with(ensemble.optimizer_for(len(given.data)))
    backend, data, plan = given.backend, given.data, ensemble.plan(given)
    seconds = seconds_per_sample(backend, data)
    size = args.batch_size or min(plan.batch_size, max(SMALLEST, int(AFFORDABLE / seconds)))
    rounds = min(ROUNDS, max(LEAST_ROUNDS, int(LEAST_ROUNDS * AFFORDABLE / (seconds * size))))
    costs = measure(backend, data, batch_size=size, repeats=rounds)
    extra = overheads(backend, data, batch_size=size, repeats=rounds)
    passes = planned_passes(ensemble, given)
    both = passes
    if isinstance(ensemble, Relearning):  # may have to be replaced
        geometric = geometric_instead(replace(method, ensemble=None), given)
        both = sum_passes([passes, planned_passes(geometric, given)])
    if args.json:
        print_json(
            {
                "backend": backend.name,
                "batch_size": size,
                "rounds": rounds,
                "costs": [cost._asdict() for cost in costs],
                "overheads": [cost._asdict() for cost in extra],
                "samples": len(data),
                "ensemble": "relearning" if isinstance(ensemble, Relearning) else "geometric",
                "why": why,
                "forward_passes": passes.epochs(len(data)),
                "cpu_seconds": estimate(passes, costs),
                "forward_passes_of_both_ensembles": both.epochs(len(data)),
                "cpu_seconds_of_both_ensembles": estimate(both, costs),
            }
        )
        return
    print(
        f"{backend.name}, batches of {size} samples, CPU time of all threads, median of "
        f"{rounds} rounds:"
    )
    print(table(costs))
    print(ratios(*extra))
    print(f"a run of GEX on these {len(data)} samples: {described(ensemble, plan)} ({why});")
    print(f"at most {told(passes, costs, len(data))}")
    if isinstance(ensemble, Relearning):
        search = (
            "each further search for a start costs as much as "
            f"{further_search(plan).epochs(len(data)):.0f} passes more; "
        )
        print(
            f"{search if ensemble.lr == 'auto' else ''}if the geometric ensemble "
            f"has to replace the relearned members, all is at most {told(both, costs, len(data))}"
        )


def described(ensemble: Geometric | Relearning, plan: Plan) -> str:
    """The members of a plan in words."""
    if isinstance(ensemble, Relearning):
        return (
            f"{plan.chains} × {plan.snapshots // plan.parts} epochs that are relearned, in batches "
            f"of {plan.batch_size} samples"
        )
    return (
        f"{plan.chains} × {plan.snapshots} geometric snapshots, {plan.steps} steps of "
        f"{plan.batch_size} samples before each, scoring {plan.scoring}"
    )


def told(passes: Passes, costs: list[Cost], samples: int) -> str:
    """A cost in passes and in CPU seconds."""
    return (
        f"as much as {passes.epochs(samples):.0f} forward passes over the data, about "
        f"{float(f'{estimate(passes, costs):.2g}'):,g} s of CPU time"
    )


def estimate(passes: Passes, costs: list[Cost]) -> float:
    """CPU seconds of these passes, with the making of batches."""
    each = {cost.name: cost.seconds for cost in costs}
    return passes.forward * (each["read"] + each["forward"]) + passes.step * (
        each["read"] + each["step"]
    )


def seconds_per_sample(backend: Backend[Any, Any], data: Dataset[Any]) -> float:
    """Wall time per sample of a forward pass over few samples."""
    size = min(SMALLEST, len(data))
    state, batch = backend.initial_state(), data.batch(np.arange(size))
    to_numpy(checked(backend.forward(state, batch), size))  # the first call compiles
    started = time.perf_counter()
    to_numpy(backend.forward(state, batch))
    return (time.perf_counter() - started) / size


def ratios(scoring: Cost, chunk: Cost) -> str:
    """The sentence with the ratios of a run's work to its passes and steps."""
    ratios = [f"{cost.ratio:.2f} ({cost.low:.2f} – {cost.high:.2f})" for cost in (scoring, chunk)]
    return (
        f"θ* and {MEMBERS} members scored on a batch: {ratios[0]} of reading it and {MEMBERS + 1} "
        f"forward passes; {STEPS} steps of a chain: {ratios[1]} of reading and steps alone"
    )


def table(costs: list[Cost]) -> str:
    """The costs in columns."""
    rows = [["", "µs per sample", "× forward", "quartiles"]]
    for cost in costs:
        spread = f"{cost.low:.2f} – {cost.high:.2f}"
        rows.append([cost.name, f"{1e6 * cost.seconds:.2f}", f"{cost.ratio:.2f}", spread])
    return aligned(rows, indent="  ")
