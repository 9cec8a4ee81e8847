"""Digests of files, of arrays and of trained parameters, which identify a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gexcore.backend.capabilities import supports
from gexcore.backend.data import to_numpy
from gexcore.backend.protocols import Backend, SupportsParams, SupportsSerialization


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parameters_digest(backend: Backend[Any, Any]) -> str | None:
    """SHA-256 of the trainable parameters θ* and their dtype; None without `SupportsParams`."""
    state = backend.initial_state()
    if supports(backend, SupportsParams):
        flat = to_numpy(backend.ravel(state))
        return hashlib.sha256(
            str(flat.dtype).encode() + np.ascontiguousarray(flat).tobytes()
        ).hexdigest()
    if supports(backend, SupportsSerialization):
        return columns_digest(backend.to_arrays(state))
    return None


def columns_digest(columns: Mapping[Any, Any]) -> str:
    """SHA-256 of named arrays of numbers: names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name, column in columns.items():
        array = np.ascontiguousarray(to_numpy(column))
        digest.update(f"{name} {array.dtype.str} {np.shape(column)}".encode())
        digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()
