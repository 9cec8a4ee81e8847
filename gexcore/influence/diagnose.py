"""Findings: what is doubtful about a run, the number that shows it, and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.threshold import Suspects
from gexcore.deviations.table import LossTable
from gexcore.deviations.uncertainty import ENOUGH, mean_over_members
from gexcore.deviations.weighting import Weighting
from gexcore.ensembles.anchored import AnchoredPlan
from gexcore.ensembles.skill import ClassSkill
from gexcore.ensembles.thermostat import Thermostat
from gexcore.influence.record import Run
from gexcore.influence.transition import Confusion

ALONE = 3.3
"""A confusion is one pair's own if it is this many times the next one."""

LEAST_OF_RARE = 5
"""Fewer samples of a class say nothing about it."""


class Diagnosable(Protocol):
    """The parts of a result that the checks read."""

    @property
    def clip(self) -> float: ...

    @property
    def floor(self) -> float: ...

    @property
    def ceiling(self) -> float: ...

    @property
    def run(self) -> Run: ...

    @property
    def table(self) -> LossTable: ...

    @property
    def labels(self) -> NDArray[np.intp] | None: ...

    @property
    def checkpoint_losses(self) -> NDArray[np.float64]: ...

    @property
    def base_losses(self) -> NDArray[Any]: ...

    @property
    def test_table(self) -> LossTable | None: ...

    @property
    def weighting(self) -> Weighting: ...

    def __len__(self) -> int: ...

    def suspects(self) -> Suspects:
        """Samples above the default threshold."""
        ...

    def reliability(self) -> float:
        """Split-half reliability of suspicion."""
        ...

    def suspicion(self) -> NDArray[np.float64]:
        """The score of every sample; high = probably mislabelled."""
        ...

    def confusion(self) -> Confusion | None:
        """The largest confusion of the data set."""
        ...

    def self_influence(self, *, floor: float | None = None) -> NDArray[np.float64]:
        """E[Δ²] of every sample."""
        ...


class Finding(NamedTuple):
    """A doubt about a run.

    Parameters
    ----------
    name : str
        Name of the check, as in `CHECKS`.
    number, limit : float
        The measured number, and the limit that it breaks.
    sentence : str
        What the number means and what to do.
    """

    name: str
    number: float
    limit: float
    sentence: str


@dataclass(frozen=True)
class Check:
    """One question about a run.

    Parameters
    ----------
    name : str
    asks : str
        Name of the number.
    measure : callable
        A function that gives the number; NaN if the question has no meaning.
    limit : float
        The largest number that is no finding, or the smallest if `least` is true.
    sentence : str
        Sentence of the finding, with ``{number}`` in place of the number.
    least : bool
    words : callable
        Other words of the sentence by name. It is called only for a finding.
    """

    name: str
    asks: str
    measure: Callable[[Diagnosable], float]
    limit: float
    sentence: str
    least: bool = False
    words: Callable[[Diagnosable], dict[str, Any]] = lambda influence: {}

    def __call__(self, influence: Diagnosable) -> Finding | None:
        """The finding, or None."""
        number = self.measure(influence)
        wrong = number < self.limit if self.least else number > self.limit
        if not wrong:
            return None
        sentence = self.sentence.format(number=number, **self.words(influence))
        return Finding(self.name, number, self.limit, sentence)


def diagnose(influence: Diagnosable) -> list[Finding]:
    """All findings, in the order of `CHECKS`."""
    found = [check(influence) for check in CHECKS]
    return [finding for finding in found if finding is not None]


def _for_a_ridge(influence: Diagnosable) -> bool:
    return isinstance(influence.run.plan, AnchoredPlan)


def _cold(influence: Diagnosable) -> float:
    if _for_a_ridge(influence):  # its members are cold on purpose
        return math.nan
    plan = influence.run.plan
    if plan is not None and plan.epoch_steps is not None:
        return math.nan  # chains that relearn come back to the skill of the trained model
    skills = np.array([snapshot.skill for snapshot in influence.run.snapshots])
    known = skills[np.isfinite(skills)]
    return float((known >= Thermostat.warm).mean()) if len(known) else math.nan


def _melted(influence: Diagnosable) -> float:
    statuses = [snapshot.status for snapshot in influence.run.snapshots]
    return float(np.mean([s in ("melted", "diverged") for s in statuses])) if statuses else math.nan


def _not_memorised(influence: Diagnosable) -> float:
    fitted = np.minimum(influence.checkpoint_losses, influence.base_losses) <= _half_sure(influence)
    return float(1 - fitted.mean())


def _stale(influence: Diagnosable) -> float:
    level = _half_sure(influence)
    return float(
        (influence.checkpoint_losses > level).mean() - (influence.base_losses > level).mean()
    )


def _half_sure(influence: Diagnosable) -> float:
    # a loss without classes has a clip of three times the loss of a guess
    return math.log(2.0) if influence.labels is not None else influence.clip / 3


def _suspects(influence: Diagnosable) -> float:
    return len(influence.suspects().indices) if len(influence.table) else math.nan


def _reliability(influence: Diagnosable) -> float:
    return influence.reliability()


def _skill_left(influence: Diagnosable) -> float:
    """Skill of the mean probability of the members; that of θ* is 1."""
    labels, classes = influence.labels, influence.run.classes
    if labels is None or not classes or not len(influence.table):
        return math.nan
    losses, base = influence.table.losses, influence.base_losses
    p = mean_over_members((np.exp(-row.astype(np.float64)) for row in losses), len(influence))
    mean = np.where(np.isnan(p), base, -np.log(np.maximum(p, np.finfo(float).tiny)))
    skill = ClassSkill(labels, classes, base, by_size=False)
    return skill(mean, np.arange(len(influence)))


def _confused(influence: Diagnosable) -> float:
    found = influence.confusion()
    return math.nan if found is None or found.lift < ALONE * found.second else found.lift


def _confused_pair(influence: Diagnosable) -> dict[str, Any]:
    found = influence.confusion()
    return {} if found is None else found._asdict()


def _rare_on_top(influence: Diagnosable) -> float:
    """The largest share of a rare class in the most suspicious twentieth."""
    if influence.labels is None or not len(influence.table):
        return math.nan
    sizes = np.bincount(influence.labels)
    usual = len(influence) / np.count_nonzero(sizes)
    rare = np.flatnonzero((sizes >= LEAST_OF_RARE) & (sizes < usual / 4))
    top = np.argsort(-influence.suspicion(), kind="stable")[: len(influence) // 20]
    found = np.bincount(influence.labels[top], minlength=len(sizes))[rare] / sizes[rare]
    return float(found.max()) if len(rare) else math.nan


def _floored(influence: Diagnosable) -> float:
    if not influence.floor or not len(influence.table):
        return math.nan
    moved = ~(
        influence.self_influence(floor=0.0) <= influence.floor**2
    )  # this also holds for samples that no member saw
    return float(((influence.base_losses < influence.floor) & ~moved).mean())


def _deciding_members(influence: Diagnosable) -> float:
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


def _shared_rise(influence: Diagnosable) -> float:
    """Share of E[Δ²] that is E[Δ]²: what all members share. NaN where nobody asks for influence."""
    asked = influence.test_table is not None or not influence.weighting.is_papers
    if not asked or _for_a_ridge(influence) or len(influence.table) < 2:
        return math.nan
    table = influence.table.bounded(influence.floor, influence.ceiling)
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(np.nansum(table.self_influence()))
        mean = float(np.nansum(mean_over_members(table.rows(), len(influence)) ** 2))
        return mean / square if square > 0 else math.nan


CHECKS = (
    Check(
        "cold",
        "share of snapshots with a skill of 0.97 or more",
        _cold,
        0.7,
        "{number:.0%} of the snapshots never left the trained model, and their deviations "
        "say nothing; with lr='auto' "
        "give more snapshots, with an lr of your own a larger one, or more steps_per_snapshot",
    ),
    Check(
        "melted",
        "share of snapshots that melted or diverged",
        _melted,
        0.35,
        "{number:.0%} of the snapshots forgot too much or have no finite loss, and were left "
        "out; take fewer "
        "steps_per_snapshot, lr='auto' or a smaller lr, or the optimizer of the training",
    ),
    Check(
        "few_members",
        "members of the ensemble",
        lambda influence: len(influence.table),
        ENOUGH,
        "{number:.0f} members are few: in suspicion() the trained model takes the places of "
        "those that are missing, with "
        "none it is the plain loss; give more snapshots or chains",
        least=True,
    ),
    Check(
        "not_memorised",
        "share of samples that the trained model gives less than half of the probability "
        "(other losses: worse than a guess)",
        _not_memorised,
        0.01,
        "{number:.1%} of the samples are not fitted by the trained model; where their labels "
        "are wrong, E[Δ²] subtracts "
        "what shows it: rank suspects by suspicion(), not by self_influence()",
    ),
    Check(
        "stale_statistics",
        "share of samples that are fitted only after normalisation statistics are estimated anew",
        _stale,
        0.05,
        "{number:.1%} of the samples are fitted only after the normalisation statistics of "
        "the trained model are "
        "estimated anew: those it stores are stale; the scores use new ones, but "
        "checkpoint_losses and the model "
        "itself do not: run some training batches through it in training mode before you use it",
    ),
    Check(
        "no_separate_mode",
        "suspects above the threshold",
        _suspects,
        1,
        "no threshold could be found in the scores: review the first samples of ranking() by hand, "
        "and relabel none that you have not seen",
        least=True,
    ),
    Check(
        "unreliable",
        "reliability of suspicion (split half)",
        _reliability,
        0.8,
        "another run would be expected to agree with these scores by a correlation of "
        "{number:.2f} only; give "
        "more chains or snapshots",
        least=True,
    ),
    Check(
        "floor",
        "share of samples whose base loss is below the floor and whose loss moved by less "
        "than the floor",
        _floored,
        0.5,
        "for {number:.0%} of the samples the floor is larger than what the members moved, so "
        "that E[Δ²] is the floor's "
        "own; take self_influence(floor=0)",
    ),
    Check(
        "heavy_tail",
        "members that decide E[Δ²] of the highest tenth of the samples (effective number, median)",
        _deciding_members,
        3,
        "about {number:.1f} members decide E[Δ²] of the samples where it is high: a few "
        "large losses, not the ensemble; "
        "do not trust self_influence() or influence() here; fit with ceiling='auto', rank by "
        "suspicion(), or give more chains",
        least=True,
    ),
    Check(
        "unskilled",
        "skill of the mean probability of the members",
        _skill_left,
        0.25,
        "the members together keep {number:.0%} of the skill of the trained model, and doubt right "
        "labels too; take fewer steps_per_snapshot",
        least=True,
    ),
    Check(
        "one_class_pair",
        "largest confusion, as a multiple of equal confusions (if it is far above the next)",
        _confused,
        6.0,
        "samples of class {true} are given label {given} {number:.0f} times as often as with equal "
        "confusions; review this pair first, and rank by suspicion(), not by self_influence()",
        words=_confused_pair,
    ),
    Check(
        "rare_class_on_top",
        "largest share of a rare class among the most suspicious twentieth",
        _rare_on_top,
        0.5,
        "{number:.0%} of a rare class are among the most suspicious samples; they may be rare and "
        "not wrong: review each rare class by itself",
    ),
    Check(
        "not_for_influence",
        "share of E[Δ²] that all members share, where the fit was given test data",
        _shared_rise,
        0.3,
        "{number:.0%} of E[Δ²] is a rise of losses that all members share: they are too hot or too "
        "much alike, and influence() has no more than a weak correlation with retraining; fit "
        "GEX.for_influence() for influence, and keep this run for suspicion()",
    ),
)
"""All checks, in the order of their findings."""
