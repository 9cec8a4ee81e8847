"""Stores: runs on disk, whose finished parts survive the end of the process.

A store is a Zarr group in a folder or at an fsspec URL. `xarray.open_zarr` opens it. Its arrays
hold a row of raw losses for every snapshot. The folder ``checkpoints/`` holds a record for each
chain and states as safetensors. A record contains the SHA-256 of all that it refers to. It is
written last, in one piece. Data without a record do not count. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from gexcore.ensembles.storage import Identity, Storage, Store

Place = str | os.PathLike[str] | None
"""A folder, an fsspec URL, or nowhere."""


def stored_at(where: Place) -> Store | None:
    """A function that opens the store of a run at a place; None without a place.

    Errors are the same as for `gexcore.store.chains.open_store`.
    """
    if where is None:
        return None

    @contextmanager
    def opens(run: Identity) -> Iterator[Storage]:
        # Zarr takes longer to import than all the rest of gexcore
        from gexcore.store.chains import open_store
        from gexcore.store.fingerprint import run_fingerprint

        backend = run.opened.backend
        with open_store(where, run.plan, run_fingerprint(run), backend, run.keep) as store:
            yield store

    return opens


def merge_stores(into: str | os.PathLike[str], *sources: str | os.PathLike[str]) -> list[int]:
    """Merge stores by `gexcore.store.merge.merge_stores`."""
    from gexcore.store.merge import merge_stores

    return merge_stores(into, *sources)
