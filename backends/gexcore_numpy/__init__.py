"""The NumPy backend: hand-derived perceptrons, the oracle of gexcore's tests."""

from __future__ import annotations

from gexcore_numpy.backend import NumpyBackend
from gexcore_numpy.models import MLP, BatchNorm

__all__ = ["MLP", "BatchNorm", "NumpyBackend"]
