"""`gexcore bench costs`, and the measurements it prints."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.data import as_dataset
from gexcore.cli import bench
from gexcore.ensembles.budget import planned_passes
from gexcore.ensembles.overheads import overheads
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore.estimators.gex import GEX
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore.evaluation.statistics import Refresher
from gexcore.evaluation.timing import compare, measure
from gexcore_numpy import MLP, NumpyBackend

COSTS = ("bench", "costs", "model.py:build", "data.npz")
EVERYTHING = ["read", "forward", "training forward", "step", "jvp", "hvp"]


class Plain:
    """No more than every backend has."""

    name = "plain"

    def initial_state(self) -> float:
        return 1.0

    def forward(self, state: float, batch: Any, /) -> Any:
        return (state - batch[0][:, 0]) ** 2

    def sgd_step(self, state: float, batch: Any, /, *, lr: float, seed: int) -> float:
        return float(state - lr * 2 * (state - batch[0][:, 0]).mean())

    def restart(self, state: float, /) -> float:
        return state


def test_the_table_and_what_a_run_would_cost(project, run):
    outcome = run(*COSTS)
    assert (outcome.code, outcome.err) == (0, "")
    assert (
        "numpy, batches of 8 samples, CPU time of all threads, median of 15 rounds:" in outcome.out
    )
    names = [
        line[2:].split("  ")[0] for line in outcome.out.splitlines()[2:] if line.startswith("  ")
    ]
    assert names == EVERYTHING
    numbers = re.search(r"^  forward +(\S+) +(\S+)  1.00 – 1.00$", outcome.out, re.MULTILINE)
    assert numbers is not None
    assert float(numbers[1]) > 0
    assert numbers[2] == "1.00"
    told = (
        "a run of GEX on these 120 samples: 2 × 20 epochs that are relearned, in batches of 8 "
        "samples (labels of classes, and a backend that can relearn);"
    )
    assert told in outcome.out
    spread = r"(\d+\.\d\d) \(\d+\.\d\d – \d+\.\d\d\)"
    ratios = re.search(
        rf"^θ\* and 8 members scored on a batch: {spread} of reading it and 9 forward passes; "
        rf"5 steps of a chain: {spread} of reading and steps alone$",
        outcome.out,
        re.MULTILINE,
    )
    assert ratios is not None
    assert all(float(ratio) > 0 for ratio in ratios.groups())
    relearned, further, both = 2 + 3 * 40 + 19.2, 19.2, 2 + 3 * 40 + 19.2 + 304.4
    cost = r"forward passes over the data, about [\d.,]+ s of CPU time"
    assert re.search(rf"^at most as much as {relearned:.0f} {cost}$", outcome.out, re.MULTILINE)
    assert f"costs as much as {further:.0f} passes more; if the geometric ens" in outcome.out
    assert re.search(rf"all is at most as much as {both:.0f} {cost}$", outcome.out, re.MULTILINE)


def test_a_run_that_cannot_relearn_has_the_cost_of_geometric_members(project, run):
    (project / "model.py").write_text(
        "from gexcore_numpy import MLP, NumpyBackend\n\n"
        "def build():\n    return NumpyBackend(MLP.init((2, 2), seed=0))\n"
    )
    told = run(*COSTS).out
    assert "2 × 24 geometric snapshots, 16 steps of 8 samples before each, scoring eval" in told
    assert "(the backend was given, with its own optimizer);" in told
    assert "as much as 304 forward passes over the data" in told
    assert "replace" not in told


def test_the_batch_size_and_the_columns_of_a_table(project, run, blobs):
    x, y = blobs
    rows = "\n".join(f"{a},{b},{label}" for (a, b), label in zip(x, y, strict=True))
    (project / "data.csv").write_text(f"a,b,class\n{rows}\n")
    outcome = run(
        "bench", "costs", "model.py:build", "data.csv", "--label", "class", "--batch-size", "20"
    )
    assert outcome.code == 0
    assert "batches of 20 samples" in outcome.out
    assert "in batches of 20 samples (labels of classes" in outcome.out


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("bench",), "the following arguments are required: costs, MODEL, DATA"),
        (("bench", "speed", *COSTS[2:]), "argument costs: invalid choice: 'speed'"),
        (COSTS[:3], "the following arguments are required: DATA"),
        ((*COSTS, "--batch-size", "0"), "batch_size is 0, and must be a whole number from 1 up"),
        ((*COSTS, "--batch-size", "121"), "batch_size is 121, and the data has 120 samples"),
        ((*COSTS, "--batch-size", "few"), "argument --batch-size: invalid int value: 'few'"),
        ((*COSTS, "--batch", "8"), "unrecognized arguments: --batch 8"),
        ((*COSTS, "--loss", "huber"), "huber"),
        ((*COSTS, "--backend", "torhc"), "no backend named 'torhc'; installed: "),
        ((*COSTS, "--label", "y"), "--label y is for the columns of tables"),
        (
            ("bench", "costs", "net.py:build", "data.npz"),
            "net.py does not exist; it must be file.py:callable",
        ),
        (("bench", "costs", "model.py:make", "data.npz"), "model.py has no make; it must be"),
        (
            ("bench", "costs", "model.py:build", "none.npz"),
            "none.npz does not exist; DATA is an .npz file",
        ),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(project, run, args, told):
    outcome = run(*args)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("gexcore: ")
    assert outcome.err.count("\n") == 1
    assert told in outcome.err


def test_data_that_does_not_fit_the_model_is_refused(project, run, blobs):
    x, y = blobs
    np.savez("wide.npz", x=np.hstack([x, x]), y=y)
    outcome = run("bench", "costs", "model.py:build", "wide.npz")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("scoring", ["evaluated", "training_batches"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_passes_are_those_that_a_run_counts(blobs, scoring, batch_norm):
    backend = NumpyBackend(MLP.init((2, 4, 2), seed=0, batch_norm=batch_norm))
    method = GEX(lr=0.01, snapshots=3, scoring=scoring)
    data = as_dataset(blobs, backend)
    refreshed = Refresher(backend, data, seed=method.seed).samples
    passes = planned_passes(
        method.plan(Opened(backend, data, data)), len(data), refreshed=refreshed
    )
    run = method.fit(backend, blobs, progress=False).run
    assert passes == run.passes._replace(copies=0) == run.planned


def test_the_estimate_counts_steps_and_passes_and_the_reading_of_both():
    costs = compare(
        {"read": np.full(3, 1.0), "forward": np.full(3, 10.0), "step": np.full(3, 30.0)},
        samples=10,
        reference="forward",
    )
    assert bench.estimate(Passes(forward=100, step=20), costs) == pytest.approx(
        100 * 1.1 + 20 * 3.1
    )


def test_a_slow_model_is_measured_on_fewer_samples_unless_told_otherwise(project, run, monkeypatch):
    (project / "model.py").write_text(
        "import time\nfrom gexcore_numpy import MLP, NumpyBackend\n\n"
        "class Slow(NumpyBackend):\n"
        "    def forward(self, state, batch, /):\n"
        "        time.sleep(2e-3 * len(batch[0]))\n"
        "        return super().forward(state, batch)\n\n"
        "def build():\n    return Slow(MLP.init((2, 2), seed=0))\n"
    )
    monkeypatch.setattr(bench, "AFFORDABLE", 0.012)
    told = run(*COSTS).out
    size = re.match(r"numpy, batches of (\d) samples, .* median of (\d) rounds", told)
    assert size is not None
    assert int(size[1]) in (4, 5)  # of the 8 of a run, which is what the estimate is for
    assert int(size[2]) in (3, 4)
    assert "16 steps of 8 samples" in told
    assert run(*COSTS, "--batch-size", "9").out.startswith("numpy, batches of 9 samples")


def test_what_a_backend_cannot_do_is_left_out(blobs):
    costs = measure(Plain(), blobs, batch_size=64, repeats=3)
    assert [cost.name for cost in costs] == ["read", "forward", "step"]
    assert all(cost.seconds > 0 and cost.low <= cost.ratio <= cost.high for cost in costs)


def test_ratios_are_to_the_pass_written_by_hand(blobs):
    backend = NumpyBackend(MLP.init((2, 64, 2), seed=0))
    state = backend.initial_state()

    def five(batch):
        return np.mean([backend.forward(state, batch) for _ in range(5)], axis=0)

    costs = {cost.name: cost for cost in measure(backend, blobs, repeats=5, bare=five)}
    assert list(costs) == ["bare", *EVERYTHING]
    assert costs["bare"].ratio == 1.0
    assert costs["forward"].ratio < 1  # a fifth, but for other work on this machine
    assert costs["bare"].seconds > costs["forward"].seconds


@pytest.mark.parametrize(
    "backend", [Plain(), NumpyBackend(MLP.init((2, 16, 2), seed=0))], ids=lambda b: b.name
)
def test_what_a_run_adds_is_measured_on_any_backend(blobs, backend):
    costs = overheads(backend, as_dataset(blobs, backend), batch_size=64, repeats=3)
    assert [cost.name for cost in costs] == ["scoring", "chunk"]
    assert all(cost.seconds > 0 and cost.low <= cost.ratio <= cost.high for cost in costs)


def test_wasted_passes_show(blobs):
    class TwentyTimes(Plain):
        def stack(self, states, /):
            return states

        def forward_many(self, stacked, batch, /):
            return np.stack([self.forward(state, batch) for _ in range(20) for state in stacked])[
                -len(stacked) :
            ]

    def ratio(backend):
        return overheads(backend, as_dataset(blobs, backend), batch_size=120, repeats=5)[0].ratio

    assert ratio(TwentyTimes()) > 4 * ratio(Plain())


def test_ratios_are_taken_round_by_round():
    times = {
        "one": np.array([1.0, 2.0, 4.0, 8.0, 16.0]),
        "other": np.array([3.0, 6.0, 16.0, 16.0, 32.0]),
    }
    one, other = compare(times, samples=4, reference="one")
    assert one == ("one", 1.0, 1.0, 1.0, 1.0)
    assert other == ("other", 4.0, 3.0, 2.0, 3.0)


def test_the_model_is_as_it_was(blobs):
    model = MLP.init((2, 4, 2), seed=0, batch_norm=True)
    before = [array.copy() for array in (*model.weights, *model.biases, model.batch_norm[0].mean)]
    measure(NumpyBackend(model), blobs, repeats=2)
    after = (*model.weights, *model.biases, model.batch_norm[0].mean)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_loss_of_the_whole_batch_is_refused(blobs):
    class Summed(Plain):
        def forward(self, state, batch, /):
            return super().forward(state, batch).sum()

    with pytest.raises(
        InvalidModelError, match=r"a batch of 120 samples has shape \(\); one number per sample"
    ):
        measure(Summed(), blobs)


@pytest.mark.parametrize("setting", [{"batch_size": 0}, {"repeats": 0}, {"repeats": 1.5}])
def test_settings_are_whole_numbers(blobs, setting):
    with pytest.raises(
        InvalidSettingError,
        match=f"{next(iter(setting))} is .*, and must be a whole number from 1 up",
    ):
        measure(Plain(), blobs, **setting)


def test_a_backend_is_still_usable_afterwards(blobs):
    backend = NumpyBackend(MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)]))
    before = gx.GEX(lr=0.05, snapshots=2).fit(backend, blobs, progress=False).suspicion()
    measure(backend, blobs, repeats=2)
    after = gx.GEX(lr=0.05, snapshots=2).fit(backend, blobs, progress=False).suspicion()
    assert np.array_equal(before, after)


def test_costs_as_json(project, run):
    told = json.loads(run(*COSTS, "--json").out)
    assert (told["backend"], told["samples"]) == ("numpy", 120)
    assert {"read", "forward", "step"} <= {cost["name"] for cost in told["costs"]}
    assert told["cpu_seconds"] > 0
