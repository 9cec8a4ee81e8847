"""LOO: leave-one-out by real retraining, which the other methods approximate."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from gexcore.backend.data import ArrayDataset, MappingDataset, Subset
from gexcore.backend.protocols import Dataset, Floats, Indices
from gexcore.ensembles.executors import completed
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore.estimators.retrained import Retrained
from gexcore.evaluation.given import together
from gexcore.evaluation.losses import evaluate
from gexcore.evaluation.opening import Opened, opened, reopened
from gexcore.evaluation.passes import Passes
from gexcore.evaluation.recipe import Recipe, made, trained
from gexcore.influence.record import Run, settings_of
from gexcore.progress import progress_bar
from gexcore.settings import check_choice, check_count, check_seed

Training = Callable[[Any, Any, int], Any]
"""``train(data, start, seed) -> model``, with a trained model as start, or None."""


@dataclass(frozen=True, kw_only=True)
class LOO:
    """I(z', z) = ℓ(z', θ* without z) − ℓ(z', θ*) (paper Eq. 1), by training without each sample.

    A positive value means that removing z hurts z'. Each removed sample costs one training. The
    other methods approximate this number. A training that does not converge to one point adds
    noise, which `repeats` show.

    Parameters
    ----------
    train : callable
        ``train(data, start, seed) -> model`` of the same kind. Arrays keep the form that `fit` was
        given; other data are a `gexcore.Dataset`. `start` is a copy of the trained model, or None
        for a cold start.
    start : {"warm", "cold"}
        Start of each training: the trained model, or a fresh one.
    indices : integer array, optional
        Positions of the samples to remove. All by default.
    repeats : int
        Trainings without each sample, with the seeds seed … seed + repeats − 1. Their mean counts.
    workers : int
        Trainings at a time, in threads. `train` must then share no state, such as a global
        generator.
    batch_size : int
        Samples per evaluation call.
    seed : int
        Seed of the first training.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP, NumpyBackend
    >>> x = np.random.default_rng(0).normal(size=(12, 2))
    >>> def train(data, start, seed):
    ...     backend = NumpyBackend(start or MLP([np.zeros((2, 2))], [np.zeros(2)]))
    ...     state = backend.initial_state()
    ...     for _ in range(20):
    ...         state = backend.sgd_step(state, data, lr=0.1, seed=seed)
    ...     return backend.to_model(state)
    >>> data = (x, (x[:, 0] > 0).astype(int))
    >>> loo = gx.LOO(train=train, indices=[0, 5])
    >>> loo.fit(train(data, None, 0), data, progress=False).influence().shape
    (12, 2)
    """

    needs: ClassVar[tuple[type, ...]] = ()

    train: Training
    start: Literal["warm", "cold"] = "warm"
    indices: Any = None
    repeats: int = 1
    workers: int = 1
    batch_size: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("repeats", "workers", "batch_size"):
            check_count(name, getattr(self, name), auto=False)
        check_seed(self.seed)
        check_choice("start", self.start, ("warm", "cold"))
        if not callable(self.train):
            raise InvalidSettingError(
                "train is no callable; give train(data, start, seed) -> model"
            )

    def fit(
        self,
        model: Any,
        data: Any = None,
        y: Any = None,
        *,
        label: str | None = None,
        inputs: str | Sequence[str] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        loss: str | Callable[..., Any] | None = None,
        test: Any = None,
        backend: str | None = None,
        executor: Executor | None = None,
        progress: bool = True,
    ) -> Retrained:
        """Train again without each sample. The arguments are those of `gexcore.GEX.fit`.

        An `executor` replaces `workers`. Its unit of work is one training.

        Raises
        ------
        InvalidSettingError
            If indices lie outside the data.
        InvalidModelError
            If `train` fails, or its model has losses that are not finite.
        """
        given = opened(
            model,
            together(data, y, label, inputs, collate_fn),
            test=test,
            loss=loss,
            backend=backend,
            batch_size=self.batch_size,
            progress=progress,
        )
        return self.fit_opened(given, executor=executor)

    def fit_opened(self, given: Opened, *, executor: Executor | None = None) -> Retrained:
        """Fit the method to a model and data that are already opened."""
        if given.recipe is None:
            raise InvalidModelError(
                "LOO trains again from what the user gave; call fit(model, data)"
            )
        seen = given.seen
        removed = self._positions(len(given.data))
        tests = given.data if given.test is None else given.test
        base = evaluate(
            given.backend, given.backend.initial_state(), tests, batch_size=self.batch_size
        )
        shape = (self.repeats, len(removed))
        trainings = Trainings(self, removed, given.recipe)
        differences, own = np.empty((math.prod(shape), len(tests))), np.empty(math.prod(shape))
        with (
            progress_bar(len(own), title="LOO", show=given.progress, unit="training") as bar,
            ExitStack() as stack,
        ):
            pool = executor or stack.enter_context(ThreadPoolExecutor(self.workers))
            for number, losses, loss_of_own in completed(
                pool, trainings.here(given), trainings.elsewhere, range(len(own))
            ):
                differences[number], own[number] = losses, loss_of_own
                bar.advance("")
        run = self._run(given, len(own), len(tests))
        return Retrained(
            differences.reshape(*shape, -1) - base,
            own.reshape(shape) - seen.losses[removed],
            removed,
            run,
            seen.labels,
        )

    def _positions(self, n: int) -> Indices:
        if self.indices is None:
            return np.arange(n)
        chosen = np.asarray(self.indices)
        if (
            chosen.ndim != 1
            or chosen.dtype.kind not in "iu"
            or not len(chosen)
            or chosen.min() < 0
            or chosen.max() >= n
        ):
            msg = (
                f"indices must be whole numbers from 0 to {n - 1}, the positions of the samples "
                "to remove, at least one"
            )
            raise InvalidSettingError(msg)
        return chosen.astype(np.intp)

    def losses_without(
        self, i: int, seed: int, recipe: Recipe, given: Opened
    ) -> tuple[Floats, float]:
        """Losses of the test data and of sample i after a training without sample i."""
        kept = np.delete(np.arange(len(given.data)), i)
        start = copy.deepcopy(made(recipe.model)) if self.start == "warm" else None
        model = trained(
            self.train,
            subset(given.data, kept),
            start,
            seed,
            where=f"without sample {i}",
            call=f"train(data, start, seed={seed})",
        )
        engine = opened(model, given.data, loss=recipe.loss, backend=recipe.backend).backend
        tests = given.data if given.test is None else given.test
        state = engine.initial_state()
        losses = evaluate(engine, state, tests, batch_size=self.batch_size).astype(np.float64)
        own = evaluate(engine, state, Subset(given.data, np.array([i])), batch_size=1)
        if not (np.isfinite(losses).all() and np.isfinite(own).all()):
            msg = (
                f"the model trained without sample {i} has non-finite losses; check train, such "
                "as its learning rate"
            )
            raise InvalidModelError(msg)
        return losses, float(own[0])

    def _run(self, given: Opened, trainings: int, tests: int) -> Run:
        passes = Passes(forward=len(given.data) + tests + trainings * (tests + 1))
        chosen = {"trainings": trainings}
        n, name = len(given.data), given.backend.name
        return Run(
            "LOO",
            settings_of(self),
            None,
            name,
            n,
            given.seen.classes,
            (),
            passes,
            given.seconds,
            chosen,
        )


@dataclass(frozen=True)
class Trainings:
    """The trainings of one fit. Number: repeat · removed samples + place among them."""

    method: LOO
    removed: Indices
    recipe: Recipe

    def here(self, given: Opened) -> Callable[[int], tuple[int, Floats, float]]:
        """The function that runs one training in this process."""

        def run(number: int) -> tuple[int, Floats, float]:
            repeat, place = divmod(number, len(self.removed))
            seed = self.method.seed + repeat
            return number, *self.method.losses_without(
                int(self.removed[place]), seed, self.recipe, given
            )

        return run

    def elsewhere(self) -> Callable[[int], tuple[int, Floats, float]]:
        """The function that runs one training in another process."""
        return self.here(reopened(self.recipe))


def subset(data: Dataset[Any], kept: Indices) -> Any:
    """Some samples, in the form of the given data."""
    if isinstance(data, ArrayDataset):
        return tuple(column[kept] for column in data.columns)
    if isinstance(data, MappingDataset):
        columns: Mapping[str, Any] = data.columns
        return {name: column[kept] for name, column in columns.items()}
    return Subset(data, kept)
