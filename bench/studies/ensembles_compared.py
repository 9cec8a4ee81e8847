"""Relearning against the geometric ensemble, by each score, on every kind of wrong labels.

    python -m bench.studies.ensembles_compared [--data digits,wine] [--kinds uniform:0.1,pair:0.2]
        [--fits memorised,early,linear] [--optimizers sgd,adamw] [--seeds 3] [--first 0] [--folds 1]
        [--files DIR] [--cache DIR] [--fresh] [--out rows.jsonl]

Perceptrons on tables, and with `--files` also nets on pictures and texts, see
`bench.studies.ensembles_problems`. Cells that `--out` already holds are left out, so a run that was
stopped goes on. For the first `--folds` seeds of models that SGD trained until they memorised,
5-fold confident learning is tried, and on tables the paper's recipe. `--fresh` marks runs that were
made after the rule was frozen: the tables show them apart. `--table rows.jsonl …` only prints the
tables.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from bench.studies.ensembles_problems import Problem
from bench.studies.ensembles_table import table
from bench.studies.found import precisions
from bench.studies.noise_kinds import FROZEN, KINDS, Cell, cells, fitted
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.small import EARLY
from gexcore.errors import InvalidModelError
from gexcore.influence.suspicion import Score

FOLDS = 5
VIEWS: tuple[Score, ...] = ("confusion", "transition", "rival", "clipped_loss")


def ensembles(cell: Cell) -> dict[str, gx.Geometric | gx.Relearning]:
    """The two ensembles with their defaults."""
    return {
        "geometric": gx.Geometric(optimizer=cell.optimizer, seed=cell.seed),  # type: ignore[arg-type]
        "relearning": gx.Relearning(seed=cell.seed),
    }


def found_by(name: str, found: gx.LossInfluence, wrong: NDArray[np.bool_]) -> Row:
    """What the threshold finds, and numbers that see no right label."""
    suspects = found.suspects()
    flagged = suspects.indices
    chosen = found.run.chosen
    return {
        "members": len(found.table),
        "skill": float(np.mean([s.skill for s in found.run.members()] or [np.nan])),
        "reliability": found.reliability(),
        "threshold": suspects.threshold.method,
        "flagged": len(flagged) / len(wrong),
        "precision": float(wrong[flagged].mean()) if len(flagged) else None,
        "recall": float(wrong[flagged].sum() / wrong.sum()) if wrong.any() else None,
        "findings": [finding.name for finding in found.diagnose()],
        "passes": found.run.passes.epochs(len(wrong)),
        **{key: chosen[key] for key in ("scale", "first_lr", "left_chance") if key in chosen},
    }


def run(problem: Problem, *, folds: bool) -> Row | None:
    """AP of every score, and what the threshold finds; None for a model that did not learn."""
    cell, (x, y, wrong) = problem.cell, problem.given
    model, recorder, seconds = problem.trained()
    row: Row = {
        **cell._asdict(),
        "samples": len(y),
        "wrong": float(wrong.mean()),
        "epochs": problem.epochs,
        "training_seconds": seconds,
    }
    scores: dict[str, Any] = {}
    for name, ensemble in ensembles(cell).items():
        started = time.process_time()
        try:
            found = gx.GEX(ensemble=ensemble).fit(model, (x, y), progress=False)
        except InvalidModelError:
            return None
        scores |= {f"{name}, {view}": found.suspicion(view) for view in VIEWS}
        took = time.process_time() - started
        row[name] = {**found_by(name, found, wrong), "seconds": took}
    row |= {
        "fitted": fitted(found, wrong),
        "unfitted": float((found.checkpoint_losses >= np.log(2)).mean()),
    }
    if not wrong.any():
        return {**row, "ap": {}}
    scores |= {"plain_loss": found.checkpoint_losses} | recorded(recorder, problem.epochs)
    if folds:
        learning = gx.ConfidentLearning(train=problem.train, folds=FOLDS, seed=cell.seed)
        scores["5-fold confident learning"] = learning.fit(data=(x, y), progress=False).suspicion()
        if not problem.is_net:
            paper = gx.GEX.paper(chains=8, steps=200, batch_size=min(32, len(x) // 4))
            scores["paper's recipe, E2"] = np.nan_to_num(
                paper.fit(model, (x, y), progress=False).self_influence()
            )
    return {**row, "ap": precisions(scores, wrong)}


def recorded(recorder: gx.Recorder, epochs: int) -> dict[str, NDArray[np.float64]]:
    """Scores that need the recording of a training."""
    early = [
        gx.EL2N(recorder=recorder, epoch=e).fit().suspicion() for e in range(min(EARLY, epochs))
    ]
    found = {
        "EL2N (from scratch)": np.nanmean(early, axis=0),
        "AUM": gx.AUM(recorder=recorder).fit().suspicion(),
        "mean checkpoint loss": gx.MeanMemberLoss(recorder=recorder).fit().suspicion(),
    }
    return {name: np.nan_to_num(values) for name, values in found.items()}


def with_folds(cell: Cell, seeds: int) -> bool:
    """Whether the dear methods are tried."""
    return cell.seed < seeds and (cell.optimizer, cell.fit) == ("sgd", "memorised")


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    lists = {
        "data": FROZEN, "optimizers": ("sgd", "adamw"), "fits": ("memorised", "early", "linear"),
        "kinds": KINDS,
    }  # fmt: skip
    for flag, default in lists.items():
        arguments.add_argument(f"--{flag}", default=",".join(default))
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--folds", type=int, default=1, help="seeds with confident learning")
    arguments.add_argument("--files", type=Path, help="folder of the larger data")
    arguments.add_argument("--cache", type=Path, help="folder of trained nets")
    arguments.add_argument("--fresh", action="store_true", help="mark runs as later than the rule")
    given = arguments.parse_args()
    if given.table:
        print(table(read(given.table)))
        return
    before = read([given.out]) if given.out and given.out.exists() else []
    done = {Cell(*(row[name] for name in Cell._fields)) for row in before}
    made = (
        row
        for cell in cells(given)
        if cell not in done
        and (
            row := run(Problem(cell, given.files, given.cache), folds=with_folds(cell, given.folds))
        )
    )
    mark = {"fresh": True} if given.fresh else {}
    rows = written(({**row, **mark} for row in made if row is not None), given.out)
    print(f"{table(before + rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
