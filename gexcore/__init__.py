"""Data influence and label cleaning for any trained model, from its final checkpoint."""

from __future__ import annotations

from gexcore.decisions.clean import Cleaned
from gexcore.decisions.threshold import Suspects
from gexcore.estimators.gex import GEX
from gexcore.influence import Influence
from gexcore.plan import Constant, Cosine, Optimizer
from gexcore.protocols import Backend, Dataset
from gexcore.top import Top

__all__ = ["GEX", "Backend", "Cleaned", "Constant", "Cosine", "Dataset", "Influence", "Optimizer", "Suspects", "Top"]

__version__ = "0.1.0"
