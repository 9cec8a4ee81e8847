"""Theory: the claims of the paper's propositions, measured on models, scores and distributions."""

from __future__ import annotations

from gexcore.theory.chi_squared import GeneralizedChiSquared
from gexcore.theory.curvature import Curvature, curvature
from gexcore.theory.normality import Normality, normality, projected_gradients
from gexcore.theory.unimodality import Unimodality, dip, unimodality

__all__ = [
    "Curvature",
    "GeneralizedChiSquared",
    "Normality",
    "Unimodality",
    "curvature",
    "dip",
    "normality",
    "projected_gradients",
    "unimodality",
]
