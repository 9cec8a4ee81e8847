"""Relabelling: the suspects of every detector get new targets, and the net is trained again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.paper.detectors import LAST, OURS, PAPER, Detector, chosen
from bench.paper.exhibits.detection import about
from bench.paper.harness import Task
from bench.paper.problem import Context, Problem
from bench.studies.rows import Row
from gexcore.backend.classes import softmax
from gexcore.backend.data import to_numpy
from gexcore.backend.files import write_whole
from gexcore.decisions.clean import Predictions, clean
from gexcore.decisions.otsu import otsu
from gexcore.decisions.retrain import accuracy
from gexcore.evaluation.losses import in_order

CLEAN, NOISY = "Clean label acc.", "Noisy label acc."


def relabel(
    cases: Iterable[str],
    context: Context,
    seed: int,
    methods: str,
    *,
    rows: tuple[Detector, ...] = PAPER,
    how: Literal["eq16", "distill"] = "eq16",
    **changed: Any,
) -> Iterator[Task]:
    """One task for each training: right labels, given labels, and the labels of each detector."""
    for case in cases:
        problem = Problem(case, context, seed, **changed)
        yield Task({"cell": case, "row": CLEAN}, trained_on(problem, "true"))
        yield Task({"cell": case, "row": NOISY}, as_given(problem))
        for detector in chosen(methods, rows):
            key = {"cell": case, "row": detector.row}
            yield Task(key, by_otsu(problem, detector, how))
        if OURS[0].row in (methods or OURS[0].row):
            yield Task({"cell": case, "row": LAST}, by_default(problem))


def trained_on(problem: Problem, labels: str) -> Callable[[], Row]:
    def run() -> Row:
        y = getattr(problem.split, labels)
        return {**about(problem), "accuracy": retrained(problem, np.arange(len(y)), y)}

    return run


def as_given(problem: Problem) -> Callable[[], Row]:
    return lambda: {
        **about(problem), "accuracy": 100 * accuracy(problem.model, problem.split.test)
    }  # fmt: skip


def by_otsu(problem: Problem, detector: Detector, how: str) -> Callable[[], Row]:
    """Otsu's threshold on the raw scores, as the paper takes it, and Eq. 16 or distillation."""

    def run() -> Row:
        scores = raw(problem, detector)
        cut = otsu(scores)
        suspects = np.flatnonzero(scores > cut.value) if cut is not None else np.empty(0, np.intp)
        targets = new_targets(problem, suspects, how)
        row = {**about(problem), **hits(problem, suspects)}
        return {**row, "accuracy": retrained(problem, np.arange(len(targets)), targets)}

    return run


def by_default(problem: Problem) -> Callable[[], Row]:
    """Our own threshold, which may refuse, and our own new labels."""

    def run() -> Row:
        scored = problem.scored(OURS[0])
        assert scored.kept is not None
        assert scored.targets is not None
        told = {**about(problem), "suspects": int(scored.suspects)}
        if not scored.suspects:
            return {**told, "refused": True,
                    "accuracy": 100 * accuracy(problem.model, problem.split.test)}  # fmt: skip
        return {**told, "accuracy": retrained(problem, scored.kept, scored.targets)}

    return run


def raw(problem: Problem, detector: Detector) -> NDArray[np.float64]:
    """The scores themselves: where a method breaks ties, `scored` has places instead."""
    if detector.method in ("Forgetting", "DeepKNN"):
        return np.nan_to_num(problem.fit(detector).suspicion())
    return np.minimum(problem.scored(detector).values, 1e12)


def hits(problem: Problem, suspects: NDArray[np.intp]) -> Row:
    wrong = problem.split.wrong
    found = int(wrong[suspects].sum())
    return {
        "suspects": len(suspects), "precision": found / len(suspects) if len(suspects) else None,
        "recall": found / int(wrong.sum()) if wrong.any() else None,
    }  # fmt: skip


def new_targets(problem: Problem, suspects: NDArray[np.intp], how: str) -> NDArray[Any]:
    """Rows of targets: one-hot labels, and new rows for the suspects."""
    given = problem.split.given
    logits = logits_of(problem)[suspects]
    if how == "eq16":
        if not len(suspects):
            return np.eye(problem.split.classes)[given]
        return clean(given, suspects, "eq16", Predictions(logits, softmax(logits))).targets
    targets = np.eye(problem.split.classes)[given]
    targets[suspects] = 1 / (1 + np.exp(-logits))
    return targets


def logits_of(problem: Problem) -> NDArray[Any]:
    engine = problem.trainer.engine(problem.model)
    state, x = engine.initial_state(), problem.split.x
    if not hasattr(x, "dtype"):
        data = problem.data
        batches = [data.batch(rows) for rows in in_order(len(data), 512)]
    else:
        y = problem.split.given
        batches = [(x[rows], y[rows]) for rows in in_order(len(y), 512)]
    return np.concatenate([to_numpy(engine.logits(state, batch)) for batch in batches])


def retrained(problem: Problem, rows: NDArray[np.intp], targets: NDArray[Any]) -> float:
    """Test accuracy in percent, after a training from the same start; cached beside the model."""
    x, y = problem.split.test
    told = hashlib.sha256(np.ascontiguousarray(rows).tobytes())
    for array in (targets, y):
        told.update(np.ascontiguousarray(array).tobytes())
    file = problem.context.cache / f"{problem.digest}-{told.hexdigest()[:10]}.accuracy"
    if file.exists():
        return float(file.read_text("utf-8"))
    model = problem.retrain(problem.split.x[rows], targets, seed=problem.seed)
    found = 100 * accuracy(model, (x, y))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, repr(found).encode())
    return found
