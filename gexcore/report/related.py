"""Related samples in a finished folder: written by a run, read by its page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gexcore.deviations.ranking import Top
from gexcore.errors import InvalidDataError
from gexcore.report.finished import check_content

RELATED = "related.json"
WHY, NEAREST = 100, 4
"""The most samples with related samples on a page, and the most related samples of each kind."""

Related = Callable[[NDArray[np.intp], int], Top | None]
"""A function from positions and a number k to the k samples most related to each, or to None."""


class Stored(msgspec.Struct):
    """Proponents and opponents of some samples, by position."""

    index: list[int]
    proponents: list[list[int]]
    opponents: list[list[int]]


def stored_related(positions: NDArray[np.intp], related: Related) -> dict[str, bytes]:
    """The file of the related samples of the first positions; no file if there are none."""
    first = positions[:WHY]
    top = related(first, NEAREST + 1)
    if top is None:
        return {}
    columns = {"index": first, "proponents": top.proponents, "opponents": top.opponents}
    text = json.dumps({name: column.tolist() for name, column in columns.items()})
    return {RELATED: text.encode()}


def read_related(folder: Path, run: Mapping[str, Any], samples: int) -> Related | None:
    """Related samples by the file of a run, or None without such a file.

    Raises
    ------
    InvalidDataError
        If the file is not what the run wrote.
    """
    if RELATED not in run.get("files", {}):
        return None
    try:
        check_content(folder, RELATED, run)
        found = msgspec.json.decode((folder / RELATED).read_bytes(), type=Stored)
        kinds = [np.array(rows, dtype=np.intp) for rows in (found.proponents, found.opponents)]
        count = len(found.index)
        if any(k.ndim != 2 or len(k) != count or not _within(k, samples) for k in kinds):
            raise ValueError("its positions are not those of the samples")
    except (OSError, msgspec.MsgspecError, ValueError, OverflowError) as error:
        raise InvalidDataError(
            f"{folder / RELATED} cannot be read ({error}); score the data anew"
        ) from error
    at = {position: row for row, position in enumerate(found.index)}

    def related(positions: NDArray[np.intp], k: int) -> Top | None:
        rows = [at[position] for position in positions.tolist() if position in at]
        if len(rows) != len(positions):
            return None
        first, last = (kind[rows, :k] for kind in kinds)
        return Top(first, np.zeros(first.shape), last, np.zeros(last.shape))

    return related


def _within(positions: NDArray[np.intp], samples: int) -> bool:
    return not positions.size or bool(positions.min() >= 0 and positions.max() < samples)
