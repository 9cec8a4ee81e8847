"""Draws of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gexcore.deviations.table import LossTable
from gexcore.ensembles.chain import Snapshot
from gexcore.ensembles.members import Members
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.recomputed import Recomputed
from gexcore.evaluation.passes import Passes


@dataclass(frozen=True, eq=False)
class Drawn:
    """The members of an ensemble, and their cost.

    Parameters
    ----------
    table : LossTable
        Raw losses [members × samples], and those of θ*.
    test_table : LossTable or None
        Raw losses of the same members on the test data.
    members : Members
        Members whose states were kept.
    all_members : Recomputed
        All members, stepped again for a question.
    plan : Plan
        Plan with every "auto" settled.
    snapshots : tuple of Snapshot
        All points of all chains, members or not.
    clip : float
        Clip of losses in a mean.
    scaled : bool
        Whether the loss has a scale, from which the clip follows.
    passes, planned : Passes
        Cost of the members without the first look, and the most expected cost of the run.
    chosen : dict
        Other settled numbers.
    """

    table: LossTable
    test_table: LossTable | None
    members: Members
    all_members: Recomputed
    plan: Plan
    snapshots: tuple[Snapshot, ...]
    clip: float
    scaled: bool
    passes: Passes
    planned: Passes
    chosen: dict[str, Any]
