"""The first look at a user's data through their model: losses at θ*, targets, and every check that needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.capabilities import supports
from gexcore.data import as_dataset, targets_of, to_numpy
from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore.evaluation import checked, gather, in_order
from gexcore.plan import Optimizer
from gexcore.protocols import Backend, Dataset, SupportsLogits
from gexcore.recipe import Recipe, made


class Inputs(NamedTuple):
    """A user's model and data in the forms that the rest of gexcore works on.

    Parameters
    ----------
    data, train : Dataset
        The same samples: as they are scored, and as the members step on them.
    recipe : Recipe, optional
        What all of them were made from.
    """

    backend: Backend[Any, Any]
    data: Dataset[Any]
    train: Dataset[Any]
    test: Dataset[Any] | None
    recipe: Recipe | None = None


def open_inputs(
    model: Any,
    data: Any,
    *,
    train_data: Any = None,
    test: Any = None,
    loss: str | Callable[..., Any] | None = None,
    backend: str | None = None,
    optimizer: Optimizer | Callable[[int], Optimizer] | None = None,
) -> Inputs:
    """Find the backend of a model and wrap the data; see `gexcore.GEX.fit` for the arguments.

    Parameters
    ----------
    optimizer : Optimizer or callable, optional
        What is to be stepped with; a callable chooses it by the number of samples.
    """
    # what finds plugins takes longer to import than all the rest of gexcore
    from gexcore.registry import default_registry

    create = partial(default_registry().create, made(model), backend=backend, loss=loss)
    engine = create(optimizer=None if callable(optimizer) else optimizer)
    dataset = as_dataset(made(data), engine)
    if callable(optimizer):  # how many samples there are may be known to the backend only
        optimizer = optimizer(len(dataset))
        engine = create(optimizer=optimizer)
    recipe = Recipe(
        model=model, data=data, train_data=train_data, test=test, loss=loss, backend=backend, optimizer=optimizer
    )
    train = dataset if train_data is None else as_dataset(made(train_data), engine)
    if len(train) != len(dataset):
        msg = f"train_data has {len(train)} samples and data {len(dataset)}; give the same samples in the same order"
        raise InvalidDataError(msg)
    tests = None if test is None else as_dataset(made(test), engine)
    return Inputs(engine, dataset, train, tests, recipe)


def reopened(recipe: Recipe) -> Inputs:
    """The inputs that a recipe tells how to make."""
    parts = {name: value for name, value in vars(recipe).items() if name != "parameters"}
    inputs = open_inputs(**parts)
    if recipe.parameters is None:
        return inputs
    return inputs._replace(backend=inputs.backend.select(recipe.parameters), recipe=recipe)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Intake:
    """What one pass over the data tells.

    Parameters
    ----------
    losses : array, shape (samples,)
        At θ*, in evaluation mode, the model just as it was given.
    targets : array, shape (samples, …), or None
        None where batches carry no target that gexcore knows.
    labels : integer array, shape (samples,), or None
        Given classes, where the targets are classes (of soft labels the most probable one).
    classes : int or None
        K: the width of the logits, or one more than the largest label.
    """

    losses: NDArray[Any]
    targets: NDArray[Any] | None
    labels: NDArray[np.intp] | None
    classes: int | None


def take_in(backend: Backend[Any, Any], data: Dataset[Any], *, loss: object = None, batch_size: int = 512) -> Intake:
    """Score the data once at θ* and check what can be checked.

    Raises
    ------
    InvalidDataError
        Labels that are no class of the model, or that are no classes at all.
    InvalidModelError
        A loss that is not one number per sample, or not finite.
    """
    state = backend.initial_state()
    by_class = loss == "cross_entropy" or (loss is None and supports(backend, SupportsLogits))
    parts, targets, width = [], [], None
    for number, indices in enumerate(in_order(len(data), batch_size)):
        batch = data.batch(indices)
        target = targets_of(batch)
        if by_class and target is not None:
            _check_kind(target)
        if number == 0 and supports(backend, SupportsLogits):
            width = _width(backend.logits(state, batch), len(indices))  # type: ignore[attr-defined]
        if target is not None:
            if by_class:
                _check_range(target, width)
            targets.append(target)
        parts.append(checked(backend.forward(state, batch), len(indices)))
    losses = gather(parts)
    if not np.isfinite(losses).all():
        bad = ~np.isfinite(losses)
        msg = (
            f"the trained model's loss is not finite for {int(bad.sum())} of {len(losses)} samples, first at position "
            f"{int(bad.argmax())}; a model that works has finite losses: check the weights and the inputs"
        )
        raise InvalidModelError(msg)
    everything = np.concatenate(targets) if targets else None
    labels = None
    if everything is not None and loss != "squared_error":
        labels = _labels(everything, binary=loss == "binary_cross_entropy")
    classes = width if labels is not None else None
    if labels is not None and width is None:
        classes = int(labels.max()) + 1
    return Intake(losses, everything, labels, classes)


def _width(logits: Any, size: int) -> int | None:
    shape = to_numpy(logits).shape
    return shape[1] if len(shape) == 2 and shape[0] == size and shape[1] > 1 else None


def _check_kind(target: NDArray[Any]) -> None:
    if target.dtype.kind == "f" and target.ndim == 1:
        msg = (
            "the labels are floats, and cross-entropy needs integer classes 0 … K−1 (or one row of class "
            "probabilities per sample); convert them, or name another loss such as loss='squared_error'"
        )
        raise InvalidDataError(msg)
    if target.dtype.kind not in "iuf":
        msg = f"the labels are of type {target.dtype}, and cross-entropy needs integers 0 … K−1; encode the classes as numbers"
        raise InvalidDataError(msg)


def _check_range(target: NDArray[Any], width: int | None) -> None:
    if target.dtype.kind in "iu" and target.ndim == 1 and width is not None:
        bad = target[(target < 0) | (target >= width)]
        if len(bad):
            msg = f"label {bad[0]} is outside 0 … {width - 1}, the model's {width} classes; renumber the labels or check the model"
            raise InvalidDataError(msg)


def _labels(targets: NDArray[Any], *, binary: bool) -> NDArray[np.intp] | None:
    if binary and targets.size == len(targets) and np.isin(targets, (0, 1)).all():
        return targets.reshape(-1).astype(np.intp)
    if targets.ndim == 1 and targets.dtype.kind in "iub":
        return targets.astype(np.intp) if targets.min() >= 0 else None
    if targets.ndim == 2 and targets.dtype.kind == "f" and targets.shape[1] > 1:
        sums = targets.sum(axis=1)
        return targets.argmax(axis=1) if np.allclose(sums, 1.0, atol=1e-3) else None
    return None
