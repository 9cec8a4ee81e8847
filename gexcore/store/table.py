"""The arrays of a store: a Zarr group with a row for every snapshot of every chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from gexcore.ensembles.thermostat import Status
from gexcore.errors import InUseError, StoreError, StoreMismatchError
from gexcore.store.folder import zarr_store
from gexcore.store.record import Record, opened, row_digest, sealed

FORMAT = 3
ATTRIBUTE = "gexcore"

STATUSES = ("not run", *get_args(Status))
"""Meanings of the numbers in ``status``."""

COORDINATES = {
    "chain": "int32",
    "snapshot": "int32",
    "status": "int8",
    "lr": "f8",
    "skill": "f8",
    "mean_loss": "f8",
}
TABLES = ("losses", "test_losses")
"""Arrays with a row for each snapshot."""

LARGEST_CHUNK = 2**20


class Rows:
    """Rows of losses, with the coordinates of each row.

    Parameters
    ----------
    where : str
    most : int
        The most snapshots of a chain. Snapshot k of chain c is row c · most + k.
    """

    def __init__(self, where: str, most: int) -> None:
        import zarr
        from zarr.errors import ContainsGroupError

        self.where = where
        self._most = most
        self._arrays: dict[str, Any] = {}
        store = zarr_store(where)
        try:
            self._group = zarr.open_group(store, mode="r+")
        except FileNotFoundError:
            try:
                self._group = zarr.create_group(
                    store, zarr_format=3, attributes={ATTRIBUTE: {"format": FORMAT}}
                )
                self._group.create_group("checkpoints")
            except ContainsGroupError as error:  # at a URL, which has no locks
                raise InUseError(
                    f"another run has begun to write to {where}; wait until it ends, or choose "
                    "another store"
                ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{where}/zarr.json is damaged; put a copy back, or choose another store"
            ) from error
        found = self._described().get("format")
        if isinstance(found, int) and found != FORMAT:
            age, remedy = (
                ("a newer", "update gexcore")
                if found > FORMAT
                else ("an older", "choose another store")
            )
            raise StoreMismatchError(
                f"{where} was written by {age} gexcore (format {found}, and this one reads "
                f"{FORMAT}); {remedy}"
            )

    def fingerprint(self, *, begun: bool) -> Mapping[str, Any] | None:
        """What identifies the run; None in a new store.

        Parameters
        ----------
        begun : bool
            Whether the store has records, and so is not new.

        Raises
        ------
        StoreError
            If a store that has begun does not say of what run, or not what was stored.
        StoreMismatchError
            If gexcore did not make it.
        """
        described = self._described()
        try:
            if described["format"] == FORMAT and "run" in described:
                return opened(json.dumps(described["run"]).encode())
            intact = not begun and described == {"format": FORMAT}
        except (ValueError, KeyError, TypeError):
            intact = False
        if intact:
            return None
        if not begun and ATTRIBUTE not in self._group.attrs:
            raise StoreMismatchError(
                f"{self.where} is a Zarr group that gexcore did not make; choose another store"
            )
        raise StoreError(
            f"{self.where}/zarr.json is damaged; put a copy back, or choose another store"
        )

    def identify(self, fingerprint: Mapping[str, Any]) -> None:
        """Tell what run this is, with a digest."""
        run = json.loads(sealed(dict(fingerprint)))
        self._group.attrs[ATTRIBUTE] = {"format": FORMAT, "run": run}

    def start(self, columns: Mapping[str, NDArray[Any]], chains: int, tests: int | None) -> None:
        """Make the arrays of a new run.

        Parameters
        ----------
        columns : mapping of arrays, shape (samples,)
            Columns, such as ``base_losses``.
        """
        base = columns["base_losses"]
        for name, column in columns.items():
            self._create(name, column.shape, column.dtype, ("sample",))[:] = column
        self._create("losses", (chains * self._most, len(base)), base.dtype, ("member", "sample"))
        if tests is not None:
            self._create(
                "test_losses", (chains * self._most, tests), base.dtype, ("member", "test")
            )
        for name, dtype in COORDINATES.items():
            self._create(name, (chains * self._most,), np.dtype(dtype), ("member",))
        self._group["status"].attrs.update(
            {
                "flag_values": list(range(len(STATUSES))),
                "flag_meanings": " ".join(s.replace(" ", "_") for s in STATUSES),
            }
        )

    def extend(self, chains: int) -> None:
        """Make room for this many chains."""
        rows = chains * self._most
        for name in ("losses", *(["test_losses"] if self.tests is not None else []), *COORDINATES):
            array = self._array(name)
            if array.shape[0] < rows:
                array.resize((rows, *array.shape[1:]))

    @property
    def tests(self) -> int | None:
        """Number of test samples, or None."""
        try:
            found = "test_losses" in self._group
        except ValueError:  # the metadata are damaged
            found = True
        return int(self._array("test_losses").shape[1]) if found else None

    def column(self, name: str, digest: str) -> NDArray[Any]:
        """One of the columns of `start`, checked."""
        return self._checked(name, ..., digest, f"its array {name}", "choose another store")

    def write(self, name: str, chain: int, number: int, row: NDArray[Any]) -> str:
        """Store a row of ``losses`` or ``test_losses``, and return its SHA-256."""
        self._array(name)[chain * self._most + number] = row
        return row_digest(row)

    def read(self, name: str, chain: int, number: int, digest: str) -> NDArray[Any]:
        """A stored row.

        Raises
        ------
        StoreError
            If the row differs from what was stored.
        """
        what = f"row {chain * self._most + number} of {name} (snapshot {number} of chain {chain})"
        remedy = f"delete {self.where}/checkpoints/chain-{chain:04}.json to run that chain again"
        return self._checked(name, chain * self._most + number, digest, what, remedy)

    def describe(self, record: Record) -> None:
        """Fill in the coordinates of a chain's rows."""
        rows = slice(record.chain * self._most, record.chain * self._most + len(record.snapshots))
        values = {
            "chain": [s.chain for s in record.snapshots],
            "snapshot": [s.number for s in record.snapshots],
            "status": [STATUSES.index(s.status) for s in record.snapshots],
            "lr": [s.lr for s in record.snapshots],
            "skill": [s.skill for s in record.snapshots],
            "mean_loss": [s.mean_loss for s in record.snapshots],
        }
        for name, column in values.items():
            self._array(name)[rows] = np.asarray(column, COORDINATES[name])

    def _described(self) -> dict[str, Any]:
        found = self._group.attrs.get(ATTRIBUTE)
        return dict(found) if isinstance(found, Mapping) else {}

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            try:
                self._arrays[name] = self._intact(name)
            except (ValueError, KeyError, TypeError) as error:
                msg = (
                    f"{self.where} is damaged: its array {name} cannot be opened; put a copy "
                    "back, or choose another store"
                )
                raise StoreError(msg) from error
        return self._arrays[name]

    def _intact(self, name: str) -> Any:
        """The array of this name, if it has the form that this class gave it."""
        import zarr

        array = self._group[name]
        rows = name in COORDINATES or name in TABLES
        if (
            not isinstance(array, zarr.Array)
            or array.ndim != (2 if name in TABLES else 1)
            or (rows and (not array.shape[0] or array.shape[0] % self._most))
            or (name in COORDINATES and array.dtype != np.dtype(COORDINATES[name]))
        ):
            raise ValueError
        return array

    def _create(
        self, name: str, shape: tuple[int, ...], dtype: Any, dimensions: tuple[str, ...]
    ) -> Any:
        from zarr.codecs import Crc32cCodec

        # at a URL another run may just read an array of the same run: it must not be gone meanwhile
        with suppress(ValueError, KeyError, TypeError):
            array = self._intact(name)
            if (array.shape, array.dtype) == (shape, np.dtype(dtype)):
                self._arrays[name] = array
                return array
        coordinate = name in COORDINATES
        chunks = (
            (self._most,)
            if coordinate
            else (*([1] * (len(shape) - 1)), min(shape[-1], LARGEST_CHUNK))
        )
        self._arrays[name] = self._group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            filters=None,
            compressors=[Crc32cCodec()],  # other readers then also notice damage
            fill_value=np.nan if np.dtype(dtype).kind == "f" else 0,
            dimension_names=dimensions,
            overwrite=True,
        )
        return self._arrays[name]

    def _checked(self, name: str, key: Any, digest: str, what: str, remedy: str) -> NDArray[Any]:
        try:
            row = np.asarray(self._array(name)[key])
            intact = row_digest(row) == digest
        except (
            ValueError,
            KeyError,
            TypeError,
        ):  # the checksum of the chunk fails, or the metadata do
            intact = False
        if not intact:
            raise StoreError(
                f"{self.where} is damaged: {what} is not what was stored; put a copy back, "
                f"or {remedy}"
            )
        return row
