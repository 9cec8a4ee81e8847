"""Fingerprints: all that the chains of a run depend on, by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore._version import __version__, versions_of
from gexcore.backend.capabilities import supports
from gexcore.backend.data import ArrayDataset, MappingDataset
from gexcore.backend.digests import columns_digest, parameters_digest
from gexcore.backend.protocols import Dataset, SupportsAugmentation, SupportsStructure
from gexcore.backend.structure import structure_of
from gexcore.ensembles.storage import Identity
from gexcore.ensembles.thermostat import AnyController, OpenLoop
from gexcore.errors import StoreMismatchError

LARGEST = 2**32
"""The most bytes of a column whose content is read for a digest."""

SAMPLED = 64
"""Samples whose batch stands for data that is not in arrays."""

DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def run_fingerprint(run: Identity) -> dict[str, Any]:
    """All that the chains of a run depend on, but not their number, as plain values.

    Arrays and code go in by the digest of their content. Data that is not in arrays goes in by a
    sample of its batches, as the members see them. "not compared" names what no digest covers.
    """
    given, plan = run.opened, run.plan
    seen, recipe = given.seen, given.recipe
    optimizer = recipe and recipe.optimizer
    unread: set[str] = set()
    tests = given.test if given.test is not None and run.tests else None
    found = {
        "backend": given.backend.name,
        "θ*": parameters_digest(given.backend),
        "model": _model_digest(given.backend, unread),
        "parameters": list(recipe.parameters) if recipe and recipe.parameters else None,
        "data": data_digest(given.data, "data", unread),
        "targets": None if seen.targets is None else columns_digest({"targets": seen.targets}),
        "training data": None
        if given.train is given.data
        else data_digest(given.train, "train_data", unread),
        "augmentation": _augmented_digest(given.train, unread),
        "test data": None if tests is None else data_digest(tests, "test", unread),
        "loss": _named(given.loss, unread),
        "classes": seen.classes,
        "chance_loss": run.chance_loss,
        "optimizer": optimizer
        and [_named(optimizer.name, unread), optimizer.momentum, optimizer.weight_decay],
        "lr": _schedule(run.controller, plan.steps),
        **{
            name: value
            for name, value in vars(plan).items()
            if name not in ("chains", "first_chain")
        },
        **run.start,
        "keep": run.keep,
        **_versions(given.backend.name),
    }
    return {**found, "not compared": sorted(unread)}


def _model_digest(backend: Any, unread: set[str]) -> str | None:
    if not supports(backend, SupportsStructure):
        unread.add(f"the settings of the model (backend {backend.name!r} has no structure())")
        return None
    return _digest("the model", unread, backend.structure())


def _digest(what: str, unread: set[str], *values: Any) -> str:
    found = structure_of(*values)
    unread.update(f"{kind} of {what}" for kind in found.unread)
    return found.digest


def data_digest(data: Dataset[Any], name: str, unread: set[str]) -> str:
    """The digest of arrays, or of a sample of other data; `unread` gets what it leaves out."""
    columns: dict[Any, Any] = data.columns if isinstance(data, MappingDataset) else {}
    if isinstance(data, ArrayDataset):
        columns = dict(enumerate(data.columns))
    own = not type(data).batch.__module__.startswith("gexcore")
    if (
        columns
        and not own
        and all(
            getattr(c, "nbytes", LARGEST) < LARGEST and _is_numeric(c) for c in columns.values()
        )
    ):
        return columns_digest(columns)
    chosen = _sample(len(data))
    return _sampled_digest(data, name, unread, lambda: data.batch(chosen))


def _augmented_digest(train: Dataset[Any], unread: set[str]) -> str | None:
    if not supports(train, SupportsAugmentation):
        return None
    chosen, augmented = _sample(len(train)), train.augmented
    return _sampled_digest(train, "the augmentation", unread, lambda: augmented(chosen, seed=1))


def _sampled_digest(
    data: Dataset[Any], name: str, unread: set[str], read: Callable[[], Any]
) -> str:
    told = f"{len(data)} samples of {type(data).__name__}"
    first, again = (_digest(name, unread, read()) for _ in range(2))
    if first != again:
        unread.add(f"the content of {name} (its batches differ from call to call)")
        return told
    return f"{told}, {first}"


def _sample(samples: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, samples - 1, min(SAMPLED, samples)).astype(np.intp))


def _is_numeric(column: Any) -> bool:
    return not isinstance(column, np.ndarray) or column.dtype.kind in "biufc"


def _schedule(controller: AnyController, steps: int) -> Any:
    if not isinstance(controller, OpenLoop):
        return repr(controller)
    # a user's own schedule has no name but its values
    rates = np.array([controller.schedule(step) for step in range(steps)], np.float64)
    return [float(rates[0]), columns_digest({"lr": rates})]


def _named(value: Any, unread: set[str]) -> Any:
    if value is None or isinstance(value, str):
        return value
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{name} {_digest(name, unread, value)}"


def _versions(backend: str) -> dict[str, str]:
    # pluggy takes longer to import than all the rest of gexcore
    from gexcore.backend.registry import default_registry
    from gexcore.errors import UnknownBackendError

    try:
        needed = default_registry().spec(backend).requires
    except UnknownBackendError:  # a backend that the user made
        needed = ()
    return {
        "gexcore": __version__,
        **versions_of(DISTRIBUTIONS.get(name, name) for name in ("numpy", *needed)),
    }


def check_same(where: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse a store of another run.

    Raises
    ------
    StoreMismatchError
        If any field differs. The error names the fields.
    """
    fields = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if fields:
        raise mismatch(
            where, [_difference(name, before.get(name), now.get(name)) for name in fields]
        )


def mismatch(where: str, fields: list[str]) -> StoreMismatchError:
    """The refusal of a store of another run, with the names of what differs."""
    return StoreMismatchError(
        f"{where} holds another run, which differs in {', '.join(fields)}; choose another store"
    )


def _difference(name: str, before: Any, now: Any) -> str:
    shown = f"{before}, now {now}"
    return f"{name} ({shown})" if len(shown) < 40 else name


def tell_unread(where: str, unread: Iterable[str]) -> None:
    """Warn of parts of a run that cannot be compared with those of its store."""
    if unread:
        warnings.warn(
            f"{where} goes on without comparing {', '.join(unread)}; make sure that nothing of "
            "it has changed",
            UserWarning,
            stacklevel=2,
        )
