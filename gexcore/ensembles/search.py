"""The search before the chains of relearning: a start state and a learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from gexcore.backend.protocols import Backend, Dataset
from gexcore.ensembles.chain import read
from gexcore.ensembles.plan import Constant, Plan
from gexcore.ensembles.relearner import TRIALS, Heat, Search
from gexcore.ensembles.scoring import Probe, TrainingBatchScorer
from gexcore.ensembles.skill import Skill, gained
from gexcore.ensembles.start import Shrunk, begin_of
from gexcore.ensembles.stepper import Stepper
from gexcore.ensembles.storage import Found
from gexcore.evaluation.opening import Opened

SEARCH_STEPS = 8
"""Optimiser steps of each chunk of a search, if an epoch has as many."""

LEAST_STEPS = 4
"""Optimiser steps of each chunk of a search over the smallest data."""

SLOWER = 0.5
"""Learning rate of the chains, in units of the one that the search ends with.

Chunks of a search are short. The rate that leaves chance in one of them is too large for epochs.
"""

HALVINGS = 4
"""The most halvings of the scale, for a start state that knows the labels."""

LEARNS_AT_ONCE = 0.25
"""Skill in the second quarter of an epoch from which on a start may know less of θ*."""

STREAM = 2**63
"""The number that stands for the search where chains have theirs: no chain has its batches."""


def search_steps(plan: Plan) -> int:
    """Optimiser steps of each chunk of a search."""
    return max(LEAST_STEPS, min(SEARCH_STEPS, plan.epoch_steps or SEARCH_STEPS))


def longest_search(plan: Plan) -> int:
    """The most optimiser steps of one search."""
    return TRIALS * search_steps(plan)


def beyond(opened: Opened, plan: Plan, skill: Skill, start: Shrunk) -> Skill:
    """The measure of skill beyond that of the reference of a start state.

    It costs a forward pass.
    """
    reference = replace(start, scale=0.0).state(opened.backend)
    scorer = TrainingBatchScorer(opened.backend, opened.train, plan)
    return gained(skill, scorer.losses_at(reference))


def trial_steps(plan: Plan) -> int:
    """Optimiser steps of a trial: half an epoch."""
    return max(1, (plan.epoch_steps or 0) // 2)


def nearest_that_learns(
    opened: Opened, plan: Plan, skill: Skill, start: Shrunk, smaller: float, found: Found
) -> Found:
    """The `smaller` scale if a trial from `start` learns at once, and that of `start` if not.

    Parameters
    ----------
    opened : Opened
    plan : Plan
        Plan of the chains, with their batch size and seed.
    skill : Skill
    start : Shrunk
        The start state with the larger scale.
    smaller : float
    found : Found
        Learning rate and limit of the chains.
    """
    steps = trial_steps(plan)
    begin = begin_of(opened.backend, start)
    stepper = Stepper(opened.backend, opened.train, plan, STREAM, begin=begin)
    trail = stepper.advance(Constant(found.lr), steps)
    reading = read(skill, Probe(*trail.later_half(), None))
    learns = not reading.diverged and reading.skill > LEARNS_AT_ONCE
    return found._replace(scale=smaller if learns else start.scale, steps=steps)


@dataclass(frozen=True, eq=False)
class Trials:
    """Searches from several start states.

    Parameters
    ----------
    backend : Backend
    train : Dataset
        The samples that the search steps on.
    skill : Skill
    plan : Plan
        Plan of the chains, with their batch size and seed.
    controller : Search
    most : float
        The most optimiser steps of all searches. The first search is always made.
    """

    backend: Backend[Any, Any]
    train: Dataset[Any]
    skill: Skill
    plan: Plan
    controller: Search
    most: float = math.inf

    def run(self, start: Shrunk, *, fixed: bool = False) -> Found:
        """The start state and the learning rate for chains.

        The scale is halved while the start state knows the labels. It is doubled, up to 1, until
        the search leaves chance. A `fixed` scale stays. So does one after which another search
        might take too many steps.
        """
        best: Found | None = None
        scale, steps, halvings, raised = start.scale, 0, 0, False
        while True:
            heat = self._heated(replace(start, scale=scale))
            steps += heat.trials * search_steps(self.plan)
            found = Found(scale, SLOWER * heat.lr, heat.limit, steps, heat.left, raised, heat.knew)
            if fixed or steps + longest_search(self.plan) > self.most:
                return found if heat.left or best is None else best._replace(steps=steps)
            if heat.left:
                best = found
                if not heat.knew or raised or halvings == HALVINGS:
                    return found
                scale, halvings = scale / 2, halvings + 1
            elif best is not None:
                return best._replace(steps=steps)
            elif scale < 1.0:
                scale, raised = min(1.0, 2 * scale), True
            else:
                return found

    def _heated(self, start: Shrunk) -> Heat:
        begin = begin_of(self.backend, start)
        stepper = Stepper(self.backend, self.train, self.plan, STREAM, begin=begin)
        heat, chunk = self.controller.start()
        while chunk is not None:
            trail = stepper.advance(chunk.schedule, search_steps(self.plan))
            reading = read(self.skill, Probe(*trail.later_half(), None))
            heat, decision = self.controller.update(heat, reading)
            chunk = decision.chunk
            if decision.after == "back":
                stepper.back()
        return heat
