"""What identifies a run: digests of files and of trained parameters."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from gexcore.capabilities import supports
from gexcore.data import to_numpy
from gexcore.protocols import Backend, SupportsParams


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parameters_digest(backend: Backend[Any, Any]) -> str | None:
    """SHA-256 of the trainable parameters θ* and their dtype; None where the backend cannot hand them out."""
    if not supports(backend, SupportsParams):
        return None
    flat = to_numpy(backend.ravel(backend.initial_state()))  # type: ignore[attr-defined]
    return hashlib.sha256(str(flat.dtype).encode() + np.ascontiguousarray(flat).tobytes()).hexdigest()
