"""Execution of the chains of a run: one after another here, or by an executor."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import Backend, SupportsSerialization
from gexcore.ensembles.chain import ChainInputs, ChainResult, Position, Snapshot, run_chain
from gexcore.ensembles.executors import completed
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.scoring import EpochScorer, EvaluatedScorer, Scorer, TrainingBatchScorer
from gexcore.ensembles.skill import Skill
from gexcore.ensembles.start import Shrunk
from gexcore.ensembles.storage import Storage
from gexcore.ensembles.thermostat import AnyController
from gexcore.errors import InvalidModelError, MissingCapabilityError
from gexcore.evaluation.opening import Opened, reopened
from gexcore.evaluation.recipe import Recipe
from gexcore.evaluation.statistics import Refresher


def scorer_of(given: Opened, plan: Plan) -> Scorer:
    """The scorer of snapshots under this plan."""
    if plan.epoch_steps is not None:
        return EpochScorer(given.backend, given.train, plan)
    if plan.scoring == "training_batches":
        return TrainingBatchScorer(given.backend, given.train, plan)
    refresh = Refresher(given.backend, given.data, seed=plan.seed)
    return EvaluatedScorer(given.backend, given.data, refresh, plan)


@dataclass(frozen=True)
class Work:
    """All that chains need but their number. Another process gets it once.

    Parameters
    ----------
    recipe : Recipe or None
        Recipe of the inputs. None if only this process has them.
    start : Shrunk, optional
        The first state of every chain; θ* where not given.
    """

    recipe: Recipe | None
    plan: Plan
    controller: AnyController
    skill: Skill | None
    keep: int
    tests: bool
    start: Shrunk | None = None

    def here(self, given: Opened) -> Callable[[int], ChainResult]:
        """The function that runs a chain in this process."""
        return partial(_portable_chain, self.problem(given), self.plan, self.controller)

    def problem(self, given: Opened) -> ChainInputs:
        """The shared inputs of the chains in this process."""
        tests = given.test if self.tests else None
        scorer = scorer_of(given, self.plan)
        return ChainInputs(
            given.backend, given.train, tests, scorer, self.skill, self.keep, self.start
        )

    def elsewhere(self) -> Callable[[int], ChainResult]:
        """The function that runs a chain in another process, from the recipe."""
        if self.recipe is None:
            raise InvalidModelError("what was opened by hand cannot be sent to another process")
        return self.here(reopened(self.recipe))


def run_chains(
    work: Work,
    given: Opened,
    *,
    executor: Executor | None,
    storage: Storage,
    report: Callable[[Snapshot], object],
) -> list[ChainResult]:
    """Run all chains of a plan, without those that are stored; results are in order.

    Without an executor a chain continues from its last stored snapshot. With an executor it starts
    anew.

    Parameters
    ----------
    report : callable
        Called with every snapshot. With an executor this is when the chain is complete.

    Raises
    ------
    MissingCapabilityError
        If member states are to be kept, and the backend cannot serialise them.
    """
    if executor is not None:
        check_portable(given.backend, work.keep, by="executor=")
    chains = work.plan.numbers
    stands = {
        chain: position for chain in chains if (position := storage.position(chain)) is not None
    }
    found = {chain: position.result for chain, position in stands.items() if position.complete}
    open_chains = [chain for chain in chains if chain not in found]
    for snapshot in (snapshot for result in found.values() for snapshot in result.snapshots):
        report(snapshot)
    if executor is not None:
        for result in completed(
            executor, work.here(given), work.elsewhere if work.recipe else None, open_chains
        ):
            found[result.chain] = with_states(given.backend, result)
            storage.save(Position(found[result.chain], None, True))
            for snapshot in result.snapshots:
                report(snapshot)
        return [found[chain] for chain in chains]

    def on_snapshot(position: Position) -> None:
        storage.save(position)
        report(position.result.snapshots[-1])

    problem = work.problem(given)
    for chain in open_chains:
        start = stands.get(chain)
        for snapshot in start.result.snapshots if start else ():
            report(snapshot)
        found[chain] = run_chain(
            problem, work.plan, work.controller, chain, start=start, on_snapshot=on_snapshot
        )
    return [found[chain] for chain in chains]


def check_portable(backend: Backend[Any, Any], keep: int, *, by: str) -> None:
    """Refuse to keep states that cannot be sent to another process.

    Raises
    ------
    MissingCapabilityError
    """
    if keep and not supports(backend, SupportsSerialization):
        msg = (
            f"{by} takes the states of {keep} members a chain out of the process, and backend "
            f"{backend.name!r} cannot hand out this model's as arrays (SupportsSerialization); set "
            "keep=0, which leaves out test sets and label suggestions after the fit, or leave "
            f"{by} out"
        )
        raise MissingCapabilityError(msg)


def as_arrays(backend: Any, result: ChainResult) -> ChainResult:
    """The result with its kept states as arrays, without memories of optimisers."""
    return result._replace(
        kept=[(row, dict(backend.to_arrays(backend.restart(state)))) for row, state in result.kept]
    )


def with_states(backend: Any, result: ChainResult) -> ChainResult:
    """The reverse of `as_arrays`."""
    return result._replace(kept=[(row, backend.from_arrays(arrays)) for row, arrays in result.kept])


def _portable_chain(
    problem: ChainInputs, plan: Plan, controller: AnyController, chain: int
) -> ChainResult:
    return as_arrays(problem.backend, run_chain(problem, plan, controller, chain))
