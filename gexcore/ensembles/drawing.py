"""Drawing an ensemble: its chains are run, and their members are put into one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from types import MappingProxyType
from typing import Any, NamedTuple

from numpy.typing import NDArray

from gexcore.ensembles.budget import Budget, planned_passes
from gexcore.ensembles.chain import ChainResult, Snapshot, chain_cost
from gexcore.ensembles.drawn import Drawn
from gexcore.ensembles.execution import Work, run_chains, scorer_of
from gexcore.ensembles.gathered import kept_members, loss_table, loss_table_on_test
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.recomputed import Recomputed
from gexcore.ensembles.skill import Skill, default_clip, skill_of
from gexcore.ensembles.start import Shrunk
from gexcore.ensembles.storage import Identity, Storage, Store, not_stored
from gexcore.ensembles.thermostat import AnyController
from gexcore.errors import AllMembersDivergedError, InvalidSettingError
from gexcore.evaluation.constant import SHOWN, TRIED, constant_loss
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.others import check_test_losses
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore.evaluation.statistics import Refresher
from gexcore.progress import progress_bar

COPIES = 3
"""Vectors of parameters of a chain that runs: θ*, its state, and the start of its chunk."""


class Prepared(NamedTuple):
    """The beginning of the chains of a run.

    Parameters
    ----------
    controller : Controller
    start : Shrunk, optional
        The first state. θ* if not given.
    passes : Passes
        The cost of the preparation.
    chosen : mapping
        Findings for the record of the run.
    skill : Skill, optional
        The measure that steers. That of the model and the data if not given.
    """

    controller: AnyController
    start: Shrunk | None = None
    passes: Passes = Passes()
    chosen: Mapping[str, Any] = MappingProxyType({})
    skill: Skill | None = None


def check_storable(store: Store | None, budget: object) -> None:
    """Refuse to store a run whose plan depends on the clock.

    Raises
    ------
    InvalidSettingError
    """
    if store is not None and isinstance(budget, Budget) and budget.seconds:
        msg = (
            "a budget in seconds gives another plan every time, which no store can go on with; "
            "give it in epochs"
        )
        raise InvalidSettingError(msg)


LONG = 10.0
"""Seconds of a run from which on they are said before the work."""


class Clock:
    """The seconds of one pass over the data, which say about how long a run takes.

    They are only shown. No setting depends on them, so results do not.
    """

    seconds: float | None = None

    def timed(self, measure: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What the pass gives."""
        started = time.perf_counter()
        found = measure()
        self.seconds = time.perf_counter() - started
        return found

    def told(self, passes: float) -> str:
        """The seconds of this many passes, for the title of a run; nothing if it is short."""
        if self.seconds is None or self.seconds * passes < LONG:
            return ""
        return f", about {self.seconds * passes:,.0f} s"


def draw(
    opened: Opened,
    plan: Plan,
    controller: AnyController,
    *,
    keep: int,
    chance_loss: float | None,
    steers: bool,
    store: Store | None,
    executor: Executor | None,
    title: str,
    settings: Mapping[str, Any] = MappingProxyType({}),
    planned: Passes | None = None,
    prepare: Callable[[Skill | None, Storage], Prepared] | None = None,
) -> Drawn:
    """Run the chains of a plan.

    Parameters
    ----------
    opened : Opened
        Model and data, with the optimiser of the members.
    plan : Plan
    controller : Controller
    keep : int
        The most member states that each chain returns.
    chance_loss : float or None
        Loss of a model that knows nothing, from the user.
    steers : bool
        Whether the learning rate follows the skill.
    store, executor, title
        See `gexcore.Geometric.draw`.
    settings : mapping
        Settings of the first state of the chains, by which a store knows the run.
    planned : Passes, optional
        The most passes of the run, if the plan alone does not say.
    prepare : callable, optional
        Makes the beginning of the chains from the measure of skill and the storage.
    """
    samples, seen = len(opened.data), opened.seen
    own = not plan.shares_statistics
    refresh = Refresher(opened.backend, opened.data, seed=plan.seed, members=own)
    planned = planned or planned_passes(plan, samples, refreshed=refresh.samples)
    by_batches, tests = plan.scoring == "training_batches", opened.test
    during = None if tests is None or by_batches else len(tests)
    identity = Identity(opened, plan, controller, keep, during is not None, chance_loss, settings)
    with (store or not_stored)(identity) as storage:
        clock = Clock()
        base = storage.base(lambda: clock.timed(scorer_of(opened, plan).base), seen, during)
        chance, tried = chance_loss, 0
        if chance is None and steers and seen.labels is None and callable(opened.loss):
            chance, tried = constant_loss(opened.backend, opened.data), SHOWN * TRIED
        skill = skill_of(
            seen,
            base,
            opened.loss,
            given=chance,
            steers=steers,
            by_size=not by_batches,
        )
        begin = prepare(skill, storage) if prepare else Prepared(controller)
        steering = begin.skill or skill
        work = Work(
            opened.recipe, plan, begin.controller, steering, keep, tests is not None, begin.start
        )
        title = f"{title}, {planned.epochs(samples):.0f} passes over the data"
        title += clock.told(planned.epochs(samples))
        results = _run(work, opened, executor, storage, title=title)
    problem = work.problem(opened)
    members = kept_members(results, opened.backend, refresh, batch_size=plan.scoring_batch_size)
    snapshots = tuple(snapshot for result in results for snapshot in result.snapshots)
    test_table = None
    if tests is not None:
        test_table = (
            members.evaluate(tests)
            if by_batches
            else loss_table_on_test(results, members.base(tests))
        )
        check_test_losses(test_table.base_losses)
    started = Passes(forward=samples + tried, copies=COPIES)
    return Drawn(
        table=loss_table(results, base),
        test_table=test_table,
        members=members,
        all_members=Recomputed.of(opened, plan, begin.controller, snapshots, begin.start),
        plan=plan,
        snapshots=snapshots,
        clip=default_clip(seen.classes) if skill is None else skill.ceiling,
        scaled=skill is not None,
        passes=sum_passes(
            [started, begin.passes, *(chain_cost(problem, plan, r) for r in results)]
        ),
        planned=planned,
        chosen={**opened.chosen(), **begin.chosen},
    )


def _run(
    work: Work, opened: Opened, executor: Executor | None, storage: Storage, *, title: str
) -> list[ChainResult]:
    plan = work.plan
    with progress_bar(plan.chains * plan.snapshots, title=title, show=opened.progress) as bar:

        def report(snapshot: Snapshot) -> None:
            note = (
                f"chain {snapshot.chain + 1}/{plan.numbers.stop}, lr {snapshot.lr:.2g}, "
                f"skill {snapshot.skill:.2f}"
            )
            bar.advance(note, by=not snapshot.warmup)

        results = run_chains(work, opened, executor=executor, storage=storage, report=report)
    statuses = {snapshot.status for r in results for snapshot in r.snapshots}
    if "diverged" in statuses <= {"diverged", "anchor"}:
        msg = (
            f"all {sum(len(r.snapshots) for r in results)} members have non-finite losses; "
            'try lr="auto", a smaller lr, or the optimizer of the training'
        )
        raise AllMembersDivergedError(msg)
    return results
