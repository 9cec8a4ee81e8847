"""Scores of labels from a model, its checkpoints, its history, or cross-validation."""

from __future__ import annotations

from gexcore.influence.scores import Scores
from gexcore.scores.aum import AUM
from gexcore.scores.confident import ConfidentLearning
from gexcore.scores.early import EL2N, GraNd
from gexcore.scores.forgetting import Forgetting
from gexcore.scores.joint import confident_joint, confident_thresholds
from gexcore.scores.knn import DeepKNN
from gexcore.scores.losses import Loss, Margin, MeanMemberLoss
from gexcore.scores.quality import label_quality
from gexcore.scores.recorder import Recorder
from gexcore.scores.threshold_class import below_threshold_class, threshold_class

__all__ = [
    "AUM",
    "EL2N",
    "ConfidentLearning",
    "DeepKNN",
    "Forgetting",
    "GraNd",
    "Loss",
    "Margin",
    "MeanMemberLoss",
    "Recorder",
    "Scores",
    "below_threshold_class",
    "confident_joint",
    "confident_thresholds",
    "label_quality",
    "threshold_class",
]
