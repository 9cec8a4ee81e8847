"""Runs on disk: what is finished stays finished, whatever happens to the process.

A store is a Zarr group, in a folder or at an fsspec URL, that `xarray.open_zarr` opens, with raw
losses in a row for every snapshot. Beside its arrays stands ``checkpoints/``: a record for each
chain, with the SHA-256 of everything that it refers to, and states as safetensors. Nothing counts
that no record tells of, and a record is written last, in one piece. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from gexcore.ensembles.storage import Identity, Storage, Store

Place = str | os.PathLike[str] | None
"""A folder, an fsspec URL, or nowhere."""


def stored_at(where: Place) -> Store | None:
    """What opens the store of a run there; None for nowhere.

    For errors see `gexcore.store.chains.open_store`.
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
    """See `gexcore.store.merge.merge_stores`."""
    from gexcore.store.merge import merge_stores

    return merge_stores(into, *sources)
