"""The members of all chains, gathered into tables and kept states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Backend
from gexcore.deviations.table import LossTable
from gexcore.ensembles.chain import ChainResult
from gexcore.ensembles.members import Members
from gexcore.evaluation.statistics import Refresher


def loss_table(results: list[ChainResult], base: NDArray[Any]) -> LossTable:
    """The members of all chains in one table; `base` are the losses of θ*."""
    return _stack([row for result in results for row in result.losses], base, results)


def loss_table_on_test(results: list[ChainResult], base: NDArray[Any]) -> LossTable:
    """The members of all chains in one table of test losses."""
    return _stack([row for result in results for row in result.test_losses], base, results)


def kept_members(
    results: list[ChainResult], backend: Backend[Any, Any], refresh: Refresher, *, batch_size: int
) -> Members:
    """The states that the chains kept, each with its row in the loss table."""
    starts = np.cumsum([0, *(len(result.losses) for result in results)])
    kept = [
        (start + row, result.chain, state)
        for start, result in zip(starts, results, strict=False)
        for row, state in result.kept
    ]
    rows, chains = (np.array([k[i] for k in kept], dtype=np.intp) for i in (0, 1))
    return Members(backend, refresh, batch_size, rows, chains, [state for _, _, state in kept])


def _stack(rows: list[NDArray[Any]], base: NDArray[Any], results: list[ChainResult]) -> LossTable:
    losses = np.stack(rows) if rows else np.empty((0, len(base)), base.dtype)
    chains = [result.chain for result in results for _ in result.losses]
    return LossTable(losses, base, np.array(chains, dtype=np.intp))
