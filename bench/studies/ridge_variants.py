"""Variants of the ridge over cold members: which of them forecast retraining better?

    python -m bench.studies.ridge_variants --data FOLDER [--problems digits_clean,…] [--kept FOLDER]

Each variant costs 100 forward passes over the data, and relearned members about 34. The trainings
are those of `bench.studies.retraining`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import gexcore as gx
from bench.studies.retraining import model_of, outcomes_of
from bench.studies.retraining_methods import Model
from bench.studies.retraining_problems import CHOSEN_ON, load
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.backend.data import to_numpy
from gexcore.deviations.outputs import curvatures, output, slopes
from gexcore.deviations.weights import COLD_STRENGTH, SHRINKAGE, shrunk
from gexcore.retraining import lds

Floats = NDArray[np.float64]
Shrink = Callable[[Floats, Floats, Floats, int], Floats]
"""Influence, lengths of tests and of samples, and number of members, to influence."""

PLANS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "another seed": {"seed": 1},
    "batches of 16": {"batch_size": 16},
    "batches of 32": {"batch_size": 32},
    "batches of 32, lr 0.2": {"batch_size": 32, "lr": 0.2},
    "batches of 32, decay 0.01": {"batch_size": 32, "weight_decay": 0.01},
    "batches of 32, decay 0.1": {"batch_size": 32, "weight_decay": 0.1},
    "batches of 32, anchor of 15 steps": {"batch_size": 32, "anchor_steps": 15},
    "batches of 32, anchor of 60 steps": {"batch_size": 32, "anchor_steps": 60},
    "batches of 32, no anchor": {"batch_size": 32, "anchor_steps": 0},
    "2 steps on batches of 16": {"batch_size": 16, "steps": 2},
}


class Deviations:
    """Centred margins of the members of a fit, and the weights of Gauss-Newton."""

    def __init__(self, found: Any) -> None:
        losses = found.table.losses.astype(np.float64)
        tests = found.test_table.losses.astype(np.float64)
        self.train, self.tests = (np.asarray(output(each, "margin")) for each in (losses, tests))
        self.train -= self.train.mean(axis=0)
        self.tests -= self.tests.mean(axis=0)
        self.slope = np.asarray(slopes(losses, "margin")).mean(axis=0)
        weight = np.asarray(curvatures(self.slope, "margin"))
        self.gram = (self.train * weight) @ self.train.T

    def influence(
        self, gram: Floats, norm: Floats, right: Floats, shrink: Shrink | None = None
    ) -> Floats:
        """The shrunk ridge, with the norm of the members that its strength is in."""
        scale = COLD_STRENGTH * np.trace(gram) / right.shape[1] * len(gram) / np.trace(norm)
        values, vectors = np.linalg.eigh(gram + scale * norm)
        root = (vectors / np.sqrt(np.maximum(values, 1e-12 * values.max()))).T
        tests, train = root @ self.tests, root @ right
        found: Floats = tests.T @ train
        lengths = [np.linalg.norm(each, axis=0) for each in (tests, train)]
        return (shrink or shrunk_by(SHRINKAGE))(found, lengths[0], lengths[1], len(gram))


def shrunk_by(strength: float) -> Shrink:
    """The shrinkage of the library."""

    def shrink(found: Floats, tests: Floats, train: Floats, members: int) -> Floats:
        return np.asarray(shrunk(found, tests, train, members=members, strength=strength))

    return shrink


def soft(found: Floats, tests: Floats, train: Floats, members: int) -> Floats:
    """A soft threshold at the noise."""
    noise = np.outer(tests, train) / np.sqrt(members)
    return np.asarray(np.sign(found) * np.maximum(0.0, np.abs(found) - noise))


def by_cosine(found: Floats, tests: Floats, train: Floats, members: int) -> Floats:
    """Influence times |ρ|."""
    return np.asarray(found * np.abs(found) / np.outer(tests, train))


SHRINKAGES: dict[str, Shrink] = {
    "no shrinkage": shrunk_by(0.0),
    "soft threshold at the noise": soft,
    "times the cosine of the deviations": by_cosine,
}


def same_label(model: Model) -> Floats:
    """Whether a test sample and a training sample have the same label, shape (tests, samples)."""
    found: Floats = (model.problem.test_y[:, None] == model.problem.y[None]).astype(np.float64)
    return found


def ridges(model: Model, found: Any) -> Iterator[tuple[str, Callable[[], Floats]]]:
    """Other ridges over the same members."""
    given, states = Deviations(found), found.members.states
    backend, right = found.members.backend, given.train * given.slope
    one = np.eye(len(given.gram))
    yield (
        "the same label counts twice",
        lambda: given.influence(given.gram, one, right) * (1 + same_label(model)),
    )

    for told, shrink in SHRINKAGES.items():
        yield told, functools.partial(given.influence, given.gram, one, right, shrink)

    def in_parameters() -> Floats:
        moves = np.stack([to_numpy(backend.ravel(state)) for state in states]).astype(np.float64)
        moves -= moves.mean(axis=0)
        return given.influence(given.gram, moves @ moves.T, right)

    yield "strength in the norm of the parameters", in_parameters

    def of_logits() -> Floats:
        batch = torch.from_numpy(model.problem.x), torch.from_numpy(model.problem.y)
        z = np.stack(
            [to_numpy(backend.logits(s, batch)) for s in found.members.refresh.many(states)]
        )
        p = np.exp(z - z.max(axis=2, keepdims=True))
        p = (p / p.sum(axis=2, keepdims=True)).mean(axis=0)
        z = z - z.mean(axis=0)
        mean = (z * p).sum(axis=2)
        gram = np.einsum("mik,ik,nik->mn", z, p, z, optimize=True) - mean @ mean.T
        error = np.eye(p.shape[1])[model.problem.y] - p
        return given.influence(gram, one, (z * error).sum(axis=2))

    yield "all logits in place of the margin", of_logits


def run(name: str, folder: Path | None, kept: Path | None) -> Iterator[Row]:
    """Scores of all variants on one problem."""
    problem = load(name, folder)
    outcomes, model = outcomes_of(problem, kept), model_of(problem)

    def row(variant: str, influence: Floats) -> Row:
        score = round(lds(influence, outcomes).mean, 3)
        return {"problem": name, "variant": variant, "lds": score}

    relearned = model.fit(gx.GEX(ensemble="auto"))
    yield row("relearned members of `GEX()`", relearned.influence())
    for told, settings in PLANS.items():
        found = model.fit(gx.GEX.for_influence(budget=100, **settings))
        yield row(told, found.influence())
        if not settings:
            for other, method in ridges(model, found):
                yield row(other, method())


def table(rows: list[Row]) -> str:
    """Scores by variant and problem."""
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    lines = []
    for (variant,), part in groups(rows, "variant").items():
        found = {row["problem"]: f"{row['lds']:.2f}" for row in part}
        lines.append([str(variant), *(found.get(p, "–") for p in problems)])
    return markdown(("variant", *problems), lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--kept", type=Path, help="a folder that keeps trainings")
    arguments.add_argument("--problems", default=",".join(CHOSEN_ON))
    given = arguments.parse_args()
    if given.table:
        rows = read(given.table)
    else:
        torch.set_num_threads(1)
        names = given.problems.split(",")
        found = (run(name, given.data, given.kept) for name in names)
        rows = written(itertools.chain.from_iterable(found), given.out)
    print(table(rows))


if __name__ == "__main__":
    main()
