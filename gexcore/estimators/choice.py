"""The choice between relearning and the geometric ensemble, by signs that need no right label."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from gexcore.backend.capabilities import lacking
from gexcore.backend.optimizer import Optimizer
from gexcore.ensembles.budget import planned_passes as passes_of_geometric
from gexcore.ensembles.ensemble import Geometric
from gexcore.ensembles.heavy import INSTEAD, from_reference, is_heavy, places, short
from gexcore.ensembles.relearning import Relearning
from gexcore.ensembles.relearning_plans import planned_passes as passes_of_relearning
from gexcore.errors import InvalidModelError, InvalidSettingError
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes
from gexcore.evaluation.statistics import Refresher
from gexcore.influence.diagnose import CHECKS
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.measures import skill_left

COMMON = ("batch_size", "budget", "chance_loss", "optimizer", "pretraining_epochs", "seed")
"""Settings that say nothing about the ensemble."""

(LEAST_SKILL,) = (check.limit for check in CHECKS if check.name == "unskilled")
"""Skill of relearned members, in units of that of θ*, below which they are replaced."""


SHARED = ("batch_size", "budget", "chance_loss", "pretraining_epochs", "seed")
"""Settings that the choice gives to relearning."""

RELEARNS = "labels of classes, and a backend that can relearn"
"""Why a run relearns."""

SHORTENS = "steps of this model take long, so the run is short"
"""Why a run relearns in the short way, or has a budget of its own."""

BY_ADAMW = "samples have tokens or pixels, so AdamW steps the members"
"""Why a run from a reference has another optimizer."""

REFERENCE = "a reference was given"
"""Why a run relearns, whatever the loss is."""


def chosen_ensemble(
    method: Geometric, given: Opened, reference: Any = None
) -> tuple[Geometric | Relearning, str]:
    """The ensemble that a run draws first, and why.

    Parameters
    ----------
    method : Geometric
        The settings that the user gave.
    given : Opened
    reference : native model or state, optional
        What θ* shrinks towards: with it the run relearns.
    """
    relearning = Relearning(**{name: getattr(method, name) for name in SHARED})
    if isinstance(method.optimizer, str):
        relearning = replace(relearning, optimizer=method.optimizer)
    if reference is not None:
        relearning = replace(relearning, reference=reference)
        own = given.given or lacking(given.backend, *relearning.needs)
        if own or places(given) == 1 or not _leaves_adamw(method, given):
            return relearning, REFERENCE
        return from_reference(relearning), f"{REFERENCE}; {BY_ADAMW}"
    why = _why_geometric(method, given)
    if why is not None:
        return method, why
    heavy = is_heavy(given, method.batch_size)
    if heavy and method.optimizer == "auto" and not _leaves_adamw(method, given):
        relearning = replace(relearning, optimizer="sgd")
    if heavy:
        relearning = short(relearning, given)
    if method.budget != "auto":
        try:
            relearning.plan(given)
        except InvalidSettingError as error:
            try:
                method.plan(given)
            except InvalidSettingError:
                raise error from None  # relearning has the smaller least cost
            return method, "the budget does not pay for relearning"
    return relearning, f"{RELEARNS}; {SHORTENS}" if heavy else RELEARNS


def geometric_instead(method: Geometric, given: Opened) -> Geometric:
    """The geometric ensemble that replaces relearned members. A heavy model has a budget.

    It is the least of `INSTEAD` that pays for a plan. The smallest data have none.
    """
    if limited(method) or not is_heavy(given, method.batch_size):
        return method
    for budget in INSTEAD:
        limit = replace(method, budget=budget)
        try:
            limit.plan(given)
        except InvalidSettingError:
            continue
        return limit
    return method


def planned_passes(method: Geometric | Relearning, given: Opened) -> Passes:
    """The most passes that an ensemble is expected to cost."""
    plan, n = method.plan(given), len(given.data)
    if isinstance(method, Relearning):
        return passes_of_relearning(plan, n, method.asked())
    refreshed = Refresher(given.backend, given.data, seed=plan.seed).samples
    return passes_of_geometric(plan, n, refreshed=refreshed)


def limited(method: Geometric) -> bool:
    """Whether the user set a limit, which pays for one ensemble only."""
    return (method.budget, method.pretraining_epochs) != ("auto", None)


def own_settings(method: Geometric) -> list[str]:
    """Names of the given settings that only the geometric ensemble has."""
    return [
        f.name
        for f in fields(Geometric)
        if f.name not in COMMON and getattr(method, f.name) != f.default
    ]


def check_ensemble(method: Geometric, ensemble: Any) -> None:
    """Raise an error if this is no ensemble, or if the settings of a method do not go with it.

    Parameters
    ----------
    method : Geometric
        The settings that the user gave.
    ensemble : Any
        What the user gave as the ensemble.
    """
    if ensemble is None or (isinstance(ensemble, str) and ensemble == "auto"):
        return
    if not isinstance(ensemble, Geometric | Relearning) or hasattr(ensemble, "fit"):
        raise InvalidSettingError(
            f"ensemble is {ensemble!r}; allowed are gexcore.Geometric(...), "
            "gexcore.Relearning(...) and 'auto'"
        )
    doubled = [f.name for f in fields(Geometric) if getattr(method, f.name) != f.default]
    if doubled:
        raise InvalidSettingError(
            f"{', '.join(doubled)} belong to the ensemble; set them in "
            f"ensemble={type(ensemble).__name__}(...)"
        )


def check_reference(method: Geometric, *, chosen: bool) -> None:
    """Raise an error if the settings of a method do not go with a reference.

    Parameters
    ----------
    method : Geometric
        The settings that the user gave.
    chosen : bool
        Whether the ensemble is chosen for each run.
    """
    if not chosen:
        raise InvalidSettingError(
            "reference belongs to relearning; set it as "
            "ensemble=gexcore.Relearning(reference=...), or leave ensemble out"
        )
    own = own_settings(method) + ([] if isinstance(method.optimizer, str) else ["optimizer"])
    if own:
        raise InvalidSettingError(
            f"reference belongs to relearning, and {', '.join(own)} to the geometric ensemble; "
            "leave one of them out"
        )


def _leaves_adamw(method: Geometric, given: Opened) -> bool:
    """Whether the settings leave the optimiser to the choice, and the backend has AdamW."""
    if method.optimizer != "auto":
        return False
    try:
        given.stepping_with(Optimizer(name="adamw"))
    except (InvalidModelError, InvalidSettingError):
        return False
    return True


def _why_geometric(method: Geometric, given: Opened) -> str | None:
    """Why the geometric ensemble is the right one before any step; None if it is not."""
    own = own_settings(method)
    if own:
        return f"the geometric ensemble has the settings that were given ({', '.join(own)})"
    if not isinstance(method.optimizer, str):
        return "relearning has an optimizer of its own, and a factory was given"
    if given.given:
        return "the backend was given, with its own optimizer"
    if given.seen.labels is None or not given.seen.likelihood:
        return "the loss is not of class labels"
    if lacking(given.backend, *Relearning().needs):
        return "the backend cannot relearn"
    return None


def forgot_too_much(found: LossInfluence, method: Geometric) -> str | None:
    """Why relearned members are to be replaced; None if they are not.

    A budget pays for one ensemble only.
    """
    if limited(method):
        return None
    if not len(found.table):
        return "no relearned member left chance"
    if found.run.chosen["scale_raised"]:
        scale = found.run.chosen["scale"]
        why = f"nothing was relearned before the start was {scale:g} of the trained model"
        if found.run.chosen["reference"] != "zero":
            return why
        return f"{why}; give the weights it was tuned from, if there are any, as GEX(reference=...)"
    skill = skill_left(found)
    if not skill < LEAST_SKILL:
        return None
    return f"relearned members kept {skill:.0%} of the skill of the trained model"
