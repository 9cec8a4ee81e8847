"""Records of chains: other content of a store counts only if a record refers to it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from gexcore.ensembles.chain import Snapshot
from gexcore.ensembles.thermostat import Status
from gexcore.errors import StoreError


@dataclass(frozen=True)
class Record:
    """One chain, complete or so far.

    Parameters
    ----------
    chain : int
    snapshots : list of Snapshot
    losses, test_losses : list of str
        SHA-256 of each member's row.
    kept : dict
        SHA-256 of kept states, by the number of the member in its chain.
    state : str or None
        SHA-256 of the state from which the chain continues. None once it is complete.
    """

    chain: int
    snapshots: list[Snapshot] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    test_losses: list[str] = field(default_factory=list)
    kept: dict[int, str] = field(default_factory=dict)
    state: str | None = None

    @property
    def members(self) -> list[int]:
        """Numbers of the snapshots that are members."""
        return [snapshot.number for snapshot in self.snapshots if snapshot.status == "member"]

    @property
    def state_file(self) -> str:
        """Name of the file with the state from which the chain continues."""
        return f"state-{self.chain:04}-{len(self.snapshots):04}.safetensors"

    def files(self) -> set[str]:
        """Names of all files of the record, its own included."""
        return {
            name_of(self.chain),
            *(kept_file(self.chain, row) for row in self.kept),
            *([self.state_file] if self.state else []),
        }

    def encoded(self) -> bytes:
        """The stored form of the record, with its own digest."""
        # the places of chain and number say what they are
        rows = [snapshot[2:] for snapshot in self.snapshots]
        return sealed({**asdict(self), "snapshots": rows})


def name_of(chain: int) -> str:
    """File name of a chain's record."""
    return f"chain-{chain:04}.json"


def chains_in(names: Iterable[str]) -> list[int]:
    """Numbers of the chains that have a record among these files."""
    found = (re.fullmatch(r"chain-(\d{4,})\.json", name) for name in names)
    return sorted(int(match[1]) for match in found if match)


def kept_file(chain: int, row: int) -> str:
    """File name of a kept member's state."""
    return f"member-{chain:04}-{row:04}.safetensors"


def decoded(content: bytes, chain: int, where: str) -> Record:
    """The stored record.

    Raises
    ------
    StoreError
        If the content differs from what was stored.
    """
    name = name_of(chain)
    try:
        parts = opened(content)
        record = Record(
            parts["chain"],
            [Snapshot(chain, number, *row) for number, row in enumerate(parts["snapshots"])],
            parts["losses"],
            parts["test_losses"],
            {int(row): digest for row, digest in parts["kept"].items()},
            parts["state"],
        )
        if record.chain != chain or len(record.losses) != len(record.members):
            raise ValueError
        if any(snapshot.status not in get_args(Status) for snapshot in record.snapshots):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = (
            f"{where}/checkpoints/{name} is damaged; put a copy back, or delete it to run chain "
            f"{chain} again"
        )
        raise StoreError(msg) from error
    return record


def sealed(parts: dict[str, Any]) -> bytes:
    """JSON with its own SHA-256."""
    content = json.loads(json.dumps(parts))  # numbers sort differently as keys
    text = json.dumps(content, sort_keys=True)
    return json.dumps(
        {"content": content, "sha256": digest_of(text.encode())}, sort_keys=True
    ).encode()


def opened(content: bytes) -> dict[str, Any]:
    """The content of sealed JSON.

    Raises
    ------
    ValueError
        If the content is not sealed JSON.
    """
    outer = json.loads(content)
    parts = outer["content"] if isinstance(outer, dict) else None
    if (
        not isinstance(parts, dict)
        or digest_of(json.dumps(parts, sort_keys=True).encode()) != outer["sha256"]
    ):
        raise ValueError("its digest is another")
    return parts


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def row_digest(row: NDArray[Any]) -> str:
    """SHA-256 of an array's numbers and their type."""
    return digest_of(row.dtype.str.encode() + np.ascontiguousarray(row).tobytes())
