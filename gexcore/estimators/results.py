"""Results of methods that take derivatives, from their deviations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gexcore.deviations.table import Table
from gexcore.ensembles.directions import Tangents
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.influence.influence import Influence, Source
from gexcore.influence.record import Run, settings_of
from gexcore.progress import progress_bar

LARGEST_HESSIAN = 5000
"""The most parameters for which a Hessian is held as a matrix."""


def name_of(method: Any) -> str:
    """The public name of a method."""
    return type(method).__name__


def check_hessian(method: Any, given: Opened) -> None:
    """Refuse a Hessian that does not fit into memory.

    Raises
    ------
    InvalidSettingError
    """
    if given.size > LARGEST_HESSIAN:
        msg = (
            f"{name_of(method)} holds a Hessian of {given.size:,} × {given.size:,}, and takes up "
            f"to {LARGEST_HESSIAN:,} parameters; choose fewer with parameters= or LastLayer, or "
            "use Arnoldi, LiSSA or Laplace(structure='kfac')"
        )
        raise InvalidSettingError(msg)


def record(method: Any, given: Opened, passes: Sequence[Passes], **chosen: Any) -> Run:
    """The record of a fit, with the cost of the first look at the data."""
    return Run(
        method=name_of(method),
        settings=settings_of(method),
        plan=None,
        backend=given.backend.name,
        samples=len(given.data),
        classes=given.seen.classes,
        snapshots=(),
        passes=sum_passes([Passes(forward=len(given.data)), *passes]),
        seconds=given.seconds,
        chosen={"parameters": given.size, **chosen},
        names=given.names,
    )


def linear_tables(method: Any, given: Opened, members: Tangents) -> tuple[list[Table], Passes]:
    """Directional derivatives on the data and the test data, and their cost."""
    datasets = [given.data] if given.test is None else [given.data, given.test]
    batches = sum(math.ceil(len(data) / members.batch_size) for data in datasets)
    total = batches * len(members.states)
    with progress_bar(total, title=name_of(method), show=given.progress, unit="batch") as bar:
        tables: list[Table] = [
            members.evaluate(data, on_batch=lambda: bar.advance("")) for data in datasets
        ]
    return tables, members.passes(sum(map(len, datasets)))


def linear(
    method: Any, given: Opened, members: Tangents, passes: Sequence[Passes] = (), **chosen: Any
) -> Influence:
    """The result of members with linear deviations."""
    tables, cost = linear_tables(method, given, members)
    return influence_of(given, members, tables, record(method, given, [*passes, cost], **chosen))


def influence_of(given: Opened, members: Source, tables: Sequence[Table], run: Run) -> Influence:
    """The result from the deviations on the data, and on the test data if there is any."""
    return Influence(
        table=tables[0],
        checkpoint_losses=given.seen.losses.astype(np.float64),
        labels=given.seen.labels,
        data=given.data,
        members=members,
        run=run,
        test_table=tables[1] if len(tables) > 1 else None,
    )
