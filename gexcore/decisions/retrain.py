"""Retraining on each version of the data, to see whether cleaning helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from gexcore.backend.capabilities import require
from gexcore.backend.data import as_dataset, targets_of, to_numpy
from gexcore.backend.protocols import SupportsLogits
from gexcore.backend.registry import default_registry
from gexcore.decisions.clean import Cleaned
from gexcore.decisions.targets import new_targets
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.evaluation.losses import in_order
from gexcore.evaluation.recipe import trained

Retraining = Callable[..., Any]
"""``train(x, y, *, seed) -> model``, where y holds classes or rows of soft targets."""

GIVEN = "as given"


class Trial(NamedTuple):
    """One training.

    Parameters
    ----------
    treatment : str
    seed : int
    samples : int
        Number of training samples.
    accuracy : float
        Accuracy on the test data.
    """

    treatment: str
    seed: int
    samples: int
    accuracy: float


def retrain(
    train: Retraining,
    data: Any,
    treatments: Mapping[str, Cleaned],
    test: Any,
    *,
    labels: Any = None,
    seeds: int = 3,
    backend: str | None = None,
) -> Iterator[Trial]:
    """Train on the data and on each cleaned version, and measure the test accuracy.

    Parameters
    ----------
    train : callable
        ``train(x, y, *, seed) -> model``, a model of any framework that has a backend.
    data : (x, y) arrays
        Data that the treatments belong to.
    treatments : mapping of str to Cleaned
        Cleaned data, such as ``{"drop": influence.relabel("drop"), "relabel":
        influence.relabel()}``.
    test : (x, y) or any other data
        Test data with right labels, as integers.
    labels : integer array, optional
        ``influence.labels``, needed if the classes of the data are not 0 … K − 1.
    seeds : int
        Trainings of each version, with the seeds 0 … seeds − 1.
    backend : str, optional
        Name of the backend, needed only if the model's type leaves a choice.

    Yields
    ------
    Trial
        One trial as each training ends, seed by seed. The data as it is comes first.

    Raises
    ------
    InvalidSettingError
        If there are fewer than one seeds.
    InvalidModelError
        If the recipe fails. Earlier trials stay valid.
    """
    if seeds < 1:
        raise InvalidSettingError(f"seeds is {seeds}, and must be at least 1")
    x, y = data
    labels = np.asarray(y if labels is None else labels)
    versions: dict[str, tuple[Any, Any]] = {GIVEN: (x, y)}
    for name, cleaned in treatments.items():
        versions[name] = (x[cleaned.indices], new_targets(y, labels, cleaned))
    for seed in range(seeds):
        for name, (inputs, targets) in versions.items():
            kind = "one row of soft targets per sample" if np.ndim(targets) == 2 else "classes"
            model = trained(
                train,
                inputs,
                targets,
                where=f"on {name!r} with seed {seed}",
                call=f"train(x, y, seed={seed}), y being {kind}",
                seed=seed,
            )
            yield Trial(name, seed, len(targets), accuracy(model, test, backend=backend))


def accuracy(model: Any, data: Any, *, backend: str | None = None, batch_size: int = 512) -> float:
    """Share of samples whose most probable class is the given class.

    Parameters
    ----------
    model : native model or Backend
    data : (x, y) or any other data
        Integer labels.
    backend : str, optional
    batch_size : int

    Raises
    ------
    InvalidDataError
        If targets are no classes.
    MissingCapabilityError
        If the backend has no logits.
    """
    engine = default_registry().create(model, backend=backend)
    able = require(engine, SupportsLogits, by="measuring the accuracy")
    dataset, state, hits = as_dataset(data, engine), engine.initial_state(), 0
    for indices in in_order(len(dataset), batch_size):
        batch = dataset.batch(indices)
        labels = targets_of(batch)
        if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iub":
            raise InvalidDataError(
                "the test data has no integer labels, and accuracy is measured on them; give (x, y)"
            )
        scores = to_numpy(able.logits(state, batch)).reshape(len(indices), -1)
        predicted = scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0] > 0
        hits += int((predicted == labels).sum())
    return hits / len(dataset)
