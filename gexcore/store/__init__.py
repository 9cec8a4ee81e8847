"""Runs on disk: what is finished stays finished, whatever happens to the process.

A store is a Zarr group, in a folder or at an fsspec URL, that `xarray.open_zarr` opens, with raw
losses in a row for every snapshot. Beside its arrays stands ``checkpoints/``: a record for each
chain, with the SHA-256 of everything that it refers to, and states as safetensors. Nothing counts
that no record tells of, and a record is written last, in one piece. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gexcore.backend.protocols import Backend
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.storage import NotStored, Storage

Place = str | os.PathLike[str] | None
"""A folder, an fsspec URL, or nowhere."""


@contextmanager
def storage_of(
    where: Place,
    plan: Plan,
    fingerprint: Callable[[], dict[str, Any]],
    backend: Backend[Any, Any],
    keep: int,
) -> Iterator[Storage]:
    """The store of a run; of no place, one that forgets everything.

    For errors see `gexcore.store.chains.open_store`.
    """
    if where is None:
        yield NotStored()
        return
    # Zarr takes longer to import than all the rest of gexcore
    from gexcore.store.chains import open_store

    with open_store(where, plan, fingerprint(), backend, keep) as store:
        yield store


def merge_stores(into: str | os.PathLike[str], *sources: str | os.PathLike[str]) -> list[int]:
    """See `gexcore.store.merge.merge_stores`."""
    from gexcore.store.merge import merge_stores

    return merge_stores(into, *sources)
