"""Fingerprints: all that the chains of a run depend on, by name."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from gexcore._version import __version__
from gexcore.backend.data import ArrayDataset, MappingDataset
from gexcore.backend.digests import columns_digest, parameters_digest
from gexcore.backend.protocols import Dataset
from gexcore.ensembles.storage import Identity
from gexcore.ensembles.thermostat import AnyController, OpenLoop

LARGEST = 2**32
"""The most bytes of a column whose content is read for a digest."""

DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def run_fingerprint(run: Identity) -> dict[str, Any]:
    """All that the chains of a run depend on, but not their number, as plain values.

    Arrays count with the digest of their content. Data in other forms count with kind, number and
    targets. A store also compares the losses at θ*, which depend on all the rest.
    """
    given, plan = run.opened, run.plan
    seen, recipe = given.seen, given.recipe
    optimizer = recipe and recipe.optimizer
    return {
        "backend": given.backend.name,
        "θ*": parameters_digest(given.backend),
        "parameters": list(recipe.parameters) if recipe and recipe.parameters else None,
        "data": _data_digest(given.data),
        "targets": None if seen.targets is None else columns_digest({"targets": seen.targets}),
        "training data": None if given.train is given.data else _data_digest(given.train),
        "test data": _data_digest(given.test) if given.test is not None and run.tests else None,
        "loss": _named(given.loss),
        "classes": seen.classes,
        "chance_loss": run.chance_loss,
        "optimizer": optimizer
        and [_named(optimizer.name), optimizer.momentum, optimizer.weight_decay],
        "lr": _schedule(run.controller, plan.steps),
        **{
            name: value
            for name, value in vars(plan).items()
            if name not in ("chains", "first_chain")
        },
        "keep": run.keep,
        **_versions(given.backend.name),
    }


def _data_digest(data: Dataset[Any]) -> str:
    columns: dict[Any, Any] = data.columns if isinstance(data, MappingDataset) else {}
    if isinstance(data, ArrayDataset):
        columns = dict(enumerate(data.columns))
    if columns and all(
        getattr(c, "nbytes", LARGEST) < LARGEST and _is_numeric(c) for c in columns.values()
    ):
        return columns_digest(columns)
    return f"{len(data)} samples of {type(data).__name__}"


def _is_numeric(column: Any) -> bool:
    return not isinstance(column, np.ndarray) or column.dtype.kind in "biufc"


def _schedule(controller: AnyController, steps: int) -> Any:
    if not isinstance(controller, OpenLoop):
        return repr(controller)
    # a user's own schedule has no name but its values
    rates = np.array([controller.schedule(step) for step in range(steps)], np.float64)
    return [float(rates[0]), columns_digest({"lr": rates})]


def _named(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return getattr(value, "__qualname__", type(value).__qualname__)


def _versions(backend: str) -> dict[str, str]:
    # pluggy takes longer to import than all the rest of gexcore
    from gexcore.backend.registry import default_registry
    from gexcore.errors import UnknownBackendError

    try:
        needed = default_registry().spec(backend).requires
    except UnknownBackendError:  # a backend that the user made
        needed = ()
    found = {"gexcore": __version__}
    for name in ("numpy", *needed):
        try:
            found[name] = version(DISTRIBUTIONS.get(name, name))
        except PackageNotFoundError:
            continue
    return found
