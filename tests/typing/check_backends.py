"""Never run: mypy proves here that what we ship keeps the contract, and that results are typed."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from gexcore.backend.protocols import (
    SupportsDonation,
    SupportsHvp,
    SupportsJvp,
    SupportsLogits,
    SupportsParams,
)
from gexcore_jax.backend import JaxBackend
from gexcore_numpy.backend import NumpyBackend, NumpyState
from gexcore_sklearn.backend import SklearnBackend
from gexcore_tensorflow.backend import TensorFlowBackend
from gexcore_torch.backend import TorchBackend
from gexcore_torch.state import TorchState


def backends(
    numpy: NumpyBackend,
    torch: TorchBackend,
    jax: JaxBackend,
    tensorflow: TensorFlowBackend,
    sklearn: SklearnBackend,
) -> list[gx.Backend[Any, Any]]:
    exact: gx.Backend[NumpyState, Any] = numpy
    placed: gx.Backend[TorchState, Any] = torch
    return [exact, placed, jax, tensorflow, sklearn]


def capabilities(numpy: NumpyBackend, torch: TorchBackend) -> None:
    donated: list[SupportsDonation[Any, Any]] = [numpy, torch]
    derivatives: list[SupportsJvp[Any, Any]] = [numpy, torch]
    products: list[SupportsHvp[Any, Any]] = [numpy, torch]
    scores: list[SupportsLogits[Any, Any]] = [numpy, torch]
    vectors: list[SupportsParams[Any]] = [numpy, torch]
    assert all([donated, derivatives, products, scores, vectors])


def results(influence: gx.LossInfluence) -> None:
    assert_type(influence.suspicion(), NDArray[np.float64])
    assert_type(influence.self_influence(), NDArray[np.float64])
    assert_type(influence.influence(), NDArray[np.float64])
    assert_type(influence.suspects(), gx.Suspects)
    assert_type(influence.top(3), gx.Top)


def settings() -> gx.GEX:
    gx.GEX(lr="high")  # type: ignore[arg-type]
    gx.GEX(scoring="sometimes")  # type: ignore[arg-type]
    return gx.GEX(chains=2, lr=gx.Cosine(0.05, steps=100), optimizer="adamw")
