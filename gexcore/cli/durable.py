"""Resuming of `gexcore score` after a stop."""

from __future__ import annotations

import importlib.util
import inspect
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import SupportsSerialization
from gexcore.backend.registry import default_registry
from gexcore.cli.output import begin
from gexcore.errors import AllMembersDivergedError, InUseError
from gexcore.report.finished import RUN

STORE = "store"
NEEDED = ("fsspec", "safetensors", "zarr")


def is_durable(method: Any, model: Any, backend: str | None, loss: str | None) -> bool:
    """Whether the run can be resumed.

    A run needs chains, a budget that is not in seconds, states that can be serialised, and
    ``gexcore[store]``.
    """
    if "store" not in inspect.signature(method.fit).parameters or getattr(
        method.budget, "seconds", None
    ):
        return False
    if not all(importlib.util.find_spec(name) for name in NEEDED):
        return False
    engine = default_registry().create(model, backend=backend, loss=loss)
    return supports(engine, SupportsSerialization)


@contextmanager
def stored_in(out: Path, command: Any, *, durable: bool) -> Iterator[dict[str, Any]]:
    """The argument ``store`` of a fit, or none.

    A failed run without stored chains leaves no store.
    The caller holds the lock of the folder (`gexcore.cli.output.only_writer`).
    """
    if not durable:
        yield {}
        return
    begin(out, command)
    try:
        yield {"store": out / STORE}
    except InUseError:  # the store is another's
        raise
    except Exception as error:
        if isinstance(error, AllMembersDivergedError) or not list(
            (out / STORE / "checkpoints").glob("chain-*")
        ):
            (out / RUN).unlink(missing_ok=True)
            shutil.rmtree(out / STORE, ignore_errors=True)
        raise
