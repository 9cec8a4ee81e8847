"""Views of a large table of losses against the bare NumPy work that they cannot do without.

    python -m bench.studies.cost_of_views [--samples 1280000] [--members 32] [--tests 10000]
        [--rounds 5]
    python -m bench.studies.cost_of_views --curves

Losses are synthetic (gamma, float32). Every view and its bare work are timed in turn, in one
process with one thread: CPU time, and wall time beside it. Memory is by how much the resident size
of a process that holds the table grows, at most, while it works out one view. Bare is what a reader
would write by hand: products of all test rows with blocks of 8,192 samples in the same double
precision, and `numpy.argpartition` of each block; on a tenth of the test rows, since it takes so
long.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ.update(dict.fromkeys(ONE_THREAD, "1"))

import numpy as np  # noqa: E402  (the thread count is read when it is loaded)

from gexcore.decisions.otsu import otsu  # noqa: E402
from gexcore.decisions.threshold import valley_or_refuse  # noqa: E402
from gexcore.deviations.ranking import highest  # noqa: E402
from gexcore.deviations.table import LossTable  # noqa: E402
from gexcore.influence.loss_influence import LossInfluence  # noqa: E402

K, FIRST, BLOCK, BARE_SHARE = 10, 1000, 8192, 10
GROUPS, CLASSES = 1000, 1000
PRODUCTS = "products alone, without the partitions"


def losses(members: int, samples: int, seed: int) -> LossTable:
    """Members whose losses differ by sample, one in ten of them high."""
    rng = np.random.default_rng(seed)
    found = rng.standard_gamma(0.5, (members, samples), dtype=np.float32)
    found += 2 * (rng.random(samples, dtype=np.float32) < 0.1)
    return LossTable(
        found, 0.1 * rng.standard_gamma(0.5, samples, dtype=np.float32), np.arange(members)
    )


def self_by_hand(table: LossTable) -> Any:
    dev = table.losses - table.base_losses
    return np.einsum("mn,mn->n", dev, dev) / len(table)


def otsu_by_hand(scores: Any) -> Any:
    x = np.sort(scores)
    total, count = np.cumsum(x), np.arange(1, len(x))
    excess = count * (total[-1] / len(x)) - total[:-1]
    best = np.argmax(excess**2 / (count * (len(x) - count)))
    return (x[best] + x[best + 1]) / 2


def top_by_hand(tests: LossTable, table: LossTable) -> Any:
    best: tuple[Any, Any] = (np.empty((tests.samples, 0), int), np.empty((tests.samples, 0)))
    worst = best
    given = (tests.losses - tests.base_losses).astype(np.float64).T / len(tests)
    for start in range(0, table.samples, BLOCK):
        part = slice(start, start + BLOCK)
        block = given @ (table.losses[:, part] - table.base_losses[part]).astype(np.float64)
        best, worst = kept(best, block, start), kept(worst, -block, start)
    return best, worst


def kept(found: tuple[Any, Any], block: Any, start: int) -> tuple[Any, Any]:
    chosen = np.argpartition(-block, K, axis=1)[:, :K]
    at = np.concatenate([found[0], chosen + start], axis=1)
    values = np.concatenate([found[1], np.take_along_axis(block, chosen, 1)], axis=1)
    order = np.argsort(-values, axis=1)[:, :K]
    return np.take_along_axis(at, order, 1), np.take_along_axis(values, order, 1)


def products_by_hand(tests: LossTable, table: LossTable) -> None:
    given = (tests.losses - tests.base_losses).astype(np.float64).T / len(tests)
    for start in range(0, table.samples, BLOCK):
        part = slice(start, start + BLOCK)
        given @ (table.losses[:, part] - table.base_losses[part]).astype(np.float64)


def influence(table: LossTable, chains: int) -> LossInfluence:
    """What a run of so many chains returns, as far as its table goes."""
    of = replace(table, chains=np.arange(len(table)) * chains // len(table))
    labels = np.arange(table.samples) % CLASSES
    nothing: Any = None
    run: Any = SimpleNamespace(classes=CLASSES, plan=None)
    members: Any = SimpleNamespace(backend=None)  # one without logits
    return LossInfluence(of, table.base_losses, labels, data=nothing, members=members, run=run)


Work = Callable[[], Any]


def views(table: LossTable, tests: LossTable) -> dict[str, Work]:
    """What is asked of the table."""
    scores = table.self_influence()
    codes = np.random.default_rng(2).integers(0, GROUPS, table.samples)
    return {
        "self-influence": table.self_influence,
        "Otsu's cut": lambda: otsu(scores),
        f"top {FIRST:,}": lambda: highest(scores, FIRST),
        "standard error": table.standard_error,
        "valley of the scores": lambda: valley_or_refuse(scores),
        "default threshold, one chain": lambda: influence(table, 1).suspects(),
        "default threshold, four chains": lambda: influence(table, 4).suspects(),
        "reliability, one chain": lambda: influence(table, 1).reliability(),
        "reliability, four chains": lambda: influence(table, 4).reliability(),
        f"influence of {GROUPS:,} groups": lambda: table.group_cross(tests, codes, GROUPS),
        f"cross-influence, top {K}": lambda: table.top(tests, K),
    }


def by_hand(table: LossTable, tests: LossTable) -> dict[str, Work]:
    """The bare work of some of them; of cross-influence, for a tenth of the test rows."""
    scores = table.self_influence()
    count = tests.samples // BARE_SHARE
    few = LossTable(tests.losses[:, :count], tests.base_losses[:count], tests.chains)
    return {
        "self-influence": lambda: self_by_hand(table),
        "Otsu's cut": lambda: otsu_by_hand(scores),
        f"top {FIRST:,}": lambda: np.argpartition(-scores, FIRST)[:FIRST],
        f"cross-influence, top {K}": lambda: top_by_hand(few, table),
        PRODUCTS: lambda: products_by_hand(few, table),
    }


def seconds(work: Work) -> tuple[float, float]:
    """CPU and wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def ratios(arguments: argparse.Namespace) -> None:
    """The first table."""
    print(
        "| view | CPU s | wall s | ÷ bare work, CPU | wall | memory ÷ table |\n| --- | --- | "
        "--- | --- | --- | --- |"
    )
    table, tests = tables(arguments)
    bare = by_hand(table, tests)
    for name, view in views(table, tests).items():
        rows = []
        for _ in range(arguments.rounds):
            of_bare = seconds(bare[name]) if name in bare else (np.nan, np.nan)
            rows.append((seconds(view), of_bare))
        ours, theirs = np.array(rows).transpose(1, 0, 2)
        share = BARE_SHARE if name.startswith("cross") else 1
        times = " | ".join(f"{x:.3g}" for x in np.median(ours, axis=0))
        told = " | ".join(
            "–" if np.isnan(x) else f"{x:.2f}" for x in np.median(ours / theirs / share, axis=0)
        )
        print(f"| {name} | {times} | {told} | {memory(arguments, name):.2f} |", flush=True)
    cpu, wall = (BARE_SHARE * x for x in seconds(bare[PRODUCTS]))
    print(f"\nThe {PRODUCTS} take {cpu:.3g} s of CPU time, {wall:.3g} s of wall time.")


def curves(arguments: argparse.Namespace) -> None:
    """CPU seconds against the number of samples, of members and of test rows; the least of some
    rounds."""
    sizes = [(32, 10**power, 1000) for power in (3, 4, 5, 6)]
    sizes += [(members, 10**5, 1000) for members in (1, 4, 16, 64)]
    sizes += [(32, 10**5, tests) for tests in (10, 100, 10_000)]
    for number, (members, samples, count) in enumerate(sizes):
        table, tests = losses(members, samples, 0), losses(members, count, 1)
        found = {
            name: min(seconds(view)[0] for _ in range(3))
            for name, view in views(table, tests).items()
        }
        if not number:
            print(
                f"| members | samples | tests | {' | '.join(found)} |\n| "
                f"{' | '.join(['---'] * (3 + len(found)))} |"
            )
        cells = " | ".join(f"{1000 * value:.3g}" for value in found.values())
        print(f"| {members} | {samples:,} | {count:,} | {cells} |", flush=True)


def tables(arguments: argparse.Namespace) -> tuple[LossTable, LossTable]:
    return losses(arguments.members, arguments.samples, 0), losses(
        arguments.members, arguments.tests, 1
    )


def memory(arguments: argparse.Namespace, name: str) -> float:
    """Highest resident size for one view beyond what there was before, in tables, in a process of
    its own."""
    sizes = [f"--{key}={getattr(arguments, key)}" for key in ("samples", "members", "tests")]
    command = [sys.executable, "-m", "bench.studies.cost_of_views", "--one", name, *sizes]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def one(arguments: argparse.Namespace) -> None:
    """The memory of one view, in this process."""
    table, tests = tables(arguments)
    view = views(table, tests)[arguments.one]
    Path("/proc/self/clear_refs").write_text(
        "5"
    )  # the highest size starts anew from the present one
    before = highest_size()
    view()
    print((highest_size() - before) / table.losses.nbytes)


def highest_size() -> int:
    """Of this process, resident, in bytes (Linux)."""
    found = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return 1024 * int(found.split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1_280_000)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--tests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--curves", action="store_true", help="growth instead of ratios, in milliseconds"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments)
    elif arguments.curves:
        curves(arguments)
    else:
        ratios(arguments)


if __name__ == "__main__":
    main()
