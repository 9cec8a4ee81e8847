"""Stores in a folder of this machine: nothing is written through a link in it."""

from __future__ import annotations

from pathlib import Path

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from gexcore.backend.files import refuse_links


class LinklessStore(LocalStore):
    """A folder of Zarr that looks for links on the way to a file before each change."""

    async def set(self, key: str, value: Buffer) -> None:
        """Create or replace a file."""
        self._check(key)
        await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Create a file, unless it is there."""
        self._check(key)
        await super().set_if_not_exists(key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """`set`, for callers that do not wait."""
        self._check(key)
        super().set_sync(key, value)

    async def delete(self, key: str) -> None:
        """Remove a file."""
        self._check(key)
        await super().delete(key)

    def delete_sync(self, key: str) -> None:
        """`delete`, for callers that do not wait."""
        self._check(key)
        super().delete_sync(key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove a folder."""
        self._check(prefix)
        await super().delete_dir(prefix)

    def _check(self, key: str) -> None:
        refuse_links(Path(self.root), Path(self.root, key))
