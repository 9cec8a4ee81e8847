"""Data influence and label cleaning for any trained model, from its final checkpoint."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gexcore.budget import Budget
    from gexcore.decisions.clean import Cleaned
    from gexcore.decisions.threshold import Suspects
    from gexcore.estimators.arnoldi import Arnoldi
    from gexcore.estimators.gex import GEX
    from gexcore.estimators.gexlin import GEXLin
    from gexcore.estimators.influence_function import IF
    from gexcore.estimators.laplace import Laplace
    from gexcore.estimators.lissa import LiSSA
    from gexcore.estimators.loo import LOO
    from gexcore.estimators.randproj import RandProj
    from gexcore.estimators.selection import LastLayer
    from gexcore.estimators.tracin import TracIn
    from gexcore.estimators.tracin_rp import TracInRP
    from gexcore.influence import Influence
    from gexcore.loss_influence import LossInfluence
    from gexcore.plan import Constant, Cosine, Optimizer
    from gexcore.protocols import Backend, Dataset
    from gexcore.recipe import Factory
    from gexcore.scores import (
        AUM,
        EL2N,
        ConfidentLearning,
        DeepKNN,
        Forgetting,
        GraNd,
        Loss,
        Margin,
        MeanMemberLoss,
        Recorder,
        Scores,
    )
    from gexcore.top import Top

__all__ = [
    "AUM",
    "EL2N",
    "GEX",
    "IF",
    "LOO",
    "Arnoldi",
    "Backend",
    "Budget",
    "Cleaned",
    "ConfidentLearning",
    "Constant",
    "Cosine",
    "Dataset",
    "DeepKNN",
    "Factory",
    "Forgetting",
    "GEXLin",
    "GraNd",
    "Influence",
    "Laplace",
    "LastLayer",
    "LiSSA",
    "Loss",
    "LossInfluence",
    "Margin",
    "MeanMemberLoss",
    "Optimizer",
    "RandProj",
    "Recorder",
    "Scores",
    "Suspects",
    "Top",
    "TracIn",
    "TracInRP",
]

__version__ = "0.1.0"

# names are imported when they are asked for: a program that uses one method does not wait for twenty
_HOMES = {
    "AUM": "gexcore.scores",
    "Arnoldi": "gexcore.estimators.arnoldi",
    "Backend": "gexcore.protocols",
    "Budget": "gexcore.budget",
    "Cleaned": "gexcore.decisions.clean",
    "ConfidentLearning": "gexcore.scores",
    "Constant": "gexcore.plan",
    "Cosine": "gexcore.plan",
    "Dataset": "gexcore.protocols",
    "DeepKNN": "gexcore.scores",
    "EL2N": "gexcore.scores",
    "Factory": "gexcore.recipe",
    "Forgetting": "gexcore.scores",
    "GEX": "gexcore.estimators.gex",
    "GEXLin": "gexcore.estimators.gexlin",
    "GraNd": "gexcore.scores",
    "IF": "gexcore.estimators.influence_function",
    "Influence": "gexcore.influence",
    "LOO": "gexcore.estimators.loo",
    "Laplace": "gexcore.estimators.laplace",
    "LastLayer": "gexcore.estimators.selection",
    "LiSSA": "gexcore.estimators.lissa",
    "Loss": "gexcore.scores",
    "LossInfluence": "gexcore.loss_influence",
    "Margin": "gexcore.scores",
    "MeanMemberLoss": "gexcore.scores",
    "Optimizer": "gexcore.plan",
    "RandProj": "gexcore.estimators.randproj",
    "Recorder": "gexcore.scores",
    "Scores": "gexcore.scores",
    "Suspects": "gexcore.decisions.threshold",
    "Top": "gexcore.top",
    "TracIn": "gexcore.estimators.tracin",
    "TracInRP": "gexcore.estimators.tracin_rp",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gexcore' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
