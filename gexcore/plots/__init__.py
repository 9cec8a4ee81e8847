"""Pictures of scores, for notebooks and papers (extra ``report``).

Each function draws on the given axes, or on a new pyplot figure.
"""

from __future__ import annotations

from gexcore.plots.convergence import plot_convergence
from gexcore.plots.detection import plot_precision_recall, plot_roc
from gexcore.plots.gallery import plot_gallery
from gexcore.plots.histogram import plot_histogram
from gexcore.plots.labels import plot_class_noise, plot_confusion
from gexcore.plots.members import plot_by_members
from gexcore.plots.pruning import plot_pruning_curve
from gexcore.plots.review import plot_precision
from gexcore.plots.top import plot_top

__all__ = [
    "plot_by_members",
    "plot_class_noise",
    "plot_confusion",
    "plot_convergence",
    "plot_gallery",
    "plot_histogram",
    "plot_precision",
    "plot_precision_recall",
    "plot_pruning_curve",
    "plot_roc",
    "plot_top",
]
