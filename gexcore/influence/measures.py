"""The numbers that the checks of a run compare with their limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gexcore.deviations.uncertainty import mean_over_members
from gexcore.ensembles.anchored_plan import AnchoredPlan
from gexcore.ensembles.skill import ClassSkill
from gexcore.ensembles.thermostat import Thermostat
from gexcore.influence.check import Diagnosable
from gexcore.influence.suspicion import enough_of, relearns

ALONE = 3.3
"""A confusion is one pair's own if it is this many times the next one."""

UNSKILLED = 0.25
"""Members with less skill doubt right labels."""

LEAST_OF_RARE = 5
"""Fewer samples of a class say nothing about it."""


def for_a_ridge(influence: Diagnosable) -> bool:
    return isinstance(influence.run.plan, AnchoredPlan)


def few(influence: Diagnosable) -> float:
    """Members, where they are too few."""
    members = len(influence.table)
    return members if members < enough_of(influence.run.plan) else math.nan


def cold(influence: Diagnosable) -> float:
    if for_a_ridge(influence):  # its members are cold on purpose
        return math.nan
    if relearns(influence.run.plan):  # its chains come back to the skill of the trained model
        return math.nan
    skills = np.array([snapshot.skill for snapshot in influence.run.snapshots])
    known = skills[np.isfinite(skills)]
    return float((known >= Thermostat.warm).mean()) if len(known) else math.nan


def melted(influence: Diagnosable) -> float:
    statuses = [snapshot.status for snapshot in influence.run.snapshots]
    return float(np.mean([s in ("melted", "diverged") for s in statuses])) if statuses else math.nan


def not_memorised(influence: Diagnosable) -> float:
    fitted = np.minimum(influence.checkpoint_losses, influence.base_losses) <= _half_sure(influence)
    return float(1 - fitted.mean())


def stale(influence: Diagnosable) -> float:
    level = _half_sure(influence)
    return float(
        (influence.checkpoint_losses > level).mean() - (influence.base_losses > level).mean()
    )


def _half_sure(influence: Diagnosable) -> float:
    # a loss without classes has a clip of three times the loss of a guess
    return math.log(2.0) if influence.labels is not None else influence.clip / 3


def suspects(influence: Diagnosable) -> float:
    return len(influence.suspects().indices) if len(influence.table) else math.nan


def reliability(influence: Diagnosable) -> float:
    return influence.reliability()


def skill_left(influence: Diagnosable) -> float:
    """Skill of the mean probability of the members; that of θ* is 1."""
    labels, classes = influence.labels, influence.run.classes
    if labels is None or not classes or not len(influence.table):
        return math.nan
    losses, base = influence.table.losses, influence.base_losses
    p = mean_over_members((np.exp(-row.astype(np.float64)) for row in losses), len(influence))
    mean = np.where(np.isnan(p), base, -np.log(np.maximum(p, np.finfo(float).tiny)))
    skill = ClassSkill(labels, classes, base, by_size=False)
    return skill(mean, np.arange(len(influence)))


def skill_regained(influence: Diagnosable) -> float:
    """Skill of members that relearned, where it is not so low that it is told already."""
    skill = skill_left(influence) if relearns(influence.run.plan) else math.nan
    return skill if skill >= UNSKILLED else math.nan


def confused(influence: Diagnosable) -> float:
    found = influence.confusion()
    return math.nan if found is None or found.lift < ALONE * found.second else found.lift


def confused_pair(influence: Diagnosable) -> dict[str, Any]:
    found = influence.confusion()
    return {} if found is None else found._asdict()


def rare_on_top(influence: Diagnosable) -> float:
    """The largest share of a rare class in the most suspicious twentieth."""
    if influence.labels is None or not len(influence.table):
        return math.nan
    sizes = np.bincount(influence.labels)
    usual = len(influence) / np.count_nonzero(sizes)
    rare = np.flatnonzero((sizes >= LEAST_OF_RARE) & (sizes < usual / 4))
    top = np.argsort(-influence.suspicion(), kind="stable")[: len(influence) // 20]
    found = np.bincount(influence.labels[top], minlength=len(sizes))[rare] / sizes[rare]
    return float(found.max()) if len(rare) else math.nan


def floored(influence: Diagnosable) -> float:
    if not influence.floor or not len(influence.table):
        return math.nan
    moved = ~(
        influence.self_influence(floor=0.0) <= influence.floor**2
    )  # this also holds for samples that no member saw
    return float(((influence.base_losses < influence.floor) & ~moved).mean())


def deciding_members(influence: Diagnosable) -> float:
    """Median effective number of members, (Σ Δ²)² ÷ Σ Δ⁴, of the tenth with most Σ Δ²."""
    square, fourth = np.zeros((2, len(influence)))
    with np.errstate(over="ignore", invalid="ignore"):
        for row in influence.table.bounded(influence.floor, influence.ceiling).rows():
            known = np.nan_to_num(row, posinf=np.inf) ** 2
            square += known
            fourth += known**2
        usable = np.flatnonzero((fourth > 0) & np.isfinite(fourth))
        if len(influence.table) < 2 or not len(usable):
            return math.nan
        top = usable[np.argsort(-square[usable], kind="stable")[: max(1, len(influence) // 10)]]
        return float(np.median(square[top] ** 2 / fourth[top]))


def shared_rise(influence: Diagnosable) -> float:
    """Share of E[Δ²] that is E[Δ]²: what all members share. NaN where nobody asks for influence."""
    if not influence.asked_for_influence or for_a_ridge(influence) or len(influence.table) < 2:
        return math.nan
    table = influence.table.bounded(influence.floor, influence.ceiling)
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(np.nansum(table.self_influence()))
        mean = float(np.nansum(mean_over_members(table.rows(), len(influence)) ** 2))
        return mean / square if square > 0 else math.nan


def worth(influence: Diagnosable) -> dict[str, Any]:
    """What the influence of members that rise together is worth, from the study of retraining."""
    if influence.weighting.weights == "mean":
        return {"worth": "no more than a weak correlation with retraining"}
    share = "about two fifths" if relearns(influence.run.plan) else "a half to four fifths"
    return {"worth": f"{share} of the agreement with retraining that GEX.for_influence() has"}


def _chosen(influence: Diagnosable, name: str) -> Any:
    return influence.run.chosen.get(name)


def lacked(influence: Diagnosable) -> float:
    """Capabilities without which a run that should relearn could not."""
    return len(_chosen(influence, "lacks") or ())


def lacks(influence: Diagnosable) -> dict[str, Any]:
    return {"lacks": " and ".join(_chosen(influence, "lacks") or ())}


def at_chance(influence: Diagnosable) -> float:
    """Share of epochs at whose end a chain that relearns was at chance."""
    if not relearns(influence.run.plan):
        return math.nan
    count = influence.run.count()
    ends = count["cold"] + count["member"]
    return count["cold"] / ends if ends else math.nan


def knew(influence: Diagnosable) -> float:
    """Whether a start that was not raised knew the labels."""
    known = _chosen(influence, "knew_labels") and not _chosen(influence, "scale_raised")
    return float(bool(known))


def raised(influence: Diagnosable) -> float:
    """Scale of the start where it was raised from near zero."""
    found = _chosen(influence, "scale_raised") and _chosen(influence, "reference") == "zero"
    return float(_chosen(influence, "scale")) if found else math.nan
