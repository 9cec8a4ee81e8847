"""What an ensemble draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gexcore.deviations.table import LossTable
from gexcore.ensembles.chain import Snapshot
from gexcore.ensembles.members import Members
from gexcore.ensembles.plan import Plan
from gexcore.evaluation.passes import Passes


@dataclass(frozen=True, eq=False)
class Drawn:
    """The members of an ensemble, and what they cost.

    Parameters
    ----------
    table : LossTable
        Raw losses [members × samples], and those of θ*.
    test_table : LossTable or None
        The same members on the test data.
    members : Members
        The states that were kept.
    plan : Plan
        With every "auto" settled.
    snapshots : tuple of Snapshot
        All points of all chains, members or not.
    clip : float
        Losses count up to this much in a mean.
    scaled : bool
        Whether the loss has a scale that the clip follows from.
    passes, planned : Passes
        What the members cost beside the first look, and what the run was to cost at most.
    chosen : dict
        What was settled beside the plan.
    """

    table: LossTable
    test_table: LossTable | None
    members: Members
    plan: Plan
    snapshots: tuple[Snapshot, ...]
    clip: float
    scaled: bool
    passes: Passes
    planned: Passes
    chosen: dict[str, Any]
