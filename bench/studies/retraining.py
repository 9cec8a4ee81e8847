"""Does influence predict retraining? The linear datamodeling score and brittleness.

    python -m bench.studies.retraining --data FOLDER [--problems digits_clean,…] [--out rows.jsonl]

`--peers` adds EK-FAC, TRAK and exact Gauss-Newton: see `bench.studies.retraining_peers`.

Networks are trained on random halves of the data, and without the samples that a method names. The
settings of `GEX.for_influence` were chosen on the problems of `CHOSEN_ON` and are frozen for the
others. MNIST and TREC are read from FOLDER. Prints one line per method as it finishes, then tables.
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import gexcore as gx
from bench.studies.retraining_problems import CHOSEN_ON, NAMES, Problem, load, network, trained
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.deviations.outputs import output
from gexcore.deviations.weights import COLD_STRENGTH
from gexcore.errors import GexError
from gexcore.retraining import Brittleness, Outcomes, lds

SUBSETS, SEEDS = 60, 4
REMOVED, TESTS, REMOVAL_SEEDS = 30, 30, 2
CHECKPOINTS = 5
STRENGTHS = (0.01, 0.03, 0.1, 0.3)
TRAK_STRENGTHS = (0.0, 10.0, 100.0, 1000.0)
UNBROKEN = ("λ", "(50)", "(200)", "centred", "TracIn", "dattri", "LastLayer", "Arnoldi", "TRAK")
"""Methods, by a part of their names, whose proponents are not removed. It costs most of the study.
"""

Found = tuple[NDArray[np.float64], float]


class Model(NamedTuple):
    """A trained network, its checkpoints, and its problem."""

    problem: Problem
    net: torch.nn.Module
    checkpoints: list[Any]

    def fit(self, method: Any) -> Any:
        """The result of a method on the problem."""
        p = self.problem
        return method.fit(
            self.net, (p.x, p.y), test=(p.test_x, p.test_y), loss=p.loss, progress=False
        )


def cosine(model: Model) -> Found:
    """Cosine of the last hidden layer, for samples of the same label."""
    with torch.no_grad():
        body = torch.nn.Sequential(*list(model.net)[:-1])
        train, tests = (
            torch.nn.functional.normalize(body(torch.from_numpy(x)).flatten(1)).double().numpy()
            for x in (model.problem.x, model.problem.test_x)
        )
    found = tests @ train.T
    if model.problem.loss == "cross_entropy":
        found = found * (model.problem.test_y[:, None] == model.problem.y[None])
    return found, 1.0


def methods(model: Model) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Every method with a name, in the order of the table."""
    p, n = model.problem, len(model.problem.x)
    kept: dict[str, Any] = {}

    def of(name: str, method: Any, view: Callable[[Any], Any] = lambda found: found) -> Found:
        if name not in kept:
            kept[name] = model.fit(method)
        return view(kept[name]).influence(), kept[name].run.passes.epochs(n)

    yield "`GEX()`", lambda: of("gex", gx.GEX())
    yield (
        '`GEX(weights="mean")`, E[ΔΔ\']',
        lambda: of("gex", gx.GEX(), lambda f: f.weighted("mean", center="checkpoint")),
    )
    yield (
        '`GEX(weights="mean")` centred',
        lambda: of("gex", gx.GEX(), lambda f: f.weighted("mean", center="ensemble")),
    )
    for budget in (50, 100, 200, 400):
        ridge = gx.GEX.for_influence(budget=budget)
        for strength in STRENGTHS if p.name in CHOSEN_ON else (COLD_STRENGTH,):
            told = "" if strength == COLD_STRENGTH else f", λ = {strength:g}"
            yield (
                f"`GEX.for_influence({budget})`{told}",
                lambda budget=budget, ridge=ridge, strength=strength: of(  # type: ignore[misc]
                    str(budget), ridge, lambda f: f.weighted(strength=strength)
                ),
            )
    yield "gradient dot product", lambda: of("dot", gx.TracIn(checkpoints=[model.net]))
    yield (
        f"`TracIn`, {CHECKPOINTS} checkpoints",
        lambda: of("tracin", gx.TracIn(checkpoints=model.checkpoints)),
    )
    yield (
        "`TracInRP`, 5 checkpoints",
        lambda: of("tracinrp", gx.TracInRP(checkpoints=model.checkpoints)),
    )
    yield "`Arnoldi()`", lambda: of("arnoldi", gx.Arnoldi())
    yield (
        "`LastLayer(IF(damping=0.1))`",
        lambda: of("last", gx.LastLayer(gx.IF(damping=0.1))),
    )
    yield "cosine of features, same label", lambda: cosine(model)


def peers(model: Model, outcomes: Outcomes) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Estimators of other libraries. Dampings and ridges are the best on the trainings."""
    from bench.studies import retraining_peers as others

    p = model.problem
    net = functools.partial(copy.deepcopy, model.net)

    def best(found: Iterable[Found]) -> Found:
        return max(found, key=lambda each: lds(each[0], outcomes).mean)

    yield "EK-FAC (kronfluence)", lambda: others.kronfluence(p, net())
    if not p.is_image:
        yield "EK-FAC (dattri)", lambda: others.dattri(p, net())
    if p.loss == "cross_entropy":
        yield "TRAK (traker)", lambda: others.trak(p, net(), 0.0)
        yield (
            "TRAK (traker), best ridge",
            lambda: best(others.trak(p, net(), strength) for strength in TRAK_STRENGTHS),
        )
    if len(p.x) <= 2000:
        yield (
            "Gauss-Newton, best damping",
            lambda: best(found for _, found in others.gauss_newton(p, net())),
        )


def run(problem: Problem, *, with_peers: bool, breaks: bool) -> Iterator[Row]:
    """One row per method. A method that cannot run on the problem is told and left out."""
    n, rng = len(problem.x), np.random.default_rng(1)
    epochs = [round(problem.epochs * (i + 1) / CHECKPOINTS) for i in range(CHECKPOINTS)]
    _, states, checkpoints = trained(problem, [np.arange(n)], [0], checkpoints=epochs)
    model = Model(problem, network(problem), [])
    model.net.load_state_dict(states[0])
    model.net.eval()
    for checkpoint in checkpoints:
        net = network(problem)
        net.load_state_dict(checkpoint)
        net.eval()
        model.checkpoints.append(net)
    masks = np.zeros((SUBSETS, n), bool)
    for mask in masks:
        mask[rng.permutation(n)[: n // 2]] = True
    parts, seeds = (
        [np.flatnonzero(m) for m in masks] * SEEDS,
        np.repeat(range(9, 9 + SEEDS), SUBSETS),
    )
    kind: Any = "margin" if problem.loss == "cross_entropy" else "root"
    outputs = output(trained(problem, parts, seeds)[0], kind).reshape(SEEDS, SUBSETS, -1)
    outcomes = Outcomes(masks, outputs)
    if breaks:
        whole = _averaged(problem, [np.arange(n)], kind)[0, :TESTS]
        random = _removed(problem, [rng.permutation(n)[:REMOVED] for _ in range(TESTS)], kind)
    everything = itertools.chain(methods(model), peers(model, outcomes) if with_peers else ())
    for name, method in everything:
        started = time.process_time()
        try:
            influence, cost = method()
        except GexError as error:
            print(f"{problem.name}: {name} is left out: {error}", file=sys.stderr)
            continue
        seconds = time.process_time() - started
        agreement = lds(influence, outcomes)
        row = {
            "problem": problem.name,
            "method": name,
            "cost": round(cost, 1),
            "lds": round(agreement.mean, 3),
            "se": round(agreement.standard_error, 3),
            "ceiling": round(agreement.ceiling, 3),
            "seconds": round(seconds, 1),
        }
        if breaks and not any(part in name for part in UNBROKEN):
            top = np.argsort(-influence[:TESTS], axis=1, kind="stable")[:, :REMOVED]
            broken = Brittleness(whole, _removed(problem, list(top), kind), random)
            row |= {
                "drop": round(broken.drop, 3),
                "drop_se": round(broken.standard_error, 3),
                "random_drop": round(broken.random_drop, 3),
                "flipped": round(broken.flipped, 3) if kind == "margin" else None,
            }
        yield row


def _removed(problem: Problem, removed: list[Any], kind: Any) -> NDArray[np.float64]:
    """Outputs of each test sample after training without its own list of samples."""
    parts = [np.setdiff1d(np.arange(len(problem.x)), each) for each in removed]
    return _averaged(problem, parts, kind)[np.arange(len(parts)), np.arange(len(parts))]


def _averaged(problem: Problem, parts: list[Any], kind: Any) -> NDArray[np.float64]:
    repeats = 1 if problem.is_image else REMOVAL_SEEDS
    seeds = np.repeat(range(9, 9 + repeats), len(parts))
    found = output(trained(problem, parts * repeats, seeds)[0], kind)
    return found.reshape(repeats, len(parts), -1).mean(axis=0)


def table(rows: list[Row]) -> str:
    """Linear datamodeling scores and brittleness by problem, and the choice of λ."""
    ceilings = {row["problem"]: row["ceiling"] for row in rows}
    random = {row["problem"]: row["random_drop"] for row in rows if "random_drop" in row}
    chosen = [row for row in rows if "for_influence" in row["method"]]
    shown = [row for row in rows if "λ" not in row["method"]]
    parts = [
        "Linear datamodeling score ± standard error over test samples. Cost is in forward passes "
        f"over the data. Ceilings: {_listed(ceilings)}.",
        _by_problem(shown, _score),
        f"Strength λ of the ridge where it was chosen (no λ is {COLD_STRENGTH}):",
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


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {number:.2f}" for name, number in numbers.items())


def plot(rows: list[Row], path: Path) -> None:
    """Draw score against cost, one panel for each problem."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "gexcore", "svg.fonttype": "none"})
    from matplotlib import pyplot

    panels = list(groups([r for r in rows if "λ" not in r["method"]], "problem").items())
    figure, axes = pyplot.subplots(1, len(panels), figsize=(3 * len(panels), 3), squeeze=False)
    for axis, ((name,), part) in zip(axes[0], panels, strict=True):
        ridge = [row for row in part if "for_influence" in row["method"]]
        axis.plot(
            [r["cost"] for r in ridge], [r["lds"] for r in ridge], "o-", label="for_influence"
        )
        for row in part:
            if row not in ridge:
                label = row["method"].replace("`", "")
                axis.plot([row["cost"]], [row["lds"]], "x", label=label)
        axis.set(title=name, xscale="log", xlabel="forward passes over the data", ylabel="LDS")
    axes[0][-1].legend(fontsize=6)
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
    arguments.add_argument("--no-removal", action="store_true", help="leave brittleness out")
    arguments.add_argument("--problems", default=",".join(NAMES))
    given: argparse.Namespace = arguments.parse_args()
    if given.table:
        rows = read(given.table)
    else:
        torch.set_num_threads(1)
        problems = [load(name, given.data) for name in given.problems.split(",")]
        breaks = not given.no_removal
        found = (run(each, with_peers=given.peers, breaks=breaks) for each in problems)
        rows = written(itertools.chain.from_iterable(found), given.out)
    if given.plot:
        plot(rows, given.plot)
    print(table(rows))


if __name__ == "__main__":
    main()
