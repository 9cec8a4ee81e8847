"""Cross-validation: out-of-sample probabilities, with every sample scored exactly once."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require
from gexcore.backend.classes import class_scores, softmax
from gexcore.backend.data import as_dataset
from gexcore.backend.protocols import Backend, Floats, SupportsLogits
from gexcore.backend.registry import default_registry
from gexcore.errors import InvalidDataError, InvalidModelError, InvalidSettingError
from gexcore.evaluation.losses import outputs
from gexcore.evaluation.opening import BATCH_SIZE
from gexcore.evaluation.passes import Passes
from gexcore.evaluation.recipe import trained
from gexcore.progress import progress_bar

FoldTraining = Callable[..., Any]
"""``train(x, y) -> model``, or ``train(x, y, *, seed) -> model``."""

Fold = NDArray[np.intp]
"""Positions that one model scores and is not trained on."""


def make_folds(labels: NDArray[np.intp], folds: int | Sequence[Any], *, seed: int) -> list[Fold]:
    """The folds of a cross-validation. A number gives folds with about the same classes.

    Raises
    ------
    InvalidSettingError
        If there are fewer than two folds, or more folds than samples.
    InvalidDataError
        If a fold is no list of positions.
    """
    n = len(labels)
    if isinstance(folds, int):
        if not 2 <= folds <= n:
            raise InvalidSettingError(
                f"folds is {folds}, and must be from 2 to the number of samples, {n}"
            )
        shuffled = np.random.default_rng(seed).permutation(n)
        dealt = shuffled[np.argsort(labels[shuffled], kind="stable")]
        return [np.sort(dealt[number::folds]) for number in range(folds)]
    given = [np.asarray(fold) for fold in folds]
    if any(
        f.ndim != 1 or f.dtype.kind not in "iu" or not len(f) or f.min() < 0 or f.max() >= n
        for f in given
    ):
        raise InvalidDataError(
            f"some folds are no lists of positions 0 … {n - 1}; give the held-out samples of "
            "each model"
        )
    if len(given) < 2:
        raise InvalidSettingError(
            f"{len(given)} folds are given, and at least two are needed to train on the others"
        )
    return [f.astype(np.intp) for f in given]


def refuse_uncovered(folds: Sequence[Fold], samples: int) -> None:
    """Refuse folds unless they hold each sample exactly once.

    Raises
    ------
    InvalidDataError
    """
    held = np.bincount(np.concatenate(folds), minlength=samples)
    if (held != 1).any():
        msg = (
            f"{int((held == 0).sum())} samples are in no fold and {int((held > 1).sum())} in "
            "several; put every sample into exactly one, so that each is scored once"
        )
        raise InvalidDataError(msg)


class HeldOut(NamedTuple):
    """Predictions of models for samples that they were not trained on.

    Parameters
    ----------
    probabilities : array, shape (samples, K)
        Class probabilities. 1/K for a sample in no fold.
    passes : Passes
        Passes of scoring, without the passes of the recipe.
    backend : str
        Name of the backend of the models.
    """

    probabilities: Floats
    passes: Passes
    backend: str


def hold_out(
    train: FoldTraining,
    x: Any,
    y: Any,
    folds: Sequence[Fold],
    *,
    seed: int,
    loss: str | Callable[..., Any] | None,
    backend: str | None,
    progress: bool,
) -> HeldOut:
    """Train a model on all samples outside each fold, and score the samples inside.

    Raises
    ------
    InvalidModelError
        If the recipe fails, or its models differ in their classes.
    MissingCapabilityError
        If a model has no logits.
    """
    found: list[Floats] = []
    name = ""
    with progress_bar(len(folds), title="ConfidentLearning", show=progress, unit="fold") as bar:
        for number, held in enumerate(folds, start=1):
            rest = np.setdiff1d(np.arange(len(y)), held)
            if classifies(train):
                model = _train(_fitted(train), _rows(x, rest), y[rest], seed=seed, fold=number)
                found.append(_predicted(model, _rows(x, held), width=int(np.max(y)) + 1))
                name = type(model).__module__.partition(".")[0]
                bar.advance(f"fold {number}/{len(folds)}")
                continue
            model = _train(train, x[rest], y[rest], seed=seed, fold=number)
            engine = default_registry().create(model, backend=backend, loss=loss)
            found.append(_probabilities(engine, (x[held], y[held])))
            name = engine.name
            bar.advance(f"fold {number}/{len(folds)}")
    widths = sorted({p.shape[1] for p in found})
    if len(widths) > 1:
        msg = (
            f"the models of the folds have {widths[0]} and {widths[-1]} classes; let the recipe "
            "fix their number"
        )
        raise InvalidModelError(msg)
    probabilities = np.full((len(y), widths[0]), 1 / widths[0])
    for held, p in zip(folds, found, strict=True):
        probabilities[held] = p
    return HeldOut(probabilities, Passes(forward=sum(map(len, folds))), name)


def classifies(train: Any) -> bool:
    """Whether this is a classifier of its own, with ``fit`` and ``predict_proba``."""
    return not isinstance(train, type) and all(
        hasattr(train, name) for name in ("fit", "predict_proba")
    )


def _rows(x: Any, positions: Fold) -> Any:
    """Some samples of an array or a data frame."""
    return x.iloc[positions] if hasattr(x, "iloc") else x[positions]


def _fitted(classifier: Any) -> FoldTraining:
    def train(x: Any, y: Any) -> Any:
        return copy.deepcopy(classifier).fit(x, y)

    return train


def _predicted(model: Any, x: Any, *, width: int) -> Floats:
    """Probabilities of all classes; zero for classes that the model has not seen."""
    found = np.zeros((len(x), width))
    found[:, np.asarray(model.classes_, dtype=np.intp)] = model.predict_proba(x)
    return found


def _train(train: FoldTraining, x: Any, y: Any, *, seed: int, fold: int) -> Any:
    seeded = "seed" in inspect.signature(train).parameters
    settings = {"seed": seed} if seeded else {}
    call = f"train(x, y, seed={seed})" if seeded else "train(x, y)"
    return trained(train, x, y, where=f"on fold {fold}", call=call, **settings)


def _probabilities(engine: Backend[Any, Any], data: Any) -> Floats:
    able = require(engine, SupportsLogits, by="ConfidentLearning")
    dataset, state = as_dataset(data, engine), engine.initial_state()
    logits = outputs(able.logits, state, dataset, batch_size=BATCH_SIZE)
    return softmax(class_scores(logits, len(dataset)))
