"""From what the user gives to a backend and datasets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from gexcore.backend.data import as_dataset
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import Backend, Dataset
from gexcore.errors import InvalidDataError
from gexcore.evaluation.recipe import Recipe, made


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
    from gexcore.backend.registry import default_registry

    create = partial(default_registry().create, made(model), backend=backend, loss=loss)
    engine = create(optimizer=None if callable(optimizer) else optimizer)
    dataset = as_dataset(made(data), engine)
    if callable(optimizer):  # how many samples there are may be known to the backend only
        optimizer = optimizer(len(dataset))
        engine = create(optimizer=optimizer)
    recipe = Recipe(
        model=model,
        data=data,
        train_data=train_data,
        test=test,
        loss=loss,
        backend=backend,
        optimizer=optimizer,
    )
    train = dataset if train_data is None else as_dataset(made(train_data), engine)
    if len(train) != len(dataset):
        msg = (
            f"train_data has {len(train)} samples and data {len(dataset)}; give the same samples "
            "in the same order"
        )
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
