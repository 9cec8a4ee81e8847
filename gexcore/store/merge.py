"""Merging of stores of one plan."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from gexcore.errors import StoreError, StoreMismatchError
from gexcore.store.chains import BASE, SEARCH, findings, has_begun
from gexcore.store.fingerprint import check_same
from gexcore.store.folder import (
    Folder,
    check_place,
    folder_at,
    in_one_sentence,
    is_remote,
    place_of,
)
from gexcore.store.lock import only_writer
from gexcore.store.record import Record, chains_in, decoded, digest_of, kept_file, name_of, opened
from gexcore.store.table import Rows


def merge_stores(into: str | os.PathLike[str], *sources: str | os.PathLike[str]) -> list[int]:
    """Copy complete chains of stores with the same plan into one store, new or begun.

    This joins runs of one plan on several machines, each with its own chains (`first_chain`). A fit
    of all chains with ``store=into`` then uses them. Chains that `into` already has stay unchanged.

    Returns
    -------
    list of int
        The chains that were copied.

    Raises
    ------
    StoreMismatchError
        If the runs differ in more than their chains. The error names the fields.
    StoreError
        If a store is damaged, in use, or cannot be read or written.
    """
    copied: list[int] = []
    target = place_of(into)
    for given in sources:
        source = place_of(given)
        with in_one_sentence(source):
            if not is_remote(source) and not os.path.isdir(source):
                raise StoreMismatchError(f"{source} is no store; give the stores to copy from")
            check_place(source)
            folder = folder_at(source)
            fingerprint, most = _identity(source, folder)
        with contextlib.ExitStack() as stack:
            stack.enter_context(only_writer(source, folder))
            copied += _copy(source, folder, Rows(source, most), fingerprint, target, most)
    return sorted(copied)


def _copy(
    source: str, folder: Folder, table: Rows, fingerprint: Any, target: str, most: int
) -> list[int]:
    copied = []
    with in_one_sentence(target):
        check_place(target)
        own = folder_at(target)
        with only_writer(target, own) as check:
            mine = Rows(target, most)
            before = mine.fingerprint(begun=has_begun(own))
            if before is None:
                mine.identify(fingerprint)
            check_same(target, before or fingerprint, fingerprint)
            chains = chains_in(folder.names())
            content = folder.read(BASE)
            if content is None or not chains:
                return []
            digests = opened(content)
            columns = {name: table.column(name, digest) for name, digest in digests.items()}
            tests = table.tests
            if own.read(BASE) is None:
                mine.start(columns, chains[-1] + 1, tests)
                own.write(BASE, content)
            elif opened(own.read(BASE) or b"") != digests:
                raise StoreMismatchError(
                    f"{target} and {source} differ in the losses at θ*; merge stores of one machine"
                )
            _copy_search(folder, own, source, target)
            mine.extend(chains[-1] + 1)
            for chain in chains:
                record = decoded(folder.read(name_of(chain)) or b"", chain, source)
                if record.state is None and not _is_complete(own, chain, target):
                    check()
                    _copy_chain(record, folder, table, own, mine)
                    copied.append(chain)
    return copied


def _copy_search(folder: Folder, own: Folder, source: str, target: str) -> None:
    content, before = folder.read(SEARCH), own.read(SEARCH)
    if content is None:
        return
    if before is None:
        findings(content, source)
        own.write(SEARCH, content)
    elif findings(before, target) != findings(content, source):
        raise StoreMismatchError(
            f"{target} and {source} start their chains differently; merge stores of one machine"
        )


def _copy_chain(record: Record, folder: Folder, table: Rows, own: Folder, mine: Rows) -> None:
    for name, digests in (("losses", record.losses), ("test_losses", record.test_losses)):
        for number, digest in zip(record.members, digests, strict=False):
            mine.write(name, record.chain, number, table.read(name, record.chain, number, digest))
    for row, digest in record.kept.items():
        content = folder.read(kept_file(record.chain, row))
        if content is None or digest_of(content) != digest:
            raise StoreError(
                f"{table.where} is damaged: checkpoints/{kept_file(record.chain, row)} is "
                "not what was stored"
            )
        own.write(kept_file(record.chain, row), content)
    mine.describe(record)
    own.write(name_of(record.chain), record.encoded())


def _is_complete(folder: Folder, chain: int, where: str) -> bool:
    content = folder.read(name_of(chain))
    return content is not None and decoded(content, chain, where).state is None


def _identity(where: str, folder: Folder) -> tuple[Any, int]:
    found = Rows(where, 1).fingerprint(begun=has_begun(folder))
    if found is None:
        raise StoreMismatchError(f"{where} holds no run yet; give the store of a run")
    return found, int(found["snapshots"]) + int(found["warmups"])
