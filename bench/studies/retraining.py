"""Does influence predict retraining? The linear datamodeling score and brittleness.

    python -m bench.studies.retraining --data FOLDER [--problems digits_clean,…] [--out rows.jsonl]

`--peers` adds EK-FAC, TRAK, TracIn and exact Gauss-Newton: see `bench.studies.retraining_peers`.

Networks are trained on random halves of the data, and without the samples that a method names. The
settings of `GEX.for_influence` were chosen on the problems of `CHOSEN_ON` and are frozen for the
others. MNIST, TREC and CIFAR are read from FOLDER. Prints one line per method as it finishes, then
tables. A stopped call continues: rows in `--out` and trainings in `--kept` are not made again.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.studies.retraining_methods import CHECKPOINTS, Model, Named, methods, peers
from bench.studies.retraining_problems import CHOSEN_ON, NAMES, Problem, load, network
from bench.studies.retraining_training import trained
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.deviations.outputs import output
from gexcore.deviations.weights import COLD_STRENGTH, SHRINKAGE
from gexcore.errors import GexError
from gexcore.retraining import Brittleness, Outcomes, lds

REMOVED = 30
COLUMNS = 4
UNBROKEN = (
    "λ", "(50)", "(200)", "centred", "TracIn", "dattri", "LastLayer", "Arnoldi", "TRAK",
    "RandProj", "LiSSA", "Laplace", "ridge", ", shrinkage", "(2000",
)  # fmt: skip
"""Methods, by a part of their names, whose proponents are not removed. It costs most of the study.
"""

Done = set[tuple[str, str, str]]
"""Problem, method and measure of rows that are there."""


def model_of(problem: Problem) -> Model:
    """The network that is trained on all samples."""
    epochs = [round(problem.epochs * (i + 1) / CHECKPOINTS) for i in range(CHECKPOINTS)]
    everything = [np.arange(len(problem.x))]
    _, states, checkpoints = trained(problem, everything, [0], checkpoints=epochs)
    nets = []
    for state in (states[0], *checkpoints):
        net = network(problem)
        net.load_state_dict(state)
        net.eval()
        nets.append(net)
    return Model(problem, nets[0], nets[1:])


def outcomes_of(problem: Problem, kept: Path | None) -> Outcomes:
    """Trainings on random halves of the data, from the folder `kept` if they are there."""
    n, rng = len(problem.x), np.random.default_rng(1)
    masks = np.zeros((problem.subsets, n), bool)
    for mask in masks:
        mask[rng.permutation(n)[: n // 2]] = True
    halves = [np.flatnonzero(m) for m in masks]
    found = []
    for seed in range(9, 9 + problem.seeds):
        file = None if kept is None else kept / f"{problem.name}_{seed}.npy"
        if file is not None and file.exists():
            found.append(np.load(file))
            continue
        losses = trained(problem, halves, [seed] * len(halves))[0]
        found.append(output(losses, _kind(problem)))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, found[-1])
    return Outcomes(masks, np.stack(found))


def scores(model: Model, outcomes: Outcomes, named: Iterator[Named], done: Done) -> Iterator[Row]:
    """The linear datamodeling score of each method that has no row."""
    p = model.problem
    for name, method in named:
        if (p.name, name, "lds") in done:
            continue
        started = time.process_time()
        found = _tried(p, name, method)
        if found is None:
            continue
        seconds = time.process_time() - started
        agreement = lds(found[0], outcomes)
        yield {
            "problem": p.name,
            "method": name,
            "cost": round(found[1], 1),
            "lds": round(agreement.mean, 3),
            "se": round(agreement.standard_error, 3),
            "ceiling": round(agreement.ceiling, 3),
            "seconds": round(seconds, 1),
        }


def removals(model: Model, named: Iterator[Named], done: Done) -> Iterator[Row]:
    """What training without the proponents of each method does, for methods that have no row."""
    p, rng = model.problem, np.random.default_rng(2)
    n, tests = len(p.x), p.removals[0]

    @functools.cache
    def before() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        random = [rng.permutation(n)[:REMOVED] for _ in range(tests)]
        return _averaged(p, [np.arange(n)])[0, :tests], _removed(p, random)

    for name, method in named:
        if (p.name, name, "drop") in done or any(part in name for part in UNBROKEN):
            continue
        found = _tried(p, name, method)
        if found is None:
            continue
        top = np.argsort(-found[0][:tests], axis=1, kind="stable")[:, :REMOVED]
        whole, random = before()
        broken = Brittleness(whole, _removed(p, list(top)), random)
        yield {
            "problem": p.name,
            "method": name,
            "cost": round(found[1], 1),
            "drop": round(broken.drop, 3),
            "drop_se": round(broken.standard_error, 3),
            "random_drop": round(broken.random_drop, 3),
            "flipped": round(broken.flipped, 3) if _kind(p) == "margin" else None,
        }


def run(
    problem: Problem, measures: str, done: Done, *, with_peers: bool, kept: Path | None
) -> Iterator[Row]:
    """One row per method and measure."""
    model = model_of(problem)
    outcomes = functools.cache(lambda: outcomes_of(problem, kept))

    def named(halves: Callable[[], Outcomes] | None) -> Iterator[Named]:
        return itertools.chain(methods(model), peers(model, halves) if with_peers else ())

    if "lds" in measures:
        yield from scores(model, outcomes(), named(outcomes), done)
    if "removal" in measures:
        yield from removals(model, named(outcomes if "lds" in measures else None), done)


def _tried(problem: Problem, name: str, method: Callable[[], Any]) -> Any:
    """The result of a method, or None, which is told, where it cannot run on the problem."""
    try:
        return method()
    except (GexError, ImportError) as error:
        print(f"{problem.name}: {name} is left out: {error}", file=sys.stderr)
        return None


def _kind(problem: Problem) -> Any:
    return "margin" if problem.loss == "cross_entropy" else "root"


def _removed(problem: Problem, removed: list[Any]) -> NDArray[np.float64]:
    """Outputs of each test sample after training without its own list of samples."""
    parts = [np.setdiff1d(np.arange(len(problem.x)), each) for each in removed]
    return _averaged(problem, parts)[np.arange(len(parts)), np.arange(len(parts))]


def _averaged(problem: Problem, parts: list[Any]) -> NDArray[np.float64]:
    repeats = problem.removals[1]
    seeds = np.repeat(range(9, 9 + repeats), len(parts))
    found = output(trained(problem, parts * repeats, seeds)[0], _kind(problem))
    return found.reshape(repeats, len(parts), -1).mean(axis=0)


def table(rows: list[Row]) -> str:
    """Linear datamodeling scores and brittleness by problem, and the choice of λ."""
    scored = [row for row in rows if "lds" in row]
    ceilings = {row["problem"]: row["ceiling"] for row in scored}
    random = {row["problem"]: row["random_drop"] for row in rows if "random_drop" in row}
    chosen = [row for row in scored if "for_influence" in row["method"]]
    shown = [row for row in scored if not _varies(row) or "(100)`, shrinkage 0" in row["method"]]
    parts = [
        "Linear datamodeling score ± standard error over test samples. Cost is in forward passes "
        f"over the data. Ceilings: {_listed(ceilings)}.",
        _by_problem(shown, _score),
        "Strength λ of the ridge and strength of the shrinkage, where they were chosen (without a "
        f"number they are {COLD_STRENGTH:g} and {SHRINKAGE:g}):",
        _by_problem([row for row in chosen if row["problem"] in CHOSEN_ON], _score),
    ]
    broken = [row for row in rows if "drop" in row]
    if broken:
        parts += [
            f"Brittleness: fall of the output when {REMOVED} proponents are removed, ± standard "
            "error, and the share of right predictions that change. Random samples instead: "
            f"{_listed(random)}.",
            _by_problem(broken, _fall),
        ]
    return "\n\n".join(parts)


def _varies(row: Row) -> bool:
    return "λ" in row["method"] or ", shrinkage" in row["method"]


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {number:.2f}" for name, number in numbers.items())


def plot(rows: list[Row], path: Path) -> None:
    """Draw score against cost, one panel for each problem."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "gexcore", "svg.fonttype": "none"})
    from matplotlib import pyplot

    shown = [row for row in rows if "lds" in row and not _varies(row)]
    panels = list(groups(shown, "problem").items())
    names = list(dict.fromkeys(row["method"] for row in shown))
    figure, axes = pyplot.subplots(
        -(-len(panels) // COLUMNS), COLUMNS, figsize=(11, 8), sharex=True, squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, ((name,), part) in zip(axes.flat, panels, strict=False):
        ridge = [
            row for row in part if "for_influence" in row["method"] and "," not in row["method"]
        ]
        axis.plot(
            [r["cost"] for r in ridge], [r["lds"] for r in ridge], "ko-", label="for_influence"
        )
        for row in part:
            if row not in ridge:
                at = names.index(row["method"])
                look = {"color": f"C{at % 10}", "marker": "x+^sv1*"[at % 7], "linestyle": "none"}
                label = row["method"].replace("`", "")
                axis.plot([row["cost"]], [row["lds"]], label=label, **look)
        axis.set(title=name, xscale="log")
    labels = dict(
        pair
        for axis in axes.flat[: len(panels)]
        for pair in zip(*axis.get_legend_handles_labels()[::-1], strict=True)
    )
    figure.legend(labels.values(), labels.keys(), fontsize=7, loc="lower right", ncols=1)
    figure.supxlabel("forward passes over the data")
    figure.supylabel("linear datamodeling score")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _by_problem(rows: list[Row], cell: Callable[[Row], str]) -> str:
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    lines = []
    for (name,), part in groups(rows, "method").items():
        found = {row["problem"]: row for row in part}
        costs = sorted({round(row["cost"]) for row in part if row["problem"] in problems})
        cost = f"{costs[0]}" if len(costs) == 1 else f"{costs[0]} – {costs[-1]}"
        shown = [cell(found[p]) if p in found else "–" for p in problems]
        lines.append([str(name), cost, *shown])
    return markdown(("method", "cost", *problems), lines)


def _score(row: Row) -> str:
    return f"{row['lds']:.2f} ± {row['se']:.2f}"


def _fall(row: Row) -> str:
    flipped = "" if row["flipped"] is None else f", {row['flipped']:.0%}"
    return f"{row['drop']:.2f} ± {row['drop_se']:.2f}{flipped}"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--plot", type=Path, help="draw score against cost into this SVG file")
    arguments.add_argument("--peers", action="store_true", help="measure other libraries too")
    arguments.add_argument("--measures", default="lds,removal", help="lds, removal or both")
    arguments.add_argument("--kept", type=Path, help="a folder that keeps trainings")
    arguments.add_argument("--problems", default=",".join(NAMES))
    given: argparse.Namespace = arguments.parse_args()
    if given.table:
        rows = read(given.table)
    else:
        torch.set_num_threads(1)
        problems = [load(name, given.data) for name in given.problems.split(",")]
        before = read([given.out]) if given.out and given.out.exists() else []
        done = {
            (row["problem"], row["method"], measure)
            for row in before
            for measure in ("lds", "drop")
            if measure in row
        }
        found = (
            run(each, given.measures, done, with_peers=given.peers, kept=given.kept)
            for each in problems
        )
        rows = [*before, *written(itertools.chain.from_iterable(found), given.out)]
    if given.plot:
        plot(rows, given.plot)
    print(table(rows))


if __name__ == "__main__":
    main()
