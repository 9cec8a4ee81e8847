"""Chains in a store: known chains are read, and new ones are written."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.capabilities import supports
from gexcore.backend.protocols import Backend, SupportsSerialization
from gexcore.ensembles.chain import ChainResult, Position
from gexcore.ensembles.execution import check_portable
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.storage import Found
from gexcore.errors import StoreError
from gexcore.evaluation.first_look import FirstLook
from gexcore.store.fingerprint import check_same, mismatch, tell_unread
from gexcore.store.folder import (
    Folder,
    check_place,
    folder_at,
    in_one_sentence,
    place_of,
    zarr_store,
)
from gexcore.store.lock import only_writer
from gexcore.store.record import (
    Record,
    chains_in,
    decoded,
    digest_of,
    kept_file,
    name_of,
    opened,
    row_digest,
    sealed,
)
from gexcore.store.table import Rows

SHARE = 0.05
"""The largest share of the time for storing incomplete chains."""

BASE = "base.json"
SEARCH = "search.json"
CLOSE = 1e-3
"""The largest relative difference of losses at θ* between runs: devices round differently."""


class ChainStore:
    """An open store of one run, from `open_store`."""

    def __init__(
        self,
        where: str,
        folder: Folder,
        table: Rows,
        check: Callable[[], None],
        plan: Plan,
        backend: Any,
    ) -> None:
        self._where = where
        self._folder = folder
        self._table = table
        self._check = check
        self._plan = plan
        self._records: dict[int, Record] = {}
        self._backend = backend
        self._portable = supports(backend, SupportsSerialization)
        self._next = 0.0

    def base(
        self, measure: Callable[[], NDArray[Any]], seen: FirstLook, tests: int | None
    ) -> NDArray[Any]:
        """The stored losses of θ* by the scorer of the run. The first run measures them.

        Parameters
        ----------
        measure : callable
        seen : FirstLook
            Present losses at θ* in evaluation mode, and labels.
        tests : int or None
            Number of test samples on which members are scored during the run.
        """
        with in_one_sentence(self._where), _unless_overtaken(self._check):
            content = self._folder.read(BASE)
        if content is None:
            measured = measure()
            labels = {} if seen.labels is None else {"label": seen.labels.astype(np.int64)}
            values = {"base_losses": measured, "checkpoint_losses": seen.losses, **labels}
            with in_one_sentence(self._where), _unless_overtaken(self._check):
                self._check()
                self._table.start(values, self._plan.numbers.stop, tests)
                self._folder.write(
                    BASE, sealed({name: row_digest(column) for name, column in values.items()})
                )
            return measured
        with in_one_sentence(self._where), _unless_overtaken(self._check):
            try:
                digests = opened(content)
                base, before = (
                    self._table.column(n, digests[n]) for n in ("base_losses", "checkpoint_losses")
                )
            except (ValueError, KeyError, TypeError) as error:
                msg = (
                    f"{self._where}/checkpoints/{BASE} is damaged; put a copy back, or choose "
                    "another store"
                )
                raise StoreError(msg) from error
            if before.shape != seen.losses.shape or not np.allclose(
                before, seen.losses, rtol=CLOSE, atol=CLOSE
            ):
                raise mismatch(self._where, ["losses at θ*"])
            self._table.extend(self._plan.numbers.stop)
            return base

    def found(self, search: Callable[[], Found]) -> Found:
        """The findings of a search, as they were stored; searched where they are not."""
        with in_one_sentence(self._where):
            content = self._folder.read(SEARCH)
        if content is not None:
            return findings(content, self._where)
        found = search()
        with in_one_sentence(self._where):
            self._check()
            self._folder.write(SEARCH, sealed(found._asdict()))
        return found

    def position(self, chain: int) -> Position | None:
        """The position of a chain. None if it has not begun.

        Raises
        ------
        StoreError
            If any content differs from what was stored.
        """
        with in_one_sentence(self._where), _unless_overtaken(self._check):
            content = self._folder.read(name_of(chain))
            if content is None:
                return None
            record = self._records[chain] = decoded(content, chain, self._where)
            losses, test_losses = (
                [
                    self._table.read(name, chain, n, d)
                    for n, d in zip(record.members, digests, strict=False)
                ]
                for name, digests in (
                    ("losses", record.losses),
                    ("test_losses", record.test_losses),
                )
            )
            kept = [
                (row, self._state(kept_file(chain, row), digest, chain))
                for row, digest in sorted(record.kept.items())
            ]
            state = self._state(record.state_file, record.state, chain) if record.state else None
            result = ChainResult(chain, losses, test_losses, kept, record.snapshots)
            return Position(result, state, complete=record.state is None)

    def save(self, position: Position) -> None:
        """Store the position of a chain, if it is complete or enough time has passed."""
        waits = position.within or not self._portable or time.monotonic() < self._next
        if waits and not position.complete:
            return
        started = time.monotonic()
        with in_one_sentence(self._where), _unless_overtaken(self._check):
            self._check()
            self._commit(position.result, None if position.complete else position.state)
        self._next = time.monotonic() + (time.monotonic() - started) / SHARE

    def _commit(self, result: ChainResult, state: Any) -> None:
        chain = result.chain
        before = self._records.get(chain, Record(chain))
        record = Record(chain, [*result.snapshots], [*before.losses], [*before.test_losses])
        for name, rows, digests in (
            ("losses", result.losses, record.losses),
            ("test_losses", result.test_losses, record.test_losses),
        ):
            for row, number in list(zip(rows, record.members, strict=False))[len(digests) :]:
                digests.append(self._table.write(name, chain, number, row))
        for place, kept in result.kept:
            known = before.kept.get(place)
            record.kept[place] = known or self._write(
                kept_file(chain, place), self._backend.restart(kept)
            )
        if state is None:
            self._table.describe(record)
        else:
            record = Record(**{**vars(record), "state": self._write(record.state_file, state)})
        self._folder.write(name_of(chain), record.encoded())
        self._records[chain] = record
        for name in before.files() - record.files():
            self._folder.delete(name)

    def _write(self, name: str, state: Any) -> str:
        from safetensors.numpy import save

        content = save(
            {key: np.asarray(a, order="C") for key, a in self._backend.to_arrays(state).items()}
        )
        self._folder.write(name, content)
        return digest_of(content)

    def _state(self, name: str, digest: str, chain: int) -> Any:
        from safetensors.numpy import load

        content = self._folder.read(name)
        if content is None or digest_of(content) != digest:
            msg = (
                f"{self._where} is damaged: checkpoints/{name} is not what was stored; put a copy "
                f"back, or delete {self._where}/checkpoints/{name_of(chain)} to run that chain "
                "again"
            )
            raise StoreError(msg)
        return self._backend.from_arrays(load(content))


def findings(content: bytes, where: str) -> Found:
    """The findings of a search that were stored.

    Raises
    ------
    StoreError
        Where they are not what was stored.
    """
    try:
        return Found(**opened(content))
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{where}/checkpoints/{SEARCH} is damaged; put a copy back, or choose another store"
        raise StoreError(msg) from error


@contextlib.contextmanager
def open_store(
    where: str | os.PathLike[str],
    plan: Plan,
    fingerprint: Mapping[str, Any],
    backend: Backend[Any, Any],
    keep: int,
) -> Iterator[ChainStore]:
    """The store of this run, new or begun, for one writer.

    Raises
    ------
    MissingCapabilityError
        If states are to be kept and the backend cannot store them.
    MissingExtraError
    StoreError
        If the store cannot be written, is damaged, or another process writes to it.
    StoreMismatchError
        If the place holds another run, other files, or a newer format.
    """
    place = place_of(where)
    check_portable(backend, keep, by="store=")
    with in_one_sentence(place):
        zarr_store(place)
        check_place(place)
        folder = folder_at(place)
    with contextlib.ExitStack() as stack:
        with in_one_sentence(place):
            check = stack.enter_context(only_writer(place, folder))
            fingerprint = json.loads(json.dumps(fingerprint))
            with _unless_overtaken(check):
                table = Rows(place, plan.most_snapshots)
                before = table.fingerprint(begun=has_begun(folder))
                if before is None:
                    table.identify(fingerprint)
        if before is not None:
            check_same(place, before, fingerprint)
            if has_begun(folder):
                tell_unread(place, fingerprint["not compared"])
        yield ChainStore(place, folder, table, check, plan, backend)


@contextlib.contextmanager
def _unless_overtaken(check: Callable[[], None]) -> Iterator[None]:
    """Say that another writer has taken a store over, whatever failed because of it."""
    try:
        yield
    except Exception:
        check()
        raise


def has_begun(folder: Folder) -> bool:
    """Whether a store has records of a run."""
    names = folder.names()
    return BASE in names or bool(chains_in(names))
