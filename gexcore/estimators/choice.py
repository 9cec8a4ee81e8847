"""The choice between relearning and the geometric ensemble, by signs that need no right label."""

from __future__ import annotations

from dataclasses import fields

from gexcore.backend.capabilities import lacking
from gexcore.ensembles.ensemble import Geometric
from gexcore.ensembles.relearning import Relearning
from gexcore.evaluation.opening import Opened
from gexcore.influence.diagnose import CHECKS
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.measures import skill_left

COMMON = ("batch_size", "budget", "chance_loss", "optimizer", "pretraining_epochs", "seed")
"""Settings that say nothing about the ensemble."""

(LEAST_SKILL,) = (check.limit for check in CHECKS if check.name == "unskilled")
"""Skill of relearned members, in units of that of θ*, below which they are replaced."""


def why_geometric(method: Geometric, given: Opened) -> str | None:
    """Why the geometric ensemble is the right one before any step; None if it is not.

    Parameters
    ----------
    method : Geometric
        The settings that the user gave.
    given : Opened
    """
    own = [
        f.name
        for f in fields(Geometric)
        if f.name not in COMMON and getattr(method, f.name) != f.default
    ]
    if own:
        return f"{', '.join(own)} belong to the geometric ensemble"
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
    if (method.budget, method.pretraining_epochs) != ("auto", None):
        return None
    if not len(found.table):
        return "no relearned member left chance"
    if found.run.chosen["scale_raised"]:
        scale = found.run.chosen["scale"]
        return f"nothing was relearned before the start was {scale:g} of the trained model"
    skill = skill_left(found)
    if not skill < LEAST_SKILL:
        return None
    return f"relearned members kept {skill:.0%} of the skill of the trained model"
