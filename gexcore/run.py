"""The record of a run: what was asked, what was chosen, what it cost."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gexcore.ensembles.control import Status
from gexcore.ensembles.geometric import Snapshot
from gexcore.passes import Passes
from gexcore.plan import Plan

REPORTED = ("gexcore", "numpy", "torch", "jax", "tensorflow", "scikit-learn")


@dataclass(frozen=True)
class Run:
    """What `run.json` says.

    Parameters
    ----------
    method : str
        Name of the estimator.
    settings : mapping
        As the user gave them.
    plan : Plan
        With every "auto" settled.
    backend : str
    samples : int
    classes : int or None
    snapshots : tuple of Snapshot
        Every point of every chain: learning rate, skill, and whether it is a member.
    passes : Passes
    seconds : float
        Wall time of the fit.
    """

    method: str
    settings: Mapping[str, Any]
    plan: Plan
    backend: str
    samples: int
    classes: int | None
    snapshots: tuple[Snapshot, ...]
    passes: Passes
    seconds: float

    def count(self) -> dict[Status, int]:
        """Number of snapshots of each status."""
        found = Counter(snapshot.status for snapshot in self.snapshots)
        return {status: found[status] for status in ("member", "cold", "melted", "diverged")}

    def members(self) -> list[Snapshot]:
        """The snapshots that are members, in the order of the loss table's rows."""
        return [snapshot for snapshot in self.snapshots if snapshot.status == "member"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        members = self.members()
        return {
            "method": self.method,
            "settings": dict(self.settings),
            "plan": asdict(self.plan),
            "backend": self.backend,
            "samples": self.samples,
            "classes": self.classes,
            "snapshots": {**self.count(), "all": [snapshot._asdict() for snapshot in self.snapshots]},
            "learning_rates": [min(s.lr for s in members), max(s.lr for s in members)] if members else [],
            "passes": {
                "forward": self.passes.forward,
                "step": self.passes.step,
                "epochs": round(self.passes.epochs(self.samples), 3),
            },
            "seconds": round(self.seconds, 3),
            "versions": {"python": platform.python_version(), **_versions()},
        }


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in REPORTED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
