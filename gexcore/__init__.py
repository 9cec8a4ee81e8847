"""Data influence and label cleaning for any trained model, from its final checkpoint."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gexcore._version import __version__ as __version__

if TYPE_CHECKING:
    from gexcore.backend.optimizer import Optimizer
    from gexcore.backend.protocols import Backend, Dataset
    from gexcore.decisions.clean import Cleaned
    from gexcore.decisions.threshold import Suspects
    from gexcore.deviations.ranking import Top
    from gexcore.ensembles.anchored import Anchored
    from gexcore.ensembles.budget import Budget
    from gexcore.ensembles.ensemble import Geometric
    from gexcore.ensembles.plan import Constant, Cosine
    from gexcore.ensembles.relearning import Relearning
    from gexcore.estimators.arnoldi import Arnoldi
    from gexcore.estimators.gex import GEX
    from gexcore.estimators.gexlin import GEXLin
    from gexcore.estimators.gexridge import GEXRidge
    from gexcore.estimators.influence_function import IF
    from gexcore.estimators.laplace import Laplace
    from gexcore.estimators.last_layer import LastLayer
    from gexcore.estimators.lissa import LiSSA
    from gexcore.estimators.loo import LOO
    from gexcore.estimators.randproj import RandProj
    from gexcore.estimators.tracin import TracIn
    from gexcore.estimators.tracin_rp import TracInRP
    from gexcore.evaluation.recipe import Factory
    from gexcore.influence.influence import Influence
    from gexcore.influence.loss_influence import LossInfluence
    from gexcore.influence.saved import Saved, load
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

__all__ = [
    "AUM",
    "EL2N",
    "GEX",
    "IF",
    "LOO",
    "Anchored",
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
    "GEXRidge",
    "Geometric",
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
    "Relearning",
    "Saved",
    "Scores",
    "Suspects",
    "Top",
    "TracIn",
    "TracInRP",
    "load",
]

# names are imported when they are asked for: a program that uses one method does not wait for
# twenty
_HOMES = {
    "AUM": "gexcore.scores",
    "Anchored": "gexcore.ensembles.anchored",
    "Arnoldi": "gexcore.estimators.arnoldi",
    "Backend": "gexcore.backend.protocols",
    "Budget": "gexcore.ensembles.budget",
    "Cleaned": "gexcore.decisions.clean",
    "ConfidentLearning": "gexcore.scores",
    "Constant": "gexcore.ensembles.plan",
    "Cosine": "gexcore.ensembles.plan",
    "Dataset": "gexcore.backend.protocols",
    "DeepKNN": "gexcore.scores",
    "EL2N": "gexcore.scores",
    "Factory": "gexcore.evaluation.recipe",
    "Forgetting": "gexcore.scores",
    "GEX": "gexcore.estimators.gex",
    "GEXLin": "gexcore.estimators.gexlin",
    "GEXRidge": "gexcore.estimators.gexridge",
    "Geometric": "gexcore.ensembles.ensemble",
    "GraNd": "gexcore.scores",
    "IF": "gexcore.estimators.influence_function",
    "Influence": "gexcore.influence.influence",
    "LOO": "gexcore.estimators.loo",
    "Laplace": "gexcore.estimators.laplace",
    "LastLayer": "gexcore.estimators.last_layer",
    "LiSSA": "gexcore.estimators.lissa",
    "Loss": "gexcore.scores",
    "LossInfluence": "gexcore.influence.loss_influence",
    "Margin": "gexcore.scores",
    "MeanMemberLoss": "gexcore.scores",
    "Optimizer": "gexcore.backend.optimizer",
    "RandProj": "gexcore.estimators.randproj",
    "Recorder": "gexcore.scores",
    "Relearning": "gexcore.ensembles.relearning",
    "Saved": "gexcore.influence.saved",
    "Scores": "gexcore.scores",
    "Suspects": "gexcore.decisions.threshold",
    "Top": "gexcore.deviations.ranking",
    "TracIn": "gexcore.estimators.tracin",
    "TracInRP": "gexcore.estimators.tracin_rp",
    "load": "gexcore.influence.saved",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gexcore' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
