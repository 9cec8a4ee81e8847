"""Trainable parameters as one vector, in the order of ``named_parameters``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gexcore.backend.refusals import check_vector
from gexcore_torch.data import from_numpy, full, plain


def ravel(params: Sequence[Tensor]) -> Tensor:
    """One vector of all parameters, shape (p,), on the device of the first."""
    return full(torch.cat([p.reshape(-1).to(params[0].device) for p in params]))


def split(flat: Any, params: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """A vector, shape (p,), as tensors with the shapes, dtypes and devices of the parameters.

    Raises
    ------
    InvalidDataError
        If the shape differs.
    """
    vector = plain(flat) if isinstance(flat, Tensor) else from_numpy(np.asarray(flat))
    sizes = [p.numel() for p in params]
    check_vector(vector.shape, sum(sizes))
    pieces = zip(torch.split(vector, sizes), params, strict=True)
    return tuple(piece.reshape(p.shape).to(p.device, p.dtype) for piece, p in pieces)
