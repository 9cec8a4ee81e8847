"""The rows of the paper's tables as calls of gexcore's registered methods.

A row names a method of `gexcore.cli.catalogue` and a way to use it; nothing is scored here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gexcore as gx
from bench.paper.recipes import Setting
from gexcore.cli.catalogue import METHODS, by_name
from gexcore.decisions.metrics import auc, average_precision

EARLY_RUNS = 5
FOLDS = 2


@dataclass(frozen=True)
class Switches:
    """Where the paper's public code departs from the paper.

    Parameters
    ----------
    public_code : bool
        Every method that has such a setting takes that of the public code.
    floor : float
        Lower bound of the loss at θ* in deviations; .05 in the public code.
    chained : int
        Members of each chain; 4 in the public code on eight GPUs, 32 on one, 1 in the paper.
    """

    public_code: bool = False
    floor: float = 0.0
    chained: int = 1

    @property
    def told(self) -> str:
        """The switches that are set, for rows; empty where none is."""
        set_ = {
            "public code": self.public_code, f"floor {self.floor:g}": self.floor,
            f"chained {self.chained}": self.chained != 1,
        }  # fmt: skip
        return ", ".join(name for name, value in set_.items() if value)


Settings = Callable[[Setting, int, Switches], Mapping[str, Any]]
"""From the training, the number of samples and the switches to a method's settings."""


@dataclass(frozen=True)
class Detector:
    """One row.

    Parameters
    ----------
    row : str
        As the paper's tables name it; ours in the library's words.
    method, takes : str
        Of the registry: the class, and what it takes of the training.
    settings : callable
    view : {"suspicion", "self_influence"}
        Which score counts, where there are two.
    seeded : bool
        Whether the method has a seed.
    """

    row: str
    method: str
    takes: str = ""
    settings: Settings = field(default=lambda setting, n, switches: {})
    view: str = "suspicion"
    seeded: bool = False

    def make(self, left: Any, setting: Setting, switches: Switches, seed: int) -> Any:
        """The estimator for a training `left` behind (a `bench.paper.problem.Problem`)."""
        settings = dict(self.settings(setting, left.samples, switches))
        if self.takes == "recorder":
            settings["recorder"] = left.early_recorders if self.method == "EL2N" else left.recorder
        elif self.takes == "checkpoints":
            settings["checkpoints"] = left.checkpoints
        elif self.takes == "train":
            settings["train"] = left.retrain
        if self.seeded:
            settings["seed"] = seed
        cls = self.registered.cls
        public = switches.public_code and hasattr(cls, "public_code") and self.method != "GEX"
        return cls.public_code(**settings) if public else cls(**settings)

    @property
    def registered(self) -> Any:
        """The method of the registry."""
        found = by_name(self.method)
        if found is None:
            raise KeyError(self.method)
        return found


def ensemble(setting: Setting, n: int, switches: Switches, members: int | None = None) -> Any:
    """The paper's geometric ensemble, as settings of `gexcore.Geometric`."""
    steps, count = setting.steps_of_member(n), members or setting.members
    depth = 4 if switches.public_code else switches.chained
    return {
        "chains": -(-count // depth), "snapshots": depth, "lr": gx.Cosine(setting.member_lr, steps),
        "steps_per_snapshot": steps, "weight_decay": 5e-4 if setting.optimizer == "sgd" else 0.0,
        "batch_size": min(setting.batch_size, n), "scoring": "evaluated",
    }  # fmt: skip


def paper_gex(setting: Setting, n: int, switches: Switches) -> Mapping[str, Any]:
    floor = 0.05 if switches.public_code else switches.floor
    own = {"ensemble": None, "weights": "mean", "ceiling": None, "floor": floor}
    return {**ensemble(setting, n, switches), **own}


def members_of_ge(setting: Setting, n: int, switches: Switches) -> Mapping[str, Any]:
    made = gx.Geometric(**ensemble(setting, n, switches))
    return {"ensemble": made, "directions": setting.directions}


PAPER = (
    Detector("Deep-KNN", "DeepKNN", "checkpoints", lambda s, n, w: {"k": max(5, n // 10)}),
    Detector("CL", "ConfidentLearning", "train", lambda s, n, w: {"folds": FOLDS}, seeded=True),
    Detector("F-score", "Forgetting", "recorder"),
    Detector("EL2N", "EL2N", "recorder", lambda s, n, w: {"epoch": s.early}),
    Detector("RandProj", "RandProj", "", lambda s, n, w: {"directions": s.directions},
             "self_influence", seeded=True),
    Detector("TracIn", "TracIn", "checkpoints", view="self_influence"),
    Detector("TracInRP", "TracInRP", "checkpoints", lambda s, n, w: {"directions": s.directions},
             "self_influence", seeded=True),
    Detector("Arnoldi", "Arnoldi", "",
             lambda s, n, w: {"iterations": s.iterations, "rank": s.rank, "samples": s.hessian},
             "self_influence", seeded=True),
    Detector("GEX-lin", "GEXLin", "", ensemble, "self_influence", seeded=True),
    Detector("GEX", "GEX", "", paper_gex, "self_influence", seeded=True),
    Detector("LA", "Laplace", "", lambda s, n, w: {"samples": s.draws}, "self_influence",
             seeded=True),
)  # fmt: skip
OURS = (
    Detector("GEX(), our default", "GEX", seeded=True),
    Detector("Loss()", "Loss"),
    Detector("MeanMemberLoss(checkpoints)", "MeanMemberLoss", "checkpoints"),
)
WITH_GE = Detector("TracInRP with GE", "TracInRP", "ensemble", members_of_ge, "self_influence",
                   seeded=True)  # fmt: skip
DETECTORS = {found.row: found for found in (*PAPER, *OURS, WITH_GE)}
LAST = "GEX(), our default decision"
"""The row of our own threshold and new labels, after those of the detectors."""
POST_HOC = ("RandProj", "TracInRP", "Arnoldi", "GEX")
"""Table 13's rows."""
CHEAP = {"checkpoints", "recorder", "train", ""}


def chosen(names: str, rows: tuple[Detector, ...] = (*PAPER, *OURS)) -> list[Detector]:
    """The detectors that were asked for: rows of the paper, or any registered method by its call.

    A row of the paper that this exhibit does not have is left out.

    Raises
    ------
    SystemExit
        For a name that is neither.
    """
    if not names:
        return list(rows)
    own = {d.row: d for d in rows}
    known = {**DETECTORS, **registered(), **own}
    wanted, rest = [], names.strip()
    while rest:
        fits = [name for name in known if f"{rest},".startswith(f"{name},")]
        if not fits:
            told = ", ".join(known)
            raise SystemExit(f"no method named {rest.partition(',')[0]!r}; choose of {told}")
        wanted.append(max(fits, key=len))  # a name may hold commas
        rest = rest[len(wanted[-1]) + 1 :].strip()
    return [known[name] for name in wanted if name in own or name not in DETECTORS]


def registered() -> dict[str, Detector]:
    """Every way of every registered method that a training can serve, with its defaults."""
    return {
        method.label(way): Detector(
            method.label(way), method.name, way.takes, lambda s, n, w, way=way: dict(way.settings)
        )
        for method in METHODS
        for way in method.ways
        if way.takes in CHEAP
    }  # fmt: skip


def judged(scores: Any, wrong: Any) -> dict[str, float]:
    """AUC and AP in percent, as the paper prints them."""
    return {"auc": 100 * auc(scores, wrong), "ap": 100 * average_precision(scores, wrong)}
