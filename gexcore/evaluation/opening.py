"""Opening of the user's model and data, once for every method."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import require, supports
from gexcore.backend.data import as_dataset, to_numpy
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Backend,
    Dataset,
    SupportsOptimizer,
    SupportsParams,
    SupportsReading,
    SupportsSelection,
    SupportsSize,
)
from gexcore.errors import GexWarning, InvalidDataError
from gexcore.evaluation.first_look import FirstLook, first_look, understandable
from gexcore.evaluation.given import NO_NAMES, Given, Names, understood
from gexcore.evaluation.others import other_data, test_data
from gexcore.evaluation.recipe import Factory, Recipe, made
from gexcore.evaluation.selection import Parameters, resolve
from gexcore.evaluation.shaping import shape_of, shaped, without_weights

BATCH_SIZE = 512
"""Samples per evaluation call by default."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A user's model and data in the forms that the rest of gexcore works on.

    Parameters
    ----------
    backend : Backend
        The model, its loss and its optimiser.
    data, train : Dataset
        The same samples, for scoring and for training steps.
    test : Dataset or None
        Other samples, whose losses are influenced.
    loss : str, callable or None
        Loss as the user gave it.
    names : Names
        Names of samples and classes in the user's data.
    recipe : Recipe or None
        Recipe of all inputs. None if they were opened by hand.
    batch_size : int
        Samples per call of the first look.
    progress : bool
        Whether bars are shown.
    given : bool
        Whether the user made the backend. Then its optimiser stays.
    started : float
        Start of the fit, by `time.perf_counter`.
    """

    backend: Backend[Any, Any]
    data: Dataset[Any]
    train: Dataset[Any]
    test: Dataset[Any] | None = None
    loss: Any = None
    names: Names = NO_NAMES
    recipe: Recipe | None = None
    batch_size: int = BATCH_SIZE
    progress: bool = True
    given: bool = False
    started: float = field(default_factory=time.perf_counter)

    @cached_property
    def seen(self) -> FirstLook:
        """The findings of one pass over the data, which is taken on first use.

        Raises
        ------
        InvalidDataError, InvalidModelError
        """
        seen = first_look(self.backend, self.data, loss=self.loss, batch_size=self.batch_size)
        named = self.names.classes
        if named is not None and self.loss == "squared_error":
            msg = "the labels are names, and squared_error takes numbers; give numbers as targets"
            raise InvalidDataError(msg)
        if named is not None and seen.classes is not None and len(named) < seen.classes:
            msg = (
                f"the labels have {len(named)} names and the model {seen.classes} classes, so "
                "their numbers are not known; give the labels as the model's numbers 0 … K−1"
            )
            raise InvalidDataError(msg)
        return seen

    @cached_property
    def theta(self) -> NDArray[Any]:
        """The trainable parameters θ*, shape (p,). The backend needs `SupportsParams`."""
        state = self.backend.initial_state()
        return to_numpy(require(self.backend, SupportsParams, by="the vector θ*").ravel(state))

    @property
    def size(self) -> int:
        """Number of trainable parameters p."""
        return len(self.theta)

    @property
    def model_size(self) -> int:
        """Number of all parameters, frozen ones too if the backend knows them."""
        backend = self.backend
        return backend.model_size() if supports(backend, SupportsSize) else self.size

    @property
    def seconds(self) -> float:
        """Wall time since the fit began."""
        return time.perf_counter() - self.started

    def selecting(self, parameters: Parameters, *, by: str) -> Opened:
        """The same inputs with only these parameters trainable. Unchanged for None.

        Raises
        ------
        InvalidSettingError, MissingCapabilityError
        """
        if parameters is None:
            return self
        names = resolve(self.backend, parameters, by=by)
        recipe = self.recipe and replace(self.recipe, parameters=tuple(names))
        backend = require(self.backend, SupportsSelection, by=by).select(names)
        return replace(self, backend=backend, recipe=recipe)

    def stepping_with(self, optimizer: Optimizer) -> Opened:
        """The same inputs with another optimiser. A backend of the user keeps its own."""
        if self.recipe is None or self.recipe.optimizer == optimizer:
            return self
        recipe = replace(self.recipe, optimizer=optimizer)
        if self.given:
            backend = self.backend
        elif supports(self.backend, SupportsOptimizer):
            backend = self.backend.with_optimizer(optimizer)
        else:
            backend = _created(made(recipe.model), recipe)
        return replace(self, backend=backend, recipe=recipe)

    def without_test(self) -> Opened:
        """The same inputs without test data. The first look is shared."""
        other = replace(self, test=None)
        vars(other)["seen"] = self.seen
        return other

    def chosen(self) -> dict[str, Any]:
        """The optimiser of the members, and its decay where that is known."""
        optimizer = None if self.recipe is None else self.recipe.optimizer
        if optimizer is None:
            return {}
        if self.given:
            return {"optimizer": "the optimizer of the backend"}
        if callable(optimizer.name):
            name = getattr(optimizer.name, "__name__", "")
            return {"optimizer": name if name.isidentifier() else "a factory"}
        return {"optimizer": optimizer.name, "weight_decay": optimizer.weight_decay}


def opened(
    model: Any,
    data: Any,
    *,
    train_data: Any = None,
    test: Any = None,
    loss: str | Callable[..., Any] | None = None,
    backend: str | None = None,
    optimizer: Optimizer | None = None,
    batch_size: int = BATCH_SIZE,
    progress: bool = True,
) -> Opened:
    """Find the backend of a model and wrap the data. Arguments are those of `gexcore.GEX.fit`.

    The model is read once. `Opened.stepping_with` sets an optimiser that depends on the number of
    samples. Only the backend may know that number.

    Raises
    ------
    InvalidModelError, InvalidDataError, UnknownBackendError, BackendLoadError
    """
    started = time.perf_counter()
    recipe = Recipe(
        model=model,
        data=data,
        train_data=train_data,
        test=test,
        loss=loss,
        backend=backend,
        optimizer=optimizer,
    )
    value = made(model)
    engine = _created(value, recipe)
    given_backend = engine is value
    if data is None and hasattr(engine, "own_data"):
        data = engine.own_data(value)
    if data is None:
        raise InvalidDataError("the fit got no data; give fit(model, data) or fit(model, x, y)")
    tables = bool(getattr(engine, "reads_tables", False))
    loss = getattr(engine, "loss_name", None) or loss
    most = getattr(engine, "most_inputs", None)
    columns, names = understood(without_weights(made(data), most), reads_tables=tables)
    if not isinstance(data, Factory):
        recipe = replace(recipe, data=columns)
    dataset = as_dataset(columns, engine)
    shape = shape_of(dataset, engine)
    dataset = shaped(dataset, shape)
    if isinstance(data, Given):
        names = replace(names, label=data.label, inputs=data.inputs, collate_fn=data.collate_fn)
    names = replace(names, reads_tables=tables, shape=shape)
    if names.classes is None and tables:
        names = replace(names, classes=getattr(engine, "class_names", None))
    if supports(engine, SupportsReading):
        few = dataset.batch(np.arange(min(len(dataset), batch_size)))
        with understandable(few):
            engine = engine.reading(few)
    loss = getattr(engine, "loss_name", None) or loss
    train = dataset
    if train_data is not None:
        train = other_data(made(train_data), names, engine)
    if len(train) != len(dataset):
        msg = (
            f"train_data has {len(train)} samples and data {len(dataset)}; give the same samples "
            "in the same order"
        )
        raise InvalidDataError(msg)
    tests = None
    if test is not None:
        tests = test_data(made(test), names, engine)
    return Opened(
        engine,
        dataset,
        train,
        tests,
        loss=loss,
        names=names,
        recipe=recipe,
        batch_size=batch_size,
        progress=progress,
        given=given_backend,
        started=started,
    )


def reopened(recipe: Recipe) -> Opened:
    """The model and data of a recipe."""
    parts = {name: value for name, value in vars(recipe).items() if name != "parameters"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GexWarning)  # the first opening has said it
        found = opened(**parts, progress=False)
    return found.selecting(recipe.parameters, by="the recipe")


def _created(model: Any, recipe: Recipe) -> Backend[Any, Any]:
    # pluggy takes longer to import than all the rest of gexcore
    from gexcore.backend.registry import default_registry

    return default_registry().create(
        model, backend=recipe.backend, loss=recipe.loss, optimizer=recipe.optimizer
    )
