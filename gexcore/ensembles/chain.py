"""The geometric ensemble: chains of short SGD runs from θ* (paper Section 4.2, Algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Backend, Dataset
from gexcore.deviations.halves import split_half
from gexcore.deviations.uncertainty import ENOUGH
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.scoring import Probe, Scorer, diverged
from gexcore.ensembles.skill import Skill, default_clip, finite
from gexcore.ensembles.start import Shrunk, begin_of
from gexcore.ensembles.stepper import Stepper, Trail
from gexcore.ensembles.thermostat import AnyController, Chunk, Reading, Status
from gexcore.evaluation.losses import evaluate
from gexcore.evaluation.passes import Passes, sum_passes


class Snapshot(NamedTuple):
    """The record of one point of a chain, member or not.

    Parameters
    ----------
    chain, number : int
        Number of the chain, and of the snapshot in it, from 0.
    lr : float
        Learning rate of the first step of its chunk.
    skill : float
        Share of the skill of θ* that is left. NaN if skill has no meaning.
    mean_loss : float
        Mean clipped loss of the samples that steer the controller.
    warmup : bool
        Whether its chunk was a short one of the warm-up: the chain had not left θ* yet.
    measured : bool
        Whether the losses of all samples were measured.
    error : float
        Standard error of `mean_loss`.
    """

    chain: int
    number: int
    lr: float
    skill: float
    mean_loss: float
    status: Status
    warmup: bool = False
    measured: bool = True
    error: float = 0.0


@dataclass(frozen=True)
class ChainInputs:
    """The model, data and settings that all chains of a run share.

    Parameters
    ----------
    train : Dataset
        The samples that the members step on.
    test : Dataset, optional
        Other samples that every member is scored on.
    skill : Skill, optional
        None if skill has no meaning: a loss of unknown scale under an open loop.
    keep : int
        The most member states that a chain returns.
    start : Shrunk, optional
        The first state of every chain. θ* if not given.
    """

    backend: Backend[Any, Any]
    train: Dataset[Any]
    test: Dataset[Any] | None
    scorer: Scorer
    skill: Skill | None
    keep: int
    start: Shrunk | None = None


class ChainResult(NamedTuple):
    """The members of one chain, complete or so far.

    Parameters
    ----------
    losses : list of arrays, shape (samples,)
        One row per member. NaN if no training batch held the sample.
    test_losses : list of arrays, shape (tests,)
        One row per member. Empty without test data, and if training batches give the losses.
    kept : list of (row, state)
        Row in `losses` and state of some members, spread evenly.
    snapshots : list of Snapshot
        All snapshots, in order.
    """

    chain: int
    losses: list[NDArray[Any]]
    test_losses: list[NDArray[Any]]
    kept: list[tuple[int, Any]]
    snapshots: list[Snapshot]


class Position(NamedTuple):
    """The position of a chain between two chunks: all that it needs to continue.

    Parameters
    ----------
    result : ChainResult
        The members so far.
    state : State
        The state that the next chunk starts from. The chain then steps it in place.
    complete : bool
        Whether there is no next chunk.
    within : bool
        Whether it is within an epoch, whose losses so far are not in the result. A chain continues
        only from the positions between epochs.
    """

    result: ChainResult
    state: Any
    complete: bool
    within: bool = False


def run_chain(
    problem: ChainInputs,
    plan: Plan,
    controller: AnyController,
    chain: int,
    *,
    start: Position | None = None,
    on_snapshot: Callable[[Position], object] = lambda position: None,
) -> ChainResult:
    """Run one chain: a warm-up of short chunks, then `plan.snapshots` chunks.

    The result depends only on the shared inputs, the plan and the number of the chain. An
    interruption does not change it.

    Parameters
    ----------
    start : Position, optional
        The position at which an earlier run left the chain.
    on_snapshot : callable
        Called with the position of the chain after each snapshot.
    """
    result, state, *_ = start or Position(ChainResult(chain, [], [], [], []), None, False)
    done = sum(plan.steps_of(s.number, warmup=s.warmup) for s in result.snapshots)
    begin = begin_of(problem.backend, problem.start)
    stepper = Stepper(
        problem.backend,
        problem.train,
        plan,
        chain,
        done=done,
        state=state,
        begin=begin,
        refresh=problem.scorer.refresh,
    )
    epoch = Trail([], [])
    members = _Members(problem, plan, result)
    memory, chunk = _replayed(controller, result.snapshots)
    while chunk is not None and not _stable(problem.skill, plan.tolerance, result):
        number = len(result.snapshots)
        trail = stepper.advance(chunk.schedule, plan.steps_of(number, warmup=chunk.warmup))
        probe = problem.scorer.probe(stepper.member, trail)
        reading = read(problem.skill, probe)
        before, (memory, decision) = memory, controller.update(memory, reading)
        measured = decision.status == "member"
        if measured:
            losses, broken = problem.scorer.collect(probe, epoch.and_then(trail))
            if broken:
                memory, decision = controller.update(before, reading._replace(diverged=True))
            else:
                members.add(losses, probe.scored, stepper)
        shown = Snapshot(
            chain,
            number,
            chunk.schedule(0),
            reading.skill,
            reading.loss,
            decision.status,
            chunk.warmup,
            measured,
            reading.error,
        )
        result.snapshots.append(shown)
        chunk = decision.chunk
        stepper.follow(decision.after)
        within = (number + 1) % plan.parts > 0
        if not within:
            epoch = Trail([], [])
        elif decision.status == "part":
            epoch = epoch.and_then(trail)
        on_snapshot(Position(result, stepper.state, chunk is None, within))
    return result


def _stable(skill: Skill | None, tolerance: float | None, result: ChainResult) -> bool:
    """Whether the scores of this chain alone are reliable enough to end it."""
    if tolerance is None or len(result.losses) < ENOUGH or result.snapshots[-1].status != "member":
        return False
    clip = default_clip(None) if skill is None else skill.ceiling
    rows = (np.minimum(row.astype(np.float64), clip) for row in result.losses)
    chains = np.zeros(len(result.losses), np.intp)
    return split_half([(slice(0, len(result.losses[0])), rows)], chains) >= tolerance


def chain_cost(problem: ChainInputs, plan: Plan, result: ChainResult) -> Passes:
    """Passes of a chain. Interruptions do not change them."""
    scorer, taken = problem.scorer, result.snapshots
    probes = [
        scorer.probe_passes._replace(
            step=plan.steps_of(s.number, warmup=s.warmup) * plan.batch_size
        )
        for s in taken
    ]
    tests = Passes(
        forward=len(result.test_losses) * len(problem.test or ()), copies=len(result.kept)
    )
    members = [scorer.collect_passes for s in taken if s.measured]
    anchors = [scorer.anchor_passes for s in taken if s.warmup]
    return sum_passes([*probes, *members, *anchors, tests])


def _replayed(controller: AnyController, snapshots: list[Snapshot]) -> tuple[Any, Chunk | None]:
    # the memory of a controller follows from its readings
    memory, chunk = controller.start()
    for snapshot in snapshots:
        broken = snapshot.status == "diverged"
        reading = Reading(snapshot.skill, snapshot.mean_loss, broken, snapshot.error)
        memory, decision = controller.update(memory, reading)
        chunk = decision.chunk
    return memory, chunk


def read(skill: Skill | None, probe: Probe) -> Reading:
    """The reading of a probe. Skill is NaN if it has no meaning."""
    losses, broken = finite(probe.losses), diverged(probe.losses)
    if skill is None:
        return Reading(float("nan"), float(losses.mean()), broken)
    clipped = np.minimum(losses, skill.ceiling).astype(np.float64)
    error = float(clipped.std() / len(clipped) ** 0.5)
    return Reading(skill(probe.losses, probe.indices), float(clipped.mean()), broken, error)


class _Members:
    """The members of a chain, collected one by one."""

    def __init__(self, problem: ChainInputs, plan: Plan, result: ChainResult) -> None:
        self._problem = problem
        self._plan = plan
        self._result = result

    def add(self, losses: NDArray[Any], scored: Any, stepper: Stepper) -> None:
        row, keep = len(self._result.losses), self._problem.keep
        self._result.losses.append(losses)
        if scored is not None and self._problem.test is not None:
            self._result.test_losses.append(
                evaluate(
                    self._problem.backend,
                    scored,
                    self._problem.test,
                    batch_size=self._plan.scoring_batch_size,
                )
            )
        if row % _stride(row, keep) == 0 and keep > 0:
            self._result.kept.append((row, stepper.snapshot(stepper.member)))
            if len(self._result.kept) > keep:  # thin out evenly as the chain grows
                del self._result.kept[1::2]


def _stride(rows: int, keep: int) -> int:
    """The smallest stride, a power of two, that keeps at most `keep` rows."""
    stride = 1
    while 0 < keep < -(-rows // stride):
        stride *= 2
    return stride
