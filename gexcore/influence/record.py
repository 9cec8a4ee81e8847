"""The record of a run: its settings, its choices and its cost."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Self

import numpy as np

from gexcore._version import versions_of
from gexcore.ensembles.chain import Snapshot
from gexcore.ensembles.drawn import Drawn
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.thermostat import Status
from gexcore.evaluation.given import NO_NAMES, Names
from gexcore.evaluation.opening import Opened
from gexcore.evaluation.passes import Passes, sum_passes

OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}
"""Names of optimisers in sentences."""

REPORTED = ("gexcore", "numpy", "torch", "jax", "tensorflow", "scikit-learn")


@dataclass(frozen=True)
class Run:
    """The content of `run.json`.

    Parameters
    ----------
    method : str
        Name of the estimator.
    settings : mapping
        Settings as the user gave them.
    plan : Plan or None
        Plan of the chains, with every "auto" settled. None for a method without chains.
    backend : str
    samples : int
    classes : int or None
    snapshots : tuple of Snapshot
        Every point of every chain: learning rate, skill, and whether it is a member.
    passes : Passes
    seconds : float
        Wall time of the fit.
    chosen : mapping
        Other settled or found numbers, such as the weight decay of members or the number of
        parameters.
    planned : Passes, optional
        Passes that were expected before the work.
    names : Names
        Names of samples and classes in the user's data, for `Result.to_frame`; not in `to_dict`.
    """

    method: str
    settings: Mapping[str, Any]
    plan: Plan | None
    backend: str
    samples: int
    classes: int | None
    snapshots: tuple[Snapshot, ...]
    passes: Passes
    seconds: float
    chosen: Mapping[str, Any] = field(default_factory=dict)
    planned: Passes | None = None
    names: Names = field(default=NO_NAMES, repr=False, compare=False)

    @classmethod
    def drawn(
        cls,
        method: str,
        settings: Mapping[str, Any],
        given: Opened,
        ensemble: Drawn,
        passes: Sequence[Passes] = (),
    ) -> Self:
        """The record of a method that draws an ensemble, and of what else it cost."""
        first = Passes(forward=len(given.data))
        return cls(
            method=method,
            settings=settings,
            plan=ensemble.plan,
            backend=given.backend.name,
            samples=len(given.data),
            classes=given.seen.classes,
            snapshots=ensemble.snapshots,
            passes=sum_passes([first, ensemble.passes, *passes]),
            seconds=given.seconds,
            chosen=ensemble.chosen,
            planned=ensemble.planned,
            names=given.names,
        )

    @property
    def label(self) -> str:
        """The method, with the ensemble if it is not the method's own, and the optimiser."""
        by = self.chosen.get("optimizer")
        steps = "" if by is None else f", steps by {OPTIMIZERS.get(by, by)}"
        if self.chosen.get("ensemble") != "relearning":
            why = self.chosen.get("why")
            drawn = "" if why is None else f", geometric ensemble ({why})"
            return f"{self.method}{drawn}{steps}"
        reference = "zero" if self.chosen["reference"] == "zero" else "the reference"
        return (
            f"{self.method}, relearning from {self.chosen['scale']:g} of the way from {reference} "
            f"to θ*, lr {self.chosen['first_lr']:.2g}{steps}"
        )

    @property
    def choice(self) -> str | None:
        """The ensemble that was chosen, and why, in a sentence; None where the user chose it."""
        why = self.chosen.get("why")
        if why is None:
            return None
        if self.chosen["ensemble"] == "relearning":
            return f"relearned members: {why}"
        both = "; the cost is that of both ensembles" if "instead_of" in self.chosen else ""
        return f"geometric members: {why}{both}"

    def count(self) -> dict[Status, int]:
        """Number of snapshots of each status."""
        found = Counter(snapshot.status for snapshot in self.snapshots)
        return {status: found[status] for status in ("member", "cold", "melted", "diverged")}

    def members(self) -> list[Snapshot]:
        """The snapshots that are members, in the order of the loss table's rows."""
        return [snapshot for snapshot in self.snapshots if snapshot.status == "member"]

    def to_dict(self) -> dict[str, Any]:
        """The record in plain values for JSON."""
        return {
            "method": self.method,
            "settings": dict(self.settings),
            "backend": self.backend,
            "samples": self.samples,
            "classes": self.classes,
            **self._chains(),
            **({"chosen": dict(self.chosen)} if self.chosen else {}),
            **({"planned": self._cost(self.planned)} if self.planned else {}),
            "passes": self._cost(self.passes),
            "seconds": round(self.seconds, 3),
            "versions": {"python": platform.python_version(), **versions_of(REPORTED)},
        }

    def _chains(self) -> dict[str, Any]:
        if self.plan is None:
            return {}
        rates = [snapshot.lr for snapshot in self.members()]
        return {
            "plan": asdict(self.plan),
            "snapshots": {
                **self.count(),
                "all": [snapshot._asdict() for snapshot in self.snapshots],
            },
            "learning_rates": [min(rates), max(rates)] if rates else [],
        }

    def _cost(self, passes: Passes) -> dict[str, Any]:
        used = {name: n for name, n in passes._asdict().items() if n or name in ("forward", "step")}
        return {**used, "epochs": round(passes.epochs(self.samples), 3)}


def settings_of(method: Any) -> dict[str, Any]:
    """An estimator's settings as plain values; the name of its class for a model."""
    return {f.name: _plain(getattr(method, f.name), shown=f.repr) for f in fields(method)}


def _plain(value: Any, *, shown: bool = True) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple | np.ndarray):
        plain = all(isinstance(item, str | int | float) for item in value) and len(value) <= 32
        return list(value) if plain else f"{len(value)} items"
    if shown and is_dataclass(value):
        return repr(value)
    return getattr(value, "__name__", type(value).__name__)
