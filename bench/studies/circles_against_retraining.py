"""Two circles with ten memorised points (the paper's Figs 2 and 3): what agrees with retraining,
and what separates.

    python -m bench.studies.circles_against_retraining [--pictures FOLDER]

70 points, a perceptron with 200 hidden neurons (1,002 parameters), full-batch training. Retraining
without each point (`gexcore.LOO`) is the reference. Prints one line per seed and method, then a
table with mean ± standard deviation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gexcore as gx
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import groups, markdown, spread
from gexcore.backend.optimizer import Optimizer
from gexcore.decisions.metrics import auc, correlation, rank_correlation
from gexcore_numpy import MLP, NumpyBackend

PER_CIRCLE, CENTRE = 30, 10
HIDDEN, LR = 200, 0.3
STEPS = 3000
HEAD = (
    "method", "score", "AUC of the centre", "Pearson with LOO", "Spearman with LOO",
        "largest value",
)  # fmt: skip
LAPLACE = {"damping": (0.01, 1.0, 100.0), "rank": (50,)}


def circles(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, labels, and which of them are the ten at the centre, whose labels are random."""
    rng = np.random.default_rng([seed, 1])
    angles = np.linspace(0, 2 * np.pi, PER_CIRCLE, endpoint=False)
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outer, inner = (radius * unit + rng.normal(0, 0.05, unit.shape) for radius in (1.0, 0.5))
    centre = rng.normal(0, 0.2, (CENTRE, 2))
    labels = np.concatenate([np.repeat([0, 1], PER_CIRCLE), rng.permutation(np.arange(CENTRE) % 2)])
    return np.concatenate([outer, inner, centre]), labels, np.arange(len(labels)) >= 2 * PER_CIRCLE


def train(data: Any, start: MLP | None, seed: int) -> MLP:
    """Gradient descent with momentum on all points at once: deterministic, so that retraining has
    no noise of its own."""
    first = start or MLP.init((2, HIDDEN, 2), seed=seed, activation="relu")
    backend = NumpyBackend(first, optimizer=Optimizer(momentum=0.9))
    state = backend.copy(backend.initial_state())
    for _ in range(STEPS):
        state, _ = backend.sgd_step_(state, data, lr=LR, seed=0)
    return backend.to_model(state)


def methods(seed: int) -> dict[str, tuple[Callable[[], Any], tuple[str, ...]]]:
    """Estimators by the name of their call, and which of their scores count."""
    both, own = ("self_influence", "suspicion"), ("self_influence",)

    def laplace(**settings: Any) -> Callable[[], Any]:
        return lambda: gx.Laplace(structure="full", scale=1.0, samples=200, seed=seed, **settings)

    found: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
        "IF(damping=0.001)": (lambda: gx.IF(damping=0.001), own),
        "IF(damping=0.01)": (lambda: gx.IF(damping=0.01), own),
        "GEX()": (lambda: gx.GEX(seed=seed), both),
        "GEX(lr=0.5)": (
            lambda: gx.GEX(lr=0.5, chains=32, snapshots=1, steps_per_snapshot=200, seed=seed),
            both,
        ),
        "GEX.paper()": (lambda: gx.GEX.paper(batch_size=35, seed=seed), both),
        "GEX.paper(lr=0.5)": (lambda: gx.GEX.paper(lr=0.5, batch_size=35, seed=seed), both),
    }
    for damping in LAPLACE["damping"]:
        found[f"Laplace(damping={damping:g})"] = laplace(damping=damping), own
    for rank in LAPLACE["rank"]:
        found[f"Laplace(rank={rank})"] = laplace(damping=0.01, rank=rank), own
    return found


def run(seed: int, pictures: Path | None, kept: dict[str, np.ndarray] | None = None) -> list[Row]:
    """One training, the reference, every method; `kept` is given the scores of each."""
    x, y, centre = circles(seed)
    model = train((x, y), None, seed)
    losses = gx.Loss().fit(model, (x, y)).values
    started = time.process_time()
    reference = (
        gx.LOO(train=train, start="cold", seed=seed)
        .fit(model, (x, y), progress=False)
        .self_influence()
    )
    fitted = float((losses[centre] < np.log(2)).mean())

    def row(method: str, view: str, scores: np.ndarray, seconds: float, **more: Any) -> Row:
        return {
            "seed": seed, "fitted": fitted, "method": method, "score": view,
                "auc": auc(scores, centre),
            "pearson": correlation(scores, reference),
                "spearman": rank_correlation(scores, reference),
            "largest": float(np.abs(scores).max()), "seconds": seconds, **more,
        }  # fmt: skip

    rows = [row('LOO(start="cold")', "self_influence", reference, time.process_time() - started)]
    rows.append(row("Loss()", "loss", losses, 0.0))
    seen = {'LOO(start="cold") self_influence': reference}
    for name, (make, views) in methods(seed).items():
        started = time.process_time()
        try:
            found = make().fit(model, (x, y), progress=False)
        except (ArithmeticError, ValueError) as error:
            rows.append({"seed": seed, "method": name, "score": views[0], "not_run": str(error)})
            continue
        seconds = time.process_time() - started
        more = {"members": len(found.table)} if isinstance(found, gx.LossInfluence) else {}
        for view in views:
            scores = np.nan_to_num(getattr(found, view)(), posinf=1e30)
            rows.append(row(name, view, scores, seconds, **more))
            seen[f"{name} {view}"] = scores
    if kept is not None:
        kept.update(seen)
    if pictures is not None:
        draw(pictures, seed, x, y, centre, seen)
    return rows


def draw(
    folder: Path, seed: int, x: np.ndarray, y: np.ndarray, centre: np.ndarray, seen: dict[str, Any]
) -> None:
    """The points, and a histogram of each score, ring and centre apart."""
    from matplotlib.figure import Figure

    columns = 4
    lines = -(-(len(seen) + 1) // columns)
    figure = Figure(figsize=(4 * columns, 3 * lines), layout="constrained")
    first, *others = figure.subplots(lines, columns).ravel()
    for label, color in enumerate(("#93a4b4", "#b5431d")):
        first.scatter(*x[y == label].T, c=color, s=14)
    first.set(title=f"seed {seed}", aspect="equal")
    for ax, (name, scores) in zip(others, seen.items(), strict=False):
        low, high = float(scores.min()), float(scores.max())
        edges = np.linspace(low, high if high > low else low + 1, 31).tolist()
        ax.hist(
            [scores[~centre], scores[centre]], edges, stacked=True, color=["#93a4b4", "#b5431d"]
        )
        ax.set_title(name, fontsize=9)
    for ax in others[len(seen) :]:
        ax.set_axis_off()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"circles-{seed}.png", dpi=110)


def table(rows: list[Row]) -> str:
    """Mean ± standard deviation over seeds."""
    lines = []
    for (method, view), part in groups(rows, "method", "score").items():
        done = [row for row in part if "auc" in row]
        columns = [[row[name] for row in done] for name in ("auc", "pearson", "spearman")]
        cells = [spread(column, 2) for column in columns]
        if done:
            cells.append(f"{np.mean([row['largest'] for row in done]):.2g}")
        else:
            cells = [f"not run: {part[0]['not_run']}", "", "", ""]
        lines.append([f"`{method}`", str(view), *cells])
    return markdown(HEAD, lines)


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    arguments.add_argument("--pictures", type=Path, help="folder for one picture per seed")
    given = arguments.parse_args()
    work = (row for seed in range(given.seeds) for row in run(seed, given.pictures))
    rows = read(given.table) if given.table else written(work, given.out)
    print(f"\n{table(rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
