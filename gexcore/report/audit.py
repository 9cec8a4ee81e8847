"""What a report shows of a run: read from the scores in memory, or from a finished folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.cuts import Threshold
from gexcore.errors import InvalidDataError

SCORES, RUN = "scores.csv", "run.json"
FINISHED = "give the folder of a finished `gexcore score`"


@dataclass(frozen=True)
class Audit:
    """Scores of a training set and the record of how they were made.

    Parameters
    ----------
    suspicion : array, shape (samples,)
        Finite, raised to start at zero where some are negative; the page ranks by it.
        Self-influence of a method that has no other score.
    standard_error, self_influence : array, shape (samples,)
        NaN where unknown.
    suspect : boolean array, shape (samples,)
        Above the threshold that was found; none where it was refused.
    labels, suggested : integer array, shape (samples,), or None
        Given and suggested classes.
    threshold : Threshold
    run : mapping
        What `run.json` says.
    """

    suspicion: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    self_influence: NDArray[np.float64]
    suspect: NDArray[np.bool_]
    labels: NDArray[np.intp] | None
    suggested: NDArray[np.intp] | None
    threshold: Threshold
    run: Mapping[str, Any]

    @classmethod
    def of(
        cls, columns: Mapping[str, NDArray[Any]], threshold: Threshold, run: Mapping[str, Any]
    ) -> Self:
        """The audit of a fit: its columns, its threshold and its record.

        Raises
        ------
        InvalidDataError
            Where a sample has no finite score.
        """
        suspicion = np.asarray(columns[score_of(columns)], dtype=np.float64)
        # negative suspicion is that of a margin; negative self-influence, from negative curvature,
        # is as unsuspicious as none
        suspicion = (
            suspicion - min(0.0, suspicion.min())
            if "suspicion" in columns
            else np.maximum(suspicion, 0.0)
        )
        unknown = np.full(len(suspicion), np.nan)
        if not np.isfinite(suspicion).all():
            position = int(np.argmin(np.isfinite(suspicion)))
            raise InvalidDataError(
                f"sample {position} has no finite {score_of(columns).replace('_', '-')}; a "
                "report ranks by it: score the data anew"
            )
        return cls(
            suspicion,
            np.asarray(columns.get("standard_error", unknown), dtype=np.float64),
            np.asarray(columns.get("self_influence", unknown), dtype=np.float64),
            np.asarray(columns["suspect"], dtype=bool),
            _classes(columns["label"]),
            _classes(columns["suggested_label"]) if "suggested_label" in columns else None,
            threshold,
            run,
        )

    def __len__(self) -> int:
        return len(self.suspicion)

    def ranking(self) -> NDArray[np.intp]:
        """Positions of the samples, most suspicious first; ties in the data's order."""
        return np.argsort(-self.suspicion, kind="stable")

    def cut(self) -> float | None:
        """The suspicion above which lie as many samples as there are suspects; None if there is no
        suspect.

        The threshold itself is found on losses clipped lower than those of the ranking, where a few
        samples next to it may stand in another order.
        """
        count = int(self.suspect.sum())
        if not count:
            return None
        ordered = np.append(np.sort(self.suspicion)[::-1], 0.0)
        return float((ordered[count - 1] + ordered[count]) / 2)


def read_audit(folder: Path) -> Audit:
    """The audit of a finished folder.

    Raises
    ------
    InvalidDataError
        Where the folder is not finished, or its files were changed.
    """
    for name in (SCORES, RUN):
        if not (folder / name).is_file():
            raise InvalidDataError(f"{folder} has no {name}; {FINISHED}")
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
        threshold = Threshold(**run["threshold"])
        columns = _read_columns(folder / SCORES)
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidDataError(f"{folder} cannot be read as scores ({told}); {FINISHED}") from error
    return Audit.of(columns, threshold, run)


def score_of(columns: Mapping[str, Any]) -> str:
    """The column that a page ranks by."""
    return "suspicion" if "suspicion" in columns else "self_influence"


def _classes(column: NDArray[Any]) -> NDArray[np.intp] | None:
    return None if len(column) and column[0] is None else np.asarray(column, dtype=np.intp)


def _read_columns(path: Path) -> dict[str, NDArray[Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        cells = dict(zip(header, zip(*rows, strict=True), strict=False))
    if [int(cell) for cell in cells["index"]] != list(range(len(cells["index"]))):
        raise ValueError(f"the index of {path.name} does not count from 0")
    # only a method without losses, and so without suggestions, has no suspicion of its own
    if "suspicion" not in cells and cells.keys() & {"suggested_label", "value"}:
        raise KeyError("suspicion")
    numbers = ("suspicion", "standard_error", "self_influence")
    return {
        **{
            name: np.array([float(cell or "nan") for cell in cells[name]])
            for name in numbers
            if name in cells
        },
        **{
            name: np.array([int(c) if c else None for c in cells[name]], object)
            for name in ("label", "suggested_label")
            if name in cells
        },
        "suspect": np.array([cell == "true" for cell in cells["suspect"]]),
    }
